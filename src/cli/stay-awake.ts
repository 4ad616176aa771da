/** The product's own timers keep no process alive: a command that only waits for one would end as if all were done. */
const LONG_MS = 60_000;

/** Keeps the process alive until the work has ended. */
export async function stayAwake<T>(work: () => Promise<T>): Promise<T> {
  const awake = setInterval(() => undefined, LONG_MS);
  try {
    return await work();
  } finally {
    clearInterval(awake);
  }
}
