/**
 * The cache on the disk.
 *
 *   fill/adopt ──► verified ──► pinned ◄──► idle ──evict/forget──► gone
 *   found at start ──first open: hashed──► verified, or quarantine
 *
 * INVARIANT: a descriptor is handed out only for bytes that were hashed in this life and whose fingerprint is still what it was then.
 * Nothing here is fsynced: a copy that a power cut spoils is found out at its first open, and Swift has the bytes.
 */
import { closeSync, unlink } from 'node:fs';
import type { Clock } from '../base/clock.js';
import { SYSTEM_CLOCK } from '../base/clock.js';
import { FilestoreError, kindOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { SingleFlight } from '../base/single-flight.js';
import { CacheFolder } from './cache-folder.js';
import { algorithmOf, CacheLayout, sumOf } from './cache-layout.js';
import type { BlobCache, CacheKey, CacheStatistics, Fill, FillSource, HeldFile } from './cache.js';
import { saveIndex } from './cache-index.js';
import { Downloads } from './downloads.js';
import { EarlierLife } from './earlier-life.js';
import { Evictor } from './evictor.js';
import type { Fingerprint } from './fingerprint.js';
import { fingerprintOf, hashFile, isSameFile } from './fingerprint.js';
import { HeldFiles } from './held-files.js';
import { Ledger } from './ledger.js';
import { PartialFile } from './partial-file.js';

interface CacheOptions {
  /** `cache_dir`. */
  readonly directory: string;
  /** Bytes the cache may use. */
  readonly budgetBytes: number;
  /** Bytes of its disk that stay free. */
  readonly floorBytes: number;
  /** Whether the directory is ours to write; without it, it is. */
  readonly mayWrite?: () => boolean;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface OpenedCache extends BlobCache {
  /** Resolves when the ledger knows all that an earlier life left, or when the search was given up. */
  readonly found: Promise<void>;
}

/**
 * Opens quickly: what an earlier life left is found in the background, and is served meanwhile. A folder that cannot be used is no
 * reason to fail: then every blob comes from Swift, and the log says so.
 */
export async function openCache(options: CacheOptions): Promise<OpenedCache> {
  const layout = new CacheLayout(options.directory);
  const clock = options.clock ?? SYSTEM_CLOCK;
  const folder = new CacheFolder({ layout, mayWrite: options.mayWrite ?? (() => true), log: options.log, clock });
  await folder.open();
  return new DiskCache(options, clock, layout, folder);
}

class DiskCache implements OpenedCache {
  readonly #layout: CacheLayout;
  readonly #folder: CacheFolder;
  readonly #budgetBytes: number;
  readonly #ledger = new Ledger();
  readonly #held: HeldFiles;
  readonly #evictor: Evictor;
  /** Fingerprints of what was hashed in this life. */
  readonly #verified = new Map<CacheKey, Fingerprint>();
  readonly #verifying = new SingleFlight<void>();
  readonly #downloads: Downloads;
  readonly #earlier: EarlierLife;
  readonly found: Promise<void>;
  #hits = 0;
  #misses = 0;
  #quarantined = 0;

  constructor(options: CacheOptions, clock: Clock, layout: CacheLayout, folder: CacheFolder) {
    this.#layout = layout;
    this.#folder = folder;
    this.#budgetBytes = options.budgetBytes;
    this.#held = new HeldFiles(
      (key) => {
        // It may have been open for hours.
        this.#ledger.touch(key);
        this.#evictor.evictSoon();
      },
      // Hashed when it is opened next.
      (key) => void this.#verified.delete(key),
    );
    this.#evictor = new Evictor({
      ledger: this.#ledger,
      directory: layout.root,
      budgetBytes: options.budgetBytes,
      floorBytes: options.floorBytes,
      clock,
      mayEvict: () => folder.isWritable(),
      isPinned: (key) => this.#held.isPinned(key),
      remove: (key) => this.#remove(key),
    });
    this.#downloads = new Downloads({
      openExisting: (key) => this.#open(key),
      assertRoom: () => this.#assertRoom(),
      createPartial: (expectedBytes) => this.#createPartial(expectedBytes),
      commit: (key, partial, sizeBytes) => this.#commit(key, partial, sizeBytes),
      log: options.log,
      clock,
    });
    this.#earlier = new EarlierLife({
      layout,
      ledger: this.#ledger,
      isWritable: () => folder.isWritable(),
      onFound: () => this.#evictor.evictSoon(),
      onFailure: (error) => folder.complain(error),
    });
    this.found = this.#earlier.settled;
    // It may have been another daemon's until then.
    folder.onLateOpen = () => this.#earlier.searchAgain();
  }

  get statistics(): CacheStatistics {
    return {
      files: this.#ledger.files,
      bytes: this.#ledger.bytes,
      budgetBytes: this.#budgetBytes,
      hits: this.#hits,
      misses: this.#misses,
      evicted: this.#evictor.evicted,
      quarantined: this.#quarantined,
    };
  }

  open(key: CacheKey): HeldFile | undefined | Promise<HeldFile | undefined> {
    const file = this.#open(key);
    if (!(file instanceof Promise)) return this.#counted(file);
    return file.then((opened) => this.#counted(opened));
  }

  openHeld(key: CacheKey): HeldFile | undefined {
    const held = this.#held.pinUnseen(key);
    if (held !== undefined) this.#ledger.touch(key);
    return this.#hit(held ?? this.#openKnown(key));
  }

  has(key: CacheKey): boolean {
    if (this.#ledger.has(key)) return true;
    if (this.#earlier.isKnown) return false;
    const fd = this.#openFile(key);
    if (fd === undefined) return false;
    closeSync(fd);
    return true;
  }

  fill(key: CacheKey, sources: readonly FillSource[], signal: AbortSignal, asker?: 'ahead'): Fill {
    return this.#downloads.join(key, sources, signal, asker);
  }

  async adopt(key: CacheKey, file: string, sizeBytes: number, verified: Fingerprint | undefined): Promise<void> {
    // A key that is none is a mistake of the caller's, and says nothing about the disk.
    this.#layout.pathOf(key);
    if (!this.#folder.isWritable()) return unlink(file, () => undefined);
    try {
      const now = await this.#folder.adopt(file, key, verified);
      if (now.isVerified) this.#noteVerified(key, now.fingerprint);
      else this.#noteUnverified(key, now.fingerprint.sizeBytes);
      this.#evictor.added(sizeBytes);
    } catch (error) {
      // The caller has no more use for the file either way, and Swift has the bytes: this is an eviction that came early.
      this.#folder.complain(error);
      unlink(file, () => undefined);
    }
  }

  forget(key: CacheKey): void {
    this.#downloads.forget(key);
    if (this.#ledger.has(key) || !this.#earlier.isKnown) this.#remove(key);
    else this.#held.drop(key);
  }

  async close(): Promise<void> {
    this.#earlier.giveUp();
    await this.#downloads.close();
    await this.#earlier.settled;
    await this.#evictor.settled();
    this.#held.closeIdle();
    if (!this.#earlier.isKnown || !this.#folder.isWritable()) return;
    try {
      await saveIndex(this.#layout, this.#ledger.entries());
    } catch (error) {
      this.#folder.complain(error);
    }
  }

  #counted(file: HeldFile | undefined): HeldFile | undefined {
    if (file === undefined) this.#misses++;
    return this.#hit(file);
  }

  #hit(file: HeldFile | undefined): HeldFile | undefined {
    if (file !== undefined) this.#hits++;
    return file;
  }

  #open(key: CacheKey): HeldFile | undefined | Promise<HeldFile | undefined> {
    const verifying = this.#verifying.get(key);
    if (verifying !== undefined) return verifying.then(() => this.#open(key));
    const held = this.#held.pin(key);
    if (held !== undefined && held !== 'changed') {
      this.#ledger.touch(key);
      return held;
    }
    if (held === undefined && !this.#ledger.has(key) && this.#earlier.isKnown) return undefined;
    const known = this.#openKnown(key);
    if (known !== undefined) return known;
    const fd = this.#openForReader(key);
    if (fd === undefined) return undefined;
    const now = fingerprintOf(fd);
    return this.#verifying.run(key, () => this.#verify(key, fd, now)).then(() => this.#openVerified(key));
  }

  /** What was verified in this life and is still that. */
  #openKnown(key: CacheKey): HeldFile | undefined {
    const verified = this.#verified.get(key);
    if (verified === undefined || this.#verifying.get(key) !== undefined) return undefined;
    const fd = this.#openForReader(key);
    if (fd === undefined) return undefined;
    const now = fingerprintOf(fd);
    if (!isSameFile(verified, now)) {
      closeSync(fd);
      return undefined;
    }
    this.#ledger.touch(key);
    return this.#held.add(key, fd, now);
  }

  /** After a verification: what is not verified now was wrong, or is being changed by somebody. */
  #openVerified(key: CacheKey): HeldFile | undefined {
    const file = this.#verified.has(key) ? this.#held.pin(key) : undefined;
    return file === 'changed' ? undefined : file;
  }

  #openForReader(key: CacheKey): number | undefined {
    return this.#held.makeRoom() ? this.#openFile(key) : undefined;
  }

  #assertRoom(): void {
    if (this.#held.makeRoom()) return;
    throw new FilestoreError(
      'no-space',
      'as many files are open for reading as the limit of open files leaves room for; raise it (LimitNOFILE=65536), or close some',
    );
  }

  /** What is gone is forgotten; what only cannot be opened now (too many open files) still takes its room. */
  #openFile(key: CacheKey): number | undefined {
    try {
      return this.#folder.openCopy(key);
    } catch (error) {
      if (kindOf(error) === 'not-found') this.#dropEntry(key);
      else this.#folder.complain(error);
      return undefined;
    }
  }

  async #verify(key: CacheKey, fd: number, before: Fingerprint): Promise<void> {
    const known = this.#verified.get(key);
    let reason: string;
    try {
      const found = await hashFile(fd, algorithmOf(key));
      const after = fingerprintOf(fd);
      if (after.isGone || this.#isReplaced(key, known)) return closeSync(fd);
      if (found === sumOf(key) && isSameFile(after, before)) {
        this.#noteVerified(key, after);
        // To the idle ones: those who wait pin it in this same turn.
        this.#held.add(key, fd, after).close();
        return;
      }
      reason = found === sumOf(key) ? 'it changed while it was read' : `its bytes hash to ${found}`;
    } catch (error) {
      // Its bytes may be right: another copy takes its place as soon as it is filled, and until then it is tried again.
      closeSync(fd);
      this.#folder.tellUnreadable(key, error);
      return;
    }
    closeSync(fd);
    this.#putInQuarantine(key, reason);
  }

  /** What stood under this name lost it while it was hashed; maybe another copy has it by now. @param known of it before that */
  #isReplaced(key: CacheKey, known: Fingerprint | undefined): boolean {
    const isThere = this.#ledger.has(key) || this.#earlier.mayHave(key);
    return !isThere || this.#verified.get(key) !== known;
  }

  #putInQuarantine(key: CacheKey, reason: string): void {
    this.#held.drop(key);
    this.#dropEntry(key);
    this.#quarantined++;
    this.#folder.quarantine(key, reason);
  }

  #createPartial(expectedBytes: number): PartialFile {
    const isWritable = this.#folder.isWritable();
    const hasRoom = isWritable && this.#evictor.hasRoomFor(expectedBytes);
    if (isWritable && !hasRoom)
      this.#folder.complain(
        new FilestoreError(
          'no-space',
          `no ${expectedBytes} bytes are free above cache_floor, or no inode above those that are left to others`,
        ),
      );
    return new PartialFile({
      path: hasRoom ? this.#folder.temporaryPath() : undefined,
      expectedBytes,
      makeFolders: () => this.#folder.make(),
      onUnwritable: (error) => this.#folder.complain(error),
    });
  }

  /** The last step of a fill: its name. What cannot get one is given to its readers all the same. */
  #commit(key: CacheKey, partial: PartialFile, sizeBytes: number): HeldFile {
    const temporary = partial.path;
    const fd = partial.take();
    if (temporary === undefined) return this.#held.add(key, fd, fingerprintOf(fd), true);
    try {
      if (this.#downloads.isUnwanted(key)) throw new FilestoreError('not-found', `${key} was deleted meanwhile`);
      this.#folder.moveIn(temporary, key);
    } catch (error) {
      if (kindOf(error) !== 'not-found') this.#folder.complain(error);
      unlink(temporary, () => undefined);
      return this.#held.add(key, fd, fingerprintOf(fd), true);
    }
    // After the rename: that changes the ctime.
    const verified = fingerprintOf(fd);
    this.#noteVerified(key, verified);
    const file = this.#held.add(key, fd, verified);
    this.#evictor.added(sizeBytes);
    return file;
  }

  #noteVerified(key: CacheKey, fingerprint: Fingerprint): void {
    this.#earlier.added(key);
    this.#verified.set(key, fingerprint);
    this.#ledger.set(key, fingerprint.sizeBytes);
  }

  /** As what a life before left: hashed when it is opened. */
  #noteUnverified(key: CacheKey, sizeBytes: number): void {
    this.#held.drop(key);
    this.#earlier.added(key);
    this.#verified.delete(key);
    this.#ledger.set(key, sizeBytes);
  }

  #dropEntry(key: CacheKey): void {
    this.#verified.delete(key);
    this.#ledger.delete(key);
  }

  #remove(key: CacheKey): void {
    this.#earlier.removed(key);
    const isOpen = this.#held.isPinned(key);
    this.#held.drop(key);
    this.#verified.delete(key);
    this.#folder.remove(key, this.#ledger.delete(key), isOpen);
  }
}
