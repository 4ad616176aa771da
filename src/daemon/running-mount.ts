/**
 * A mount that serves: its status, and its end.
 *
 *     serving ──stop──► draining ──► unmounting ──► closing ──► ended
 *        ▲                               │ busy, and the stop would rather be refused
 *        └───────────────────────────────┘
 *     serving ──the kernel says it is unmounted──► closing ──► ended
 *
 * INVARIANT: the parts are closed once, in the order in which nothing uses what is closed before it: control, driver, filestore, cache,
 * store, origin, locks. What is pending stays in the spool whatever goes wrong here.
 */
import { kindOf, messageOf } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import type { Log } from '../base/log.js';
import type { BlobCache } from '../cache/cache.js';
import type { Settings } from '../config/options.js';
import type { RunningFilestore } from '../filestore/filestore-options.js';
import type { MountStatus } from '../filestore/mount-status.js';
import type { Mounted } from '../fuse/driver.js';
import type { RecentError } from './recent-errors.js';

interface MountParts {
  readonly settings: Settings;
  readonly mountPoint: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly recentErrors: readonly RecentError[];
  readonly cache: BlobCache;
  readonly filestore: RunningFilestore;
  readonly mounted: Mounted;
  /** Why the cache keeps nothing. */
  readonly cacheProblem: () => string | undefined;
  /** A thread of the pool is at work in the origin, maybe for ever. */
  readonly isOriginAsked: () => boolean;
  readonly openFiles: () => number;
  readonly requestsToSwift: () => Readonly<Record<string, number>>;
  /** Closes every part, in order; the driver's unmount of a mount that has ended does nothing. */
  readonly close: () => Promise<void>;
}

/** `refuse`: a busy mount goes on serving and the stop throws `busy`; `detach`: open files end by themselves. */
type WhenBusy = 'refuse' | 'detach';

export class RunningMount {
  readonly #parts: MountParts;
  readonly #startedAtMs: number;
  #stopping: Promise<number> | undefined;
  #closing: Promise<void> | undefined;
  #kernelLetGo = false;
  #end: () => void = () => undefined;
  /** Settles when the mount has ended and everything is closed. */
  readonly ended = new Promise<void>((resolve) => (this.#end = resolve));

  constructor(parts: MountParts) {
    this.#parts = parts;
    this.#startedAtMs = parts.clock.nowMs();
    void parts.mounted.ended.then(() => {
      this.#kernelLetGo = true;
      if (this.#stopping !== undefined || this.#closing !== undefined) return;
      parts.log.info('unmounted-by-another', { mountPoint: parts.mountPoint });
      return this.stop('detach').catch((error: unknown) => parts.log.error('stop-failed', { reason: messageOf(error) }));
    });
  }

  /** No thread can be blocked for ever: no program reaches the mount any more, not even by a file it still had open, and the origin is asked nothing. */
  get mayExit(): boolean {
    return this.#kernelLetGo && !this.#parts.mounted.isHeld && !this.#parts.isOriginAsked();
  }

  status(): MountStatus {
    const { settings, filestore, cache, mounted } = this.#parts;
    const databases = filestore.databases;
    const { files, bytes, budgetBytes, hits, misses, quarantined } = cache.statistics;
    const degraded = databases.some((database) => database.state !== 'serving');
    return {
      version: this.#parts.version,
      pid: process.pid,
      mountPoint: this.#parts.mountPoint,
      startedAtMs: this.#startedAtMs,
      driver: mounted.description,
      passthrough: mounted.capabilities.passthrough,
      readOnly: false,
      state: this.#stopping !== undefined || this.#closing !== undefined ? 'stopping' : degraded ? 'degraded' : 'serving',
      safeToLoseThisMachine: databases.every(
        ({ state, isContainerLost, pendingWrites }) => state !== 'refused' && !isContainerLost && pendingWrites === 0,
      ),
      databases,
      cache: { files, bytes, budgetBytes, hits, misses, quarantined, problem: this.#parts.cacheProblem() },
      spoolDirectory: settings.spoolDirectory,
      cacheDirectory: settings.cacheDirectory,
      openFiles: this.#parts.openFiles(),
      requestsToSwift: this.#parts.requestsToSwift(),
      recentErrors: [...this.#parts.recentErrors],
    };
  }

  /**
   * Publishes what is pending for at most `drain_timeout`, unmounts, closes. Called again while it runs, it is the same stop.
   * @returns how many writes and deletes stay in the spool for the next start
   * @throws FilestoreError busy (names who holds it) with `refuse` only
   */
  stop(whenBusy: WhenBusy): Promise<number> {
    if (this.#stopping === undefined && this.#closing !== undefined) return this.#closing.then(() => this.#pending());
    this.#stopping ??= this.#stop(whenBusy).finally(() => (this.#stopping = undefined));
    return this.#stopping;
  }

  /** Ends the mount without waiting for anything; the rest is the next start's. */
  async abandon(): Promise<void> {
    await this.#parts.mounted.unmount('detach');
  }

  async #stop(whenBusy: WhenBusy): Promise<number> {
    const { log, clock, settings } = this.#parts;
    const untilMs = clock.nowMs() + settings.drainTimeoutMs;
    log.info('stopping', { pending: this.#pending(), drainTimeoutMs: settings.drainTimeoutMs });
    await this.#drain(settings.drainTimeoutMs);
    await this.#unmount(whenBusy);
    // What was written between the drain and the unmount.
    if (this.#pending() > 0) await this.#drain(Math.max(0, untilMs - clock.nowMs()));
    const left = this.#pending();
    await this.#close();
    if (left > 0) log.info('left-in-spool', { pending: left, spool: settings.spoolDirectory, next: 'the next start publishes it' });
    return left;
  }

  async #drain(timeoutMs: number): Promise<void> {
    try {
      await this.#parts.filestore.drain(timeoutMs);
    } catch (error) {
      this.#parts.log.error('drain-failed', { reason: messageOf(error) });
    }
  }

  async #unmount(whenBusy: WhenBusy): Promise<void> {
    const { mounted, log, mountPoint } = this.#parts;
    try {
      await mounted.unmount('clean');
    } catch (error) {
      if (kindOf(error) !== 'busy' || whenBusy === 'refuse') throw error;
      log.warn('unmount-busy', { mountPoint, reason: messageOf(error), next: 'detached; open files end by themselves' });
      await mounted.unmount('detach');
    }
  }

  #pending(): number {
    return this.#parts.filestore.databases.reduce((sum, database) => sum + database.pendingWrites + database.pendingDeletes, 0);
  }

  #close(): Promise<void> {
    this.#closing ??= this.#closeParts();
    return this.#closing;
  }

  async #closeParts(): Promise<void> {
    try {
      await this.#parts.close();
    } catch (error) {
      this.#parts.log.error('close-failed', { reason: messageOf(error) });
    }
    this.#end();
  }
}
