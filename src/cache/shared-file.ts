/** One pin of a cached file, shared by several: it ends with the last of them, the first owner among them. */
import { FilestoreError } from '../base/errors.js';
import type { HeldFile } from './cache.js';

export class SharedFile {
  readonly #file: HeldFile;
  #users = 1;
  #isReleased = false;

  constructor(file: HeldFile) {
    this.#file = file;
  }

  share(): HeldFile {
    if (this.#users === 0) throw new FilestoreError('internal', 'a file was shared after its last close');
    this.#users++;
    let isOpen = true;
    return {
      fd: this.#file.fd,
      sizeBytes: this.#file.sizeBytes,
      isIntact: () => this.#file.isIntact(),
      isIntactByHash: () => this.#file.isIntactByHash(),
      reject: () => this.#file.reject(),
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#end();
      },
    };
  }

  /** The first owner's part ends. Idempotent. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#end();
  }

  #end(): void {
    if (--this.#users === 0) this.#file.close();
  }
}
