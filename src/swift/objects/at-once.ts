/** Work on many things, some at a time. */

/**
 * Runs `work` for the indexes 0 to `count - 1`, at most `atOnce` together and in their order. The first failure stops the others by their
 * signal and is thrown when all have come to an end: what they borrowed (a descriptor) is free again then.
 * @param callerSignal handed on to `work`, together with the stop
 */
export async function runAtOnce(
  count: number,
  atOnce: number,
  callerSignal: AbortSignal | undefined,
  work: (index: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = callerSignal === undefined ? stop.signal : AbortSignal.any([callerSignal, stop.signal]);
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (next < count && failure === undefined) {
      try {
        await work(next++, signal);
      } catch (error) {
        failure ??= { error };
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  if (failure !== undefined) throw (failure as { readonly error: unknown }).error;
}
