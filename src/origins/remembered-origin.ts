/**
 * An origin whose names are remembered (origin-memory.ts). While its disk fails or hangs, a name that was not there when its directory was last
 * read is not there, and a directory is: else each new document would be refused, because its first write asks for its name (docs/decisions/0012-origin-names.md).
 * While the disk answers, its word alone counts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../base/log.js';
import type { FillSource } from '../cache/cache.js';
import type { Origin, OriginStat } from './origin.js';
import { OriginMemory } from './origin-memory.js';

export class RememberedOrigin implements Origin {
  readonly #inner: Origin;
  readonly #waitMs: number;
  readonly #log: Log;
  readonly #memory: OriginMemory;
  /** A database that is opened again goes on with what is remembered of it. */
  readonly #below = new Map<string, RememberedOrigin>();
  /** Questions that were not waited for to their end. */
  #late = 0;

  readonly #onForgotten: () => void;

  /**
   * @param waitMs how long a name that was not there is asked for before the memory's word counts
   * @param onForgotten called when it is to be kept in mind no more
   */
  constructor(inner: Origin, waitMs: number, log: Log, onForgotten: () => void = () => undefined) {
    this.#inner = inner;
    this.#waitMs = waitMs;
    this.#log = log;
    this.#onForgotten = onForgotten;
    this.#memory = new OriginMemory(inner, log);
  }

  get description(): string {
    return this.#inner.description;
  }

  get trouble(): string | undefined {
    return this.#inner.trouble;
  }

  get isAsked(): boolean {
    return this.#inner.isAsked;
  }

  async stat(path: string): Promise<OriginStat | undefined> {
    this.#memory.begin();
    const recalled = this.#memory.recall(path);
    if (recalled === undefined) return this.#hurried(this.#inner.stat(path));
    if (this.#isSilent) return recalled.stat;
    const ended = new AbortController();
    const asked = this.#inner.stat(path).finally(() => ended.abort());
    const isLate = sleep(this.#waitMs, true, { signal: ended.signal }).catch(() => false);
    try {
      if (!(await isLate)) return await asked;
      this.#noteLate(asked);
    } catch {
      this.#memory.hurry();
    }
    return recalled.stat;
  }

  list(path: string): ReturnType<Origin['list']> {
    return this.#hurried(this.#inner.list(path));
  }

  names(path: string): Promise<readonly string[] | undefined> {
    return this.#hurried(this.#inner.names(path));
  }

  source(path: string): FillSource {
    return this.#inner.source(path);
  }

  below(directory: string): Origin {
    const known = this.#below.get(directory);
    if (known !== undefined) return known;
    const below = new RememberedOrigin(this.#inner.below(directory), this.#waitMs, this.#log, () => this.#below.delete(directory));
    this.#below.set(directory, below);
    return below;
  }

  forget(): void {
    for (const below of this.#below.values()) below.forget();
    void this.#memory.end();
    this.#onForgotten();
  }

  async close(): Promise<void> {
    const ended = Promise.all([this.#memory.end(), ...[...this.#below.values()].map((below) => below.close())]);
    await Promise.race([ended, sleep(this.#waitMs, undefined, { ref: false })]);
    await this.#inner.close();
  }

  /** A question is under way that had no answer in time. */
  get #isSilent(): boolean {
    return this.#late > 0 || (this.trouble !== undefined && this.isAsked);
  }

  /** A disk that fails is looked at again soon, whoever found out. */
  async #hurried<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      this.#memory.hurry();
      throw error;
    }
  }

  #noteLate(asked: Promise<unknown>): void {
    this.#late++;
    const isAnswered = (): void => void this.#late--;
    this.#hurried(asked).then(isAnswered, isAnswered);
  }
}
