/**
 * Stops waiting when the signal fires; what was waited for goes on.
 * @param given makes what is thrown then
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal, given: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(given());
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject);
  });
}
