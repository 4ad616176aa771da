/** The lines of the journal that no fsync covers yet, so that they can be made durable elsewhere, with something that is synced anyway. */

/** More than so much is not worth being written twice: the journal's own fsync is the shorter way. */
const MAX_LENGTH = 64 << 10;

export class LooseLines {
  #lines: string[] = [];
  #length = 0;
  /** How many lines came before the first of `#lines`. */
  #before = 0;
  /** Lines before this one were forgotten because they were too many, and are not durable. */
  #lostUpTo = 0;

  add(line: string): void {
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length > MAX_LENGTH) {
      this.#lostUpTo = this.mark();
      this.#forget(this.#lines.length);
    }
  }

  /** What is now: for `dropUpTo` when a sync that begins now has ended. */
  mark(): number {
    return this.#before + this.#lines.length;
  }

  dropUpTo(mark: number): void {
    this.#forget(Math.max(0, mark - this.#before));
    if (mark >= this.#lostUpTo) this.#lostUpTo = 0;
  }

  /** @returns each line once; undefined when some were too many to be kept */
  take(): string | undefined {
    if (this.#lostUpTo > 0) return undefined;
    const lines = this.#lines.join('');
    this.#forget(this.#lines.length);
    return lines;
  }

  #forget(count: number): void {
    for (const line of this.#lines.splice(0, count)) this.#length -= line.length;
    this.#before += count;
  }
}
