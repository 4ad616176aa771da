/**
 * One database as it is served: its parts and the few facts that several stories share. The stories themselves are functions over it, one file
 * each: lookup-path, list-path, read-path, publish, delete-path, rename-path, publisher.
 *
 * LOCKS: `locks` by path, held over every request that changes that object in Swift (PUT, DELETE, COPY), so that a deferred one can re-check under
 * the lock what has become of its reason. Nothing that answers from memory takes it.
 */
import { steadyNowMs } from '../base/clock.js';
import { kindOf, messageOf } from '../base/errors.js';
import { KeyedLock } from '../base/keyed-lock.js';
import type { Log } from '../base/log.js';
import { joinPath, splitPath } from '../base/names.js';
import { SingleFlight } from '../base/single-flight.js';
import type { Fingerprint } from '../cache/fingerprint.js';
import type { BlobCache } from '../cache/cache.js';
import type { Origin } from '../origins/origin.js';
import type { Pending, Spool } from '../spool/spool.js';
import type { ObjectStore, SizedInfo } from '../store/object-store.js';
import { Absence } from './absence.js';
import { shardOfBlobPath, type Catalog, type KnownObject } from './catalog.js';
import type { ContainerBinding } from './container-binding.js';
import type { FilestoreSettings } from './filestore-options.js';
import { DIRECTORY_SIZE_BYTES, type ChangeListener, type Stat, type UntilForgotten } from './filestore.js';
import { FirstMakers } from './first-makers.js';
import type { LiveFile } from './live-file.js';
import type { LocalArea } from './local-area.js';
import type { NamesFile } from './names-file.js';
import { OwnChanges } from './own-changes.js';
import { Trash } from './retention.js';
import type { StoreHealth } from './store-health.js';
import { WalkAhead } from './walk-ahead.js';
import { walkGround } from './walk-ground.js';
import { WalkOfDirectories } from './walk-of-directories.js';
import { Writers } from './writers.js';

/** With `nodes: one` nobody else changes the container: what we know holds. Somebody at the shell may, so not for ever. */
const TRUST_ONE_MS = 3600_000;

/** The most names that are kept in mind as damaged, and as having another size than is said. */
const DAMAGED_MOST = 10_000;
/** Blobs in doubt that are remembered at once; most are asked for right away. */
const DOUBTED_MOST = 10_000;

/**
 * mtime of every content-named blob: the same on every node and after every copy, costs no request, and is past 1980, which zip needs.
 */
export const BLOB_MTIME_MS = Date.UTC(2016, 0, 1);

interface DatabaseParts {
  readonly name: string;
  readonly container: string;
  /** This machine's, among those that mount the container. */
  readonly nodeId: string;
  readonly settings: FilestoreSettings;
  readonly store: ObjectStore;
  readonly health: StoreHealth;
  readonly cache: BlobCache;
  readonly spool: Spool;
  readonly origin: Origin | undefined;
  readonly catalog: Catalog;
  readonly names: NamesFile;
  readonly binding: ContainerBinding;
  readonly local: LocalArea;
  readonly log: Log;
  /** A name changed by another hand than the kernel's, or may have. */
  readonly changed: ChangeListener;
  /** Whether another database of this mount has a blob too. */
  readonly isElsewhere: (path: string) => boolean;
}

export class Database {
  readonly name: string;
  readonly container: string;
  readonly nodeId: string;
  readonly settings: FilestoreSettings;
  readonly store: ObjectStore;
  readonly health: StoreHealth;
  readonly cache: BlobCache;
  readonly spool: Spool;
  /** Hidden for ever by a drop: what it has belongs to the database that was dropped. */
  origin: Origin | undefined;
  readonly catalog: Catalog;
  readonly names: NamesFile;
  readonly binding: ContainerBinding;
  readonly local: LocalArea;
  readonly log: Log;
  readonly changed: ChangeListener;
  readonly isElsewhere: (path: string) => boolean;

