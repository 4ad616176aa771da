/** The file of a download, made ready while its answer is awaited: for the size that is expected, which may turn out to be another. */
import type { PartialFile } from './partial-file.js';

export class PreparedFile {
  readonly #create: (expectedBytes: number) => PartialFile;
  readonly #onFailure: (error: unknown) => void;
  #file: PartialFile | undefined;

  /** @param onFailure that it could not be made is no failure of the download: it is tried again when the answer is there */
  constructor(create: (expectedBytes: number) => PartialFile, onFailure: (error: unknown) => void) {
    this.#create = create;
    this.#onFailure = onFailure;
  }

  make(expectedBytes: number | undefined): void {
    if (expectedBytes === undefined || this.#file !== undefined) return;
    try {
      this.#file = this.#create(expectedBytes);
    } catch (error) {
      this.#onFailure(error);
    }
  }

  /** @returns undefined when there is none of that size */
  take(totalBytes: number): PartialFile | undefined {
    if (this.#file?.expectedBytes !== totalBytes) {
      this.discard();
      return undefined;
    }
    const file = this.#file;
    this.#file = undefined;
    return file;
  }

  discard(): void {
    this.#file?.discard();
    this.#file = undefined;
  }
}
