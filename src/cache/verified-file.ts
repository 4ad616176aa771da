/**
 * An open file whose bytes were hashed, and whether it still is what it was then. A deleted blob is read on by who has it open, and losing its name is
 * a change of the file although none of its bytes: what differs in nothing else is hashed once more, and then looked at as before.
 */
import { closeSync } from 'node:fs';
import { algorithmOf, sumOf } from './cache-layout.js';
import type { CacheKey } from './cache.js';
import { fingerprintOf, hashFile, isSameFile, type Fingerprint } from './fingerprint.js';

export class VerifiedFile {
  readonly fd: number;
  readonly #key: CacheKey;
  /** What it looked like when its bytes were hashed. */
  #verified: Fingerprint;
  #hashing: Promise<boolean> | undefined;
  #isClosed = false;

  /** @param fd closed by {@link close} */
  constructor(key: CacheKey, fd: number, verified: Fingerprint) {
    this.#key = key;
    this.fd = fd;
    this.#verified = verified;
  }

  get sizeBytes(): number {
    return this.#verified.sizeBytes;
  }

  /** One fstat. */
  isIntact(): boolean {
    if (this.#isClosed) return false;
    const now = fingerprintOf(this.fd);
    return now.isGone === this.#verified.isGone && isSameFile(now, this.#verified);
  }

  /** For who found it changed: whether it has only lost its name. Never rejects. */
  isIntactByHash(): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    this.#hashing ??= this.#hashAgain()
      // Its disk does not give it.
      .catch(() => false)
      .finally(() => {
        this.#hashing = undefined;
        if (this.#isClosed) closeSync(this.fd);
      });
    return this.#hashing;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#hashing === undefined) closeSync(this.fd);
  }

  async #hashAgain(): Promise<boolean> {
    const before = fingerprintOf(this.fd);
    if (!before.isGone || !isSameFile(before, { ...this.#verified, ctimeMs: before.ctimeMs })) return false;
    const found = await hashFile(this.fd, algorithmOf(this.#key));
    if (found !== sumOf(this.#key) || !isSameFile(before, fingerprintOf(this.fd))) return false;
    this.#verified = before;
    return true;
  }
}