  readonly locks = new KeyedLock();
  readonly heads = new SingleFlight<SizedInfo | undefined>();
  /** Each with why an object of it could not be asked for (list-swift.ts). */
  readonly listings = new SingleFlight<Error | undefined>();
  readonly writers = new Writers();
  readonly ownChanges = new OwnChanges();
  readonly live = new Map<string, LiveFile>();
  readonly absence: Absence;
  readonly firstMakers = new FirstMakers();
  readonly walk: WalkAhead;
  readonly walkOfDirectories = new WalkOfDirectories();
  readonly trash: Trash;
  /** Times set on files that Swift already has, carried to it with the next renewal; memory only. */
  readonly owedTimes = new Map<string, number>();
  /** Blobs that Odoo means to keep using, though nothing was written: their markers were touched (see markers.ts). */
  readonly touched = new Set<string>();
  /** Blobs that are hidden behind an alias (`xx/SHA.__gc`). */
  readonly aliased = new Set<string>();
  /** What the publisher is sending, by path. */
  readonly publishing = new Map<string, { abort(): void; readonly ended: Promise<void> }>();
  /** Names that were deleted while the publisher sent them, until their DELETE is done. */
  readonly cutShort = new Set<string>();
  /** When a write was last answered from the spool, on the clock of `performance.now`. */
  lastSealMs = -Infinity;
  /** Until then a Swift that answers and cannot list is not waited for (list-path.ts); on the clock of `steadyNowMs`. */
  unlistedUntilMs = 0;
  /** What the last look at the disk of the spool allows above `spool_floor`, and until when, on the clock of `performance.now`. */
  floorLook: { readonly untilMs: number; readonly leftBytes: number } = { untilMs: 0, leftBytes: 0 };
  /** What sealed files looked like when their bytes were hashed in this life of the daemon, by sequence. */
  readonly verifiedSeals = new Map<number, Fingerprint>();
  /** Names of which damaged bytes came, with the reason: an answer "not there" that follows does not say that they are absent. */
  readonly damaged = new Map<string, string>();
  /** Sizes of blobs whose verified bytes are more or fewer than Swift or an origin has under the name, where a damaged copy lies. */
  readonly #trueSizes = new Map<string, number>();
  /** Blobs that are in doubt, and since when: ms of `steadyNowMs`. */
  readonly #doubtedAtMs = new Map<string, number>();
  /** Why pending work does not go out although Swift answers: quota, rights, … */
  problem: string | undefined;
  /**
   * The PUT of a close() failed for a time, and Swift has taken none since: that it takes one again is for the publisher to find out, and no close()
   * waits for it. On the clock of `steadyNowMs`.
   */
  putFailure: { readonly reason: string; readonly sinceMs: number } | undefined;
  /** Its directory was removed: what it owes is still told to Swift, but its container is not made again. */
  dropped = false;
  /** Set by the publisher: there is work. */
  wake: () => void = () => undefined;
  /** Until then no rename waits for its PUT, on the clock of `steadyNowMs`. */
  renameWaitsFromMs = 0;
  /** Set by the publisher: sends what is pending under this path before all else. Resolves when that was tried, and never rejects. */
  publishNow: (path: string) => Promise<void> = () => Promise.resolve();

  constructor(parts: DatabaseParts) {
    this.name = parts.name;
    this.container = parts.container;
    this.nodeId = parts.nodeId;
    this.settings = parts.settings;
    this.store = parts.store;
    this.health = parts.health;
    this.cache = parts.cache;
    this.spool = parts.spool;
    this.origin = parts.origin;
    this.catalog = parts.catalog;
    this.names = parts.names;
    this.binding = parts.binding;
    this.local = parts.local;
    this.log = parts.log;
    this.changed = parts.changed;
    this.isElsewhere = parts.isElsewhere;
    this.absence = new Absence(parts.settings.negativeTtlMs);
    this.walk = new WalkAhead(walkGround(this));
    this.trash = new Trash(parts.store, parts.container, parts.settings.deleteRetentionMs);
    for (const target of this.spool.aliases.values()) if (target !== '') this.aliased.add(target);
  }

  /** How long a "yes" may be believed, in ms. */
  get trustMs(): number {
    return this.settings.nodes === 'one' ? TRUST_ONE_MS : this.settings.deleteBoundMs;
  }

  /** @param checkedAtMs when Swift said so: what the kernel and we believe together ends with the same bound; absent: just now */
  blobStat(sizeBytes: number, checkedAtMs?: number): Stat {
    return this.blobStatFor(sizeBytes, checkedAtMs === undefined ? this.trustMs : this.validMs(checkedAtMs));
  }

