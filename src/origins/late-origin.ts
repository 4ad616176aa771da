/**
 * An origin that can only be opened at the last moment: its directory lies below a dead mount, which stays until the new one is made.
 * Nobody asks before, since nobody reaches the file system before it is mounted.
 */
import { FilestoreError } from '../base/errors.js';
import type { FillSource } from '../cache/cache.js';
import type { Origin, OriginStat } from './origin.js';

export class LateOrigin implements Origin {
  readonly description: string;
  readonly #resolve: () => Origin | undefined;
  #opened: Origin | undefined;

  /** @param resolve asked at each access until it answers */
  constructor(description: string, resolve: () => Origin | undefined) {
    this.description = description;
    this.#resolve = resolve;
  }

  get trouble(): string | undefined {
    return this.#openedOrNot()?.trouble;
  }

  get isAsked(): boolean {
    return this.#openedOrNot()?.isAsked === true;
  }

  async stat(path: string): Promise<OriginStat | undefined> {
    return this.#origin.stat(path);
  }

  async list(path: string): Promise<readonly { readonly name: string; readonly kind: 'file' | 'directory' }[] | undefined> {
    return this.#origin.list(path);
  }

  async names(path: string): Promise<readonly string[] | undefined> {
    return this.#origin.names(path);
  }

  source(path: string): FillSource {
    return this.#origin.source(path);
  }

  below(directory: string): Origin {
    return new LateOrigin(`${this.description}/${directory}`, () => this.#openedOrNot()?.below(directory));
  }

  forget(): void {
    this.#openedOrNot()?.forget();
  }

  async close(): Promise<void> {
    await this.#openedOrNot()?.close();
  }

  get #origin(): Origin {
    const origin = this.#openedOrNot();
    if (origin === undefined) throw new FilestoreError('unavailable', `the origin ${this.description} is not open yet`);
    return origin;
  }

  #openedOrNot(): Origin | undefined {
    this.#opened ??= this.#resolve();
    return this.#opened;
  }
}
