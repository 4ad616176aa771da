/**
 * Seals whose entry stands in the write-ahead log and whose record is still to come. What is recorded of their path meanwhile comes before them, but has
 * the higher number: a start would take it for the later one. So it takes their entries back, and their seal then waits for the journal.
 */
import type { SpoolRecord, Unnumbered } from './records.js';

export class SealsUnderWay {
  readonly #entries = new Map<string, Set<number>>();

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  /** @param sequence of the entry */
  begin(path: string, sequence: number): void {
    const entries = this.#entries.get(path);
    if (entries === undefined) this.#entries.set(path, new Set([sequence]));
    else entries.add(sequence);
  }

  /** Idempotent. @returns whether the entry still stands for its seal: nobody took it back */
  end(path: string, sequence: number): boolean {
    const entries = this.#entries.get(path);
    if (entries?.delete(sequence) !== true) return false;
    if (entries.size === 0) this.#entries.delete(path);
    return true;
  }

  /** Those that a record is to take back before it is written. */
  *overtakenBy(record: Unnumbered<SpoolRecord>): Generator<{ readonly path: string; readonly sequence: number }> {
    if (this.#entries.size === 0) return;
    for (const path of pathsOf(record)) for (const sequence of [...(this.#entries.get(path) ?? [])]) yield { path, sequence };
  }
}

/** Whose bytes or absence a record decides. */
function pathsOf(record: Unnumbered<SpoolRecord>): readonly string[] {
  switch (record.type) {
    case 'seal':
    case 'bury':
    case 'exhume':
      return [record.path];
    case 'move':
      return [record.from, record.to];
    default:
      return [];
  }
}