  /** As {@link blobStat}, for who has many and knows for how long each may be believed. */
  blobStatFor(sizeBytes: number, validMs: number): Stat {
    return { kind: 'file', sizeBytes, mtimeMs: BLOB_MTIME_MS, mode: this.settings.fileMode, validMs };
  }

  /** For how long from now on a "yes" that Swift gave then may be believed. */
  validMs(checkedAtMs: number): number {
    return Math.max(0, checkedAtMs + this.trustMs - steadyNowMs());
  }

  fileStat(sizeBytes: number, mtimeMs: number, validMs: number): Stat {
    return { kind: 'file', sizeBytes, mtimeMs, mode: this.settings.fileMode, validMs };
  }

  directoryStat(path: string): Stat {
    return {
      kind: 'directory',
      sizeBytes: DIRECTORY_SIZE_BYTES,
      mtimeMs: this.spool.directories.get(path) ?? BLOB_MTIME_MS,
      mode: this.settings.directoryMode,
      validMs: this.#directoryValidMs(path),
    };
  }

  #directoryValidMs(path: string): number {
    // Another node may drop the database: what the kernel and we believe of that together ends with the same bound.
    if (path === '') return Math.max(0, this.trustMs - this.sinceSeenMs);
    return this.firstMakers.isPromised(path) ? 0 : this.trustMs;
  }

  /** For how long nobody has looked whether the container is still there, in ms; 0 where nobody else may drop it. */
  get sinceSeenMs(): number {
    const { binding, settings } = this;
    return settings.nodes === 'many' && binding.isBound ? steadyNowMs() - binding.seenAtMs : 0;
  }

  /** Whether a blob is known to be in Swift, or pending, and not deleted. */
  has(path: string): boolean {
    return this.spool.pending.has(path) || (this.catalog.sizeOf(path) !== undefined && !this.isBuried(path));
  }

  /** Nothing is owed to Swift of what was sealed there: it is stored, or something else took its place. */
  async release(pending: Pending, options: { keepFile: boolean }): Promise<void> {
    await this.spool.markPublished(pending, options);
    this.verifiedSeals.delete(pending.sequence);
  }

  /** What it has belongs to a database that was dropped. */
  hideOrigin(): void {
    this.origin?.forget();
    this.origin = undefined;
  }

  /** Whether a delete of ours still hides what Swift or an origin has under this name. */
  isBuried(path: string): boolean {
    return this.spool.tombstones.has(path);
  }

  /**
   * Swift has this blob: we put it, or it said so.
   * @param askedAtMs when the question set out; undefined: we put it, and its writer is told once this returns, so a kill may not take the name
   */
  learnBlob(path: string, sizeBytes: number, askedAtMs?: number): void {
    this.#learnBlob(path, sizeBytes, askedAtMs ?? steadyNowMs());
    if (askedAtMs === undefined) this.names.flush();
  }

  #learnBlob(path: string, saidBytes: number, checkedAtMs: number): void {
    const sizeBytes = this.trueSize(path, saidBytes);
    const shard = shardOfBlobPath(path);
    if (shard === undefined) {
      this.learnOther(path, { sizeBytes, mtimeMs: BLOB_MTIME_MS, md5: undefined, checkedAtMs });
      return;
    }
    const known = this.catalog.sizeOf(path);
    const isOlder = checkedAtMs < (this.#doubtedAtMs.get(path) ?? -Infinity);
    if (!isOlder) this.#doubtedAtMs.delete(path);
    this.catalog.setBlob(shard, path, sizeBytes, isOlder ? this.#doubtfulMs : checkedAtMs);
    this.absence.end(path);
    if (known === sizeBytes) return;
    this.names.added(path, sizeBytes);
    this.#registerAgain();
  }

  learnOther(path: string, known: KnownObject): void {
    const before = this.catalog.other(path);
    this.catalog.setOther(path, known);
    this.absence.end(path);
    const same = before?.sizeBytes === known.sizeBytes && before.mtimeMs === known.mtimeMs && before.md5 === known.md5;
    if (same) return;
    this.names.addedOther(path, known);
    this.#registerAgain();
  }

  /** Of a database that another node has dropped and made anew: who knows something of it is to hear of its next drop. */
  #registerAgain(): void {
    if (!this.binding.isEnded || this.dropped) return;
    this.binding.begin();
    this.wake();
  }

  /** What we know of a blob is asked again before it is believed, by us and by the kernel. @returns what waits for the kernel */
  doubt(path: string): UntilForgotten | undefined {
    const [shard, sizeBytes] = [shardOfBlobPath(path), this.catalog.sizeOf(path)];
    if (shard === undefined || sizeBytes === undefined) return undefined;
    this.catalog.setBlob(shard, path, sizeBytes, this.#doubtfulMs);
    // Nor is an answer believed that set out before.
    this.#doubtedAtMs.delete(path);
    this.#doubtedAtMs.set(path, steadyNowMs());
    for (const oldest of this.#doubtedAtMs.keys()) {
      if (this.#doubtedAtMs.size <= DOUBTED_MOST) break;
      this.#doubtedAtMs.delete(oldest);
    }
    this.heads.forget(path);
    return this.changed(path);
  }

  /** Too long ago to be believed, and not so long that a listing forgets what it does not show. */
  get #doubtfulMs(): number {
    return steadyNowMs() - this.trustMs - 1000;
  }

  /** @param saidBytes what Swift or an origin says. @returns the size of its verified bytes, where that is known to be another */
  trueSize(path: string, saidBytes: number): number {
    return this.#trueSizes.size === 0 ? saidBytes : (this.#trueSizes.get(path) ?? saidBytes);
  }

  /** Verified bytes of a blob are more or fewer than its stat says: who reads as many as that would take a part for the whole. */
  noteTrueSize(path: string, sizeBytes: number): void {
    if (this.#trueSizes.size >= DAMAGED_MOST) this.#trueSizes.clear();
    this.#trueSizes.set(path, sizeBytes);
    if (this.catalog.sizeOf(path) !== undefined) this.#learnBlob(path, sizeBytes, 0);
    this.changed(path);
  }

  noteDamaged(path: string, reason: string): void {
    if (this.damaged.size >= DAMAGED_MOST) this.damaged.clear();
    this.damaged.set(path, reason);
  }

  /** Swift does not have it any more, or is not to. No kill of the daemon brings it back. */
  unlearn(path: string): void {
    if (this.catalog.sizeOf(path) === undefined) return;
    this.catalog.delete(path);
    this.names.removed(path);
    this.names.flush();
  }

  /** Runs a request that changes the container. @param stores the object that it stores, if it does */
  change<T>(request: () => Promise<T>, stores?: string): Promise<T> {
    return this.ownChanges.run(request, stores);
  }

  /** A directory exists from now on, also when it becomes empty; so do those above it. */
  recordDirectory(path: string): void {
    if (path === '' || (this.spool.directories.has(path) && !this.spool.unrecordedDirectories.has(path))) return;
    this.recordDirectory(splitPath(path).directory);
    this.spool.addDirectory(path, Date.now());
  }

  /** As {@link recordDirectory}, for a lookup that found one: it stays also while the disk of the spool has no room for a record. */
  noteDirectory(path: string): void {
    if (path === '' || this.spool.directories.has(path)) return;
    this.noteDirectory(splitPath(path).directory);
    this.spool.noteDirectory(path, Date.now());
  }

  /** Whether something is known, here and now, to be at or below a directory. */
  hasLocalBelow(directory: string): boolean {
    if (this.catalog.hasBelow(directory)) return true;
    const prefix = joinPath(directory, '');
    for (const path of this.spool.pending.keys()) if (path.startsWith(prefix)) return true;
    for (const path of this.live.keys()) if (path.startsWith(prefix)) return true;
    return false;
  }

  /**
   * @param mayAsk whether Swift is to be told that this machine has left
   * @returns false when Swift did not answer
   */
  async close(mayAsk: boolean): Promise<boolean> {
    await this.names.close();
    try {
      if (mayAsk) await this.binding.leave();
      return true;
    } catch (error) {
      this.log.debug('container.leave', { reason: messageOf(error) });
      return kindOf(error) !== 'unavailable';
    }
  }
}
