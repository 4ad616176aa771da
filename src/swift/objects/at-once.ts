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
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (next < count && failures.length === 0) {
      try {
        await work(next++, signal);
      } catch (error) {
        failures.push(error);
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  if (failures.length > 0) throw failures[0];
}
