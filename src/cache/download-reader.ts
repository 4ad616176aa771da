/** One reader's part in a download: it leaves when it says so, when its signal fires, or with the file it waited for. */
import { FilestoreError } from '../base/errors.js';
import { untilAborted } from '../base/until-aborted.js';
import type { HeldFile, Fill } from './cache.js';
import type { Download } from './download.js';

export class DownloadReader implements Fill {
  readonly #download: Download;
  readonly #signal: AbortSignal;
  readonly #onLeave: (isAborted: boolean) => void;
  #hasLeft = false;
  /** Then parts can be read as long as that file is open. */
  #hasWhole = false;
  #whole: Promise<HeldFile> | undefined;
  readonly #onAbort = (): void => {
    this.#end(true);
  };

  constructor(download: Download, signal: AbortSignal, onLeave: (isAborted: boolean) => void) {
    this.#download = download;
    this.#signal = signal;
    this.#onLeave = onLeave;
    if (signal.aborted) this.#end(true);
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get totalBytes(): Promise<number> {
    return this.#download.totalBytes;
  }

  /** Asked for, it has to be closed: the file is pinned for who asks only. */
  get whole(): Promise<HeldFile> {
    this.#whole ??= this.#awaitWhole();
    return this.#whole;
  }

  get verifiedBytes(): Promise<Uint8Array | undefined> {
    return this.#unlessAborted(this.#download.verifiedBytes);
  }

  get receivedBytes(): number {
    return this.#download.receivedBytes;
  }

  readPart(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#hasLeft && !this.#hasWhole) return Promise.reject(this.#leftError());
    return this.#download.readPart(offset, length, signal);
  }

  leave(): void {
    this.#end(false);
  }

  async #awaitWhole(): Promise<HeldFile> {
    await this.#unlessAborted(this.#download.finished);
    const file = this.#download.share();
    this.#hasWhole = true;
    this.#end(false);
    return file;
  }

  async #unlessAborted<T>(awaited: Promise<T>): Promise<T> {
    const value = await untilAborted(awaited, this.#signal, () => this.#leftError());
    if (this.#hasLeft) throw this.#leftError();
    return value;
  }

  #end(isAborted: boolean): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#onLeave(isAborted);
  }

  #leftError(): FilestoreError {
    return new FilestoreError('interrupted', `${this.#download.key}: given up before it was here`);
  }
}
