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

/**
 * Runs `work` for each item, at most `atOnce` together and in their order. The first failure is thrown at once and stops nothing: for work
 * that ends by itself, or does not fail.
 */
export async function forEachAtOnce<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
