/** What is to be put away when a test's process ends before its test did: the last first, and before directories are removed. */

const works = new Set<() => void>();

/**
 * One listener for all: Node takes more than ten for a leak.
 * @param work synchronous
 * @returns takes it back
 */
export function atExit(work: () => void): () => void {
  if (works.size === 0) process.prependListener('exit', runAll);
  works.add(work);
  return () => {
    if (works.delete(work) && works.size === 0) process.off('exit', runAll);
  };
}

function runAll(): void {
  for (const work of [...works].reverse()) {
    try {
      work();
    } catch (error) {
      console.error(error);
    }
  }
}
