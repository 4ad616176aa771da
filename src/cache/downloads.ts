/** The downloads under way: one for a key however many ask. */
import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { CacheKey, Fill, FillSource, HeldFile } from './cache.js';
import { Download } from './download.js';
import { Intermissions } from './intermissions.js';
import type { PartialFile } from './partial-file.js';

/** Those that go on although nobody reads them: more would keep those from coming that somebody waits for. */
const UNREAD_MAX = 4;

interface DownloadsParts {
  /** A copy that came in since the caller looked. */
  readonly openExisting: (key: CacheKey) => HeldFile | undefined | Promise<HeldFile | undefined>;
  /** @throws FilestoreError no-space when no more files may be open for reading */
  readonly assertRoom: () => void;
  readonly createPartial: (expectedBytes: number) => PartialFile;
  /** Takes the whole, verified file in. @returns it, pinned */
  readonly commit: (key: CacheKey, partial: PartialFile, sizeBytes: number) => HeldFile;
  readonly log: Log;
  readonly clock: Clock;
}

export class Downloads {
  readonly #parts: DownloadsParts;
  readonly #running = new Map<CacheKey, Download>();
  readonly #unwanted = new Set<CacheKey>();
  readonly #intermissions: Intermissions;

  constructor(parts: DownloadsParts) {
    this.#parts = parts;
    this.#intermissions = new Intermissions(parts.clock);
  }

  /** As {@link BlobCache.fill}. */
  join(key: CacheKey, sources: readonly FillSource[], signal: AbortSignal, asker?: 'ahead'): Fill {
    let download = this.#running.get(key);
    if (download === undefined || download.isGivenUp) download = this.#start(key, sources, asker === 'ahead');
    if (asker === undefined) download.want();
    return download.join(signal);
  }

  /** Deleted: what is downloaded is given to its readers, and not kept. */
  forget(key: CacheKey): void {
    if (this.#running.has(key)) this.#unwanted.add(key);
  }

  isUnwanted(key: CacheKey): boolean {
    return this.#unwanted.has(key);
  }

  async close(): Promise<void> {
    const downloads = [...this.#running.values()];
    for (const download of downloads) download.cancel();
    await Promise.allSettled(downloads.map((download) => download.finished));
  }

  #start(key: CacheKey, sources: readonly FillSource[], isAhead: boolean): Download {
    const { openExisting, assertRoom, createPartial, commit, log, clock } = this.#parts;
    const started = new Download({
      key,
      sources,
      isAhead,
      openExisting: () => openExisting(key),
      assertRoom,
      createPartial,
      commit: (partial, sizeBytes) => commit(key, partial, sizeBytes),
      onUnread: () => this.#giveUpUnread(),
      intermissions: this.#intermissions,
      log,
      clock,
    });
    const ended = (): void => {
      if (this.#running.get(key) !== started) return;
      this.#running.delete(key);
      this.#unwanted.delete(key);
    };
    this.#running.set(key, started);
    started.finished.then(ended, ended);
    return started;
  }

  /** Those that are least far on. */
  #giveUpUnread(): void {
    const unread = [...this.#running.values()].filter((download) => download.isUnread && !download.isGivenUp);
    if (unread.length <= UNREAD_MAX) return;
    unread.sort((a, b) => b.receivedBytes - a.receivedBytes);
    for (const download of unread.slice(UNREAD_MAX)) download.cancel();
  }
}
