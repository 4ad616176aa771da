/** What happened to objects lately, and when: an answer of Swift that set out before that is older. Times are those of `steadyNowMs`. */
import { steadyNowMs } from '../base/clock.js';

/** Longer than a listing of a large container takes. */
const MEMORY_MS = 600_000;

export class RecentPaths {
  /** In the order in which they were noted. */
  readonly #atMs = new Map<string, number>();

  /** @param atMs Infinity: it is happening */
  note(path: string, atMs: number): void {
    const now = steadyNowMs();
    for (const [old, at] of this.#atMs) {
      if (now - at < MEMORY_MS) break;
      this.#atMs.delete(old);
    }
    this.#atMs.delete(path);
    this.#atMs.set(path, atMs);
  }

  /** @returns those since then, the last ones, `most` of them */
  since(sinceMs: number, most: number): string[] {
    const paths: string[] = [];
    for (const [path, atMs] of this.#atMs) if (atMs >= sinceMs) paths.push(path);
    return paths.slice(-most);
  }

  isSince(path: string, sinceMs: number): boolean {
    return (this.#atMs.get(path) ?? 0) >= sinceMs;
  }
}
