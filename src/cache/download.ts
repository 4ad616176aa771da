/**
 * One download of one object, however many wait for it. Bytes are hashed as they come; a body that breaks off is taken up where it ended;
 * a source that is wrong or away is followed by the next.
 *
 *   starting ──source answers──► running ──hash right──► done
 *                  ▲ next source    └──hash wrong──┘ (nobody has seen a byte) or failed (somebody has)
 *
 * INVARIANT: `whole` gives out only what hashed to the key. Unverified bytes go to `readPart` alone, the last of them not before they are verified,
 * and once they turn out wrong every later call rejects with `corrupt`. Only who reads far ahead of the download gets its last bytes earlier.
 */
import { createHash } from 'node:crypto';
import { afterRequest } from '../base/after-request.js';
import type { Clock } from '../base/clock.js';
import { asError, FilestoreError, kindOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { algorithmOf, sumOf } from './cache-layout.js';
import type { HeldFile, CacheKey, Fill, FillSource } from './cache.js';
import { Deferred } from './deferred.js';
import { DownloadReader } from './download-reader.js';
import { readPartOf } from './fingerprint.js';
import type { Intermissions } from './intermissions.js';
import type { PartialFile } from './partial-file.js';
import { PreparedFile } from './prepared-file.js';
import { ProgressWaiters } from './progress-waiters.js';
import { discardBody, receiveBody } from './receive-body.js';
import { SharedFile } from './shared-file.js';
import { SideStreams } from './side-stream.js';
import { SourceTries } from './source-tries.js';
import { remedyOf } from './wrong-bytes.js';

/** An object up to this size is given to its readers before its file is written. */
const AT_ONCE_MAX_BYTES = 256 * 1024;
/** A reader this far ahead of the download gets a request of its own. */
const FAR_AHEAD_BYTES = 8 * 1024 * 1024;

interface DownloadOptions {
  readonly key: CacheKey;
  readonly sources: readonly FillSource[];
  /** Nobody waits for it, until `want` says so. */
  readonly isAhead: boolean;
  /** A copy that came in since the caller looked. */
  readonly openExisting: () => HeldFile | undefined | Promise<HeldFile | undefined>;
  /** @throws FilestoreError no-space when no more files may be open for reading */
  readonly assertRoom: () => void;
  readonly createPartial: (expectedBytes: number) => PartialFile;
  /** Takes the whole, verified file in. @returns it, pinned */
  readonly commit: (partial: PartialFile, sizeBytes: number) => HeldFile;
  /** Called when its last reader leaves before its end. */
  readonly onUnread: () => void;
  /** For the file of what was given to its readers already. */
  readonly intermissions: Intermissions;
  readonly log: Log;
  readonly clock: Clock;
}

export class Download {
  readonly #options: DownloadOptions;
  readonly #abort = new AbortController();
  readonly #wanted: AbortController | undefined;
  readonly #waiters = new ProgressWaiters();
  readonly #sides = new SideStreams(this.#abort.signal);
  readonly #total = new Deferred<number>();
  readonly #verifiedBytes = new Deferred<Uint8Array | undefined>();
  /** Somebody waits for those. */
  #areBytesWanted = false;
  #source: FillSource | undefined;
  #partial: PartialFile | undefined;
  readonly #prepared: PreparedFile;
  #hash = createHash('sha1');
  #totalBytes: number | undefined;
  #wasSeen = false;
  #isVerified = false;
  #failure: Error | undefined;
  #shared: SharedFile | undefined;
  #readers = 0;
  readonly finished: Promise<void>;

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.#prepared = new PreparedFile(options.createPartial, (error) => {
      options.log.debug('cache.not-prepared', { key: options.key, reason: messageOf(error) });
    });
    this.#wanted = options.isAhead ? new AbortController() : undefined;
    this.finished = this.#run();
    // Who waits hears of a failure; that nobody waits is no fault.
    this.finished.catch(() => undefined);
    this.#total.promise.catch(() => undefined);
    this.#verifiedBytes.promise.catch(() => undefined);
  }

  get key(): CacheKey {
    return this.#options.key;
  }

  get totalBytes(): Promise<number> {
    return this.#total.promise;
  }

  /** It is running for nobody, and holds a connection: what is verified has only its file to write. */
  get isUnread(): boolean {
    return this.#readers === 0 && !this.#isVerified;
  }

  get isGivenUp(): boolean {
    return this.#abort.signal.aborted;
  }

  get receivedBytes(): number {
    return this.#partial?.receivedBytes ?? 0;
  }

  /** Few bytes, as soon as they are verified; undefined when the file has to be taken. */
  get verifiedBytes(): Promise<Uint8Array | undefined> {
    this.#areBytesWanted = true;
    return this.#verifiedBytes.promise;
  }

  /** Joins one more reader. The download ends early when all readers were aborted, and goes on when the last just leaves. */
  join(signal: AbortSignal): Fill {
    this.#readers++;
    return new DownloadReader(this, signal, (isAborted) => {
      if (--this.#readers > 0) return;
      if (this.#shared !== undefined) this.#shared.release();
      else if (isAborted) this.cancel();
      else this.#options.onUnread();
    });
  }

  /** Somebody waits for it from now on. */
  want(): void {
    this.#wanted?.abort();
  }

  cancel(): void {
    this.#abort.abort(new FilestoreError('interrupted', `the download of ${this.key} was given up`));
  }

  /** @returns the verified file, pinned once more. Call when `finished` has resolved and a reader is still joined. */
  share(): HeldFile {
    if (this.#shared === undefined) throw new FilestoreError('internal', `${this.key}: not finished`);
    return this.#shared.share();
  }

  /** @throws FilestoreError corrupt, unavailable, interrupted, … */
  async readPart(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#shared !== undefined) return readShared(this.#shared.share(), offset, length);
      const end = Math.min(offset + length, this.#totalBytes ?? Number.POSITIVE_INFINITY);
      if (end <= offset) return new Uint8Array(0);
      const received = this.#partial?.receivedBytes ?? 0;
      if (this.#partial !== undefined && end <= received) {
        // Who reads to the end learns there whether all he read was right.
        if (end === this.#totalBytes) {
          await this.#waiters.orAbort(this.finished, signal);
          continue;
        }
        this.#wasSeen = true;
        return this.#partial.read(offset, end - offset);
      }
      if (this.#source !== undefined && this.#totalBytes !== undefined && offset > received + FAR_AHEAD_BYTES) {
        this.#wasSeen = true;
        try {
          return await this.#waiters.orAbort(this.#sides.read(this.#source, offset, end - offset), signal);
        } catch (error) {
          if (signal.aborted) throw error;
          // The download itself may still get there.
          this.#options.log.debug('cache.side-read-failed', { key: this.key, offset, reason: messageOf(error) });
        }
      }
      await this.#waiters.wait(end, signal);
    }
  }

  async #run(): Promise<void> {
    try {
      await this.#fill();
    } catch (error) {
      this.#failure = asError(this.#abort.signal.aborted ? this.#abort.signal.reason : error);
      this.#partial?.discard();
      this.#total.reject(this.#failure);
      this.#verifiedBytes.reject(this.#failure);
      throw this.#failure;
    } finally {
      this.#prepared.discard();
      this.#sides.close();
      this.#waiters.wakeAll();
    }
  }

  async #fill(): Promise<void> {
    const existing = await this.#options.openExisting();
    if (existing !== undefined) return this.#finish(existing);
    this.#options.assertRoom();
    const failures: unknown[] = [];
    for (const source of this.#options.sources) {
      try {
        if (await this.#fillFrom(source)) return;
      } catch (error) {
        if (this.#abort.signal.aborted) throw error;
        failures.push(error);
        if (kindOf(error) === 'no-space' || (kindOf(error) === 'corrupt' && this.#wasSeen)) break;
        this.#options.log.debug('cache.source-failed', { key: this.key, source: source.description, reason: messageOf(error) });
      }
    }
    throw this.#verdict(failures);
  }

  /** @returns false when this source does not have it */
  async #fillFrom(source: FillSource): Promise<boolean> {
    this.#source = source;
    const { clock } = this.#options;
    const tries = new SourceTries(clock);
    for (;;) {
      const start = this.#partial?.receivedBytes ?? 0;
      tries.begin();
      const opened = await this.#open(source, start);
      if (opened === undefined) return false;
      let partial: PartialFile;
      try {
        partial = this.#expect(opened.totalBytes, source);
      } catch (error) {
        discardBody(opened.body);
        throw error;
      }
      const broken = await receiveBody(opened.body, partial, {
        key: this.key,
        totalBytes: opened.totalBytes,
        hash: this.#hash,
        onReceived: () => this.#waiters.wake(partial.receivedBytes),
        signal: this.#abort.signal,
      });
      if (partial.receivedBytes === opened.totalBytes) {
        await this.#verify(partial, source);
        return true;
      }
      tries.brokeOff(partial.receivedBytes - start);
      if (tries.areEnough) {
        const at = `broke off at byte ${partial.receivedBytes} of ${opened.totalBytes}`;
        throw new FilestoreError('unavailable', `${source.description} ${at}: ${messageOf(broken ?? 'the body ended')}`, { cause: broken });
      }
      await clock.sleep(tries.pauseMs, this.#abort.signal);
    }
  }

  /** Asks, and makes the file ready meanwhile: that takes a disk a good part of the time that an answer takes. */
  async #open(source: FillSource, start: number): ReturnType<FillSource['open']> {
    const opening = source.open(start, this.#abort.signal, this.#wanted?.signal);
    const endPreparing = afterRequest(() => {
      if (this.#partial === undefined) this.#prepared.make(source.expectedBytes);
      this.#options.intermissions.begin();
    });
    try {
      return await opening;
    } finally {
      endPreparing();
    }
  }

  /** Opens the file at the first answer; another size later is another object. */
  #expect(totalBytes: number, source: FillSource): PartialFile {
    if (this.#partial !== undefined && this.#totalBytes === totalBytes) return this.#partial;
    if (this.#partial !== undefined && this.#partial.receivedBytes > 0) {
      this.#discardWrong();
      throw new FilestoreError('corrupt', `${source.description} has ${totalBytes} bytes under ${this.key}, not ${this.#totalBytes ?? 0}`);
    }
    this.#partial?.discard();
    this.#hash = createHash(algorithmOf(this.key));
    this.#partial = this.#prepared.take(totalBytes) ?? this.#options.createPartial(totalBytes);
    this.#totalBytes = totalBytes;
    this.#total.resolve(totalBytes);
    this.#waiters.wakeAll();
    return this.#partial;
  }

  async #verify(partial: PartialFile, source: FillSource): Promise<void> {
    const found = this.#hash.digest('hex');
    if (found === sumOf(this.key)) {
      this.#isVerified = true;
      await this.#giveBytes(partial.inMemory);
      await partial.finish();
      return this.#finish(this.#options.commit(partial, partial.receivedBytes));
    }
    const remedy = await remedyOf(partial);
    this.#options.log.warn('cache.fill-wrong-hash', {
      key: this.key,
      source: source.description,
      found,
      bytes: partial.receivedBytes,
      remedy,
    });
    this.#discardWrong();
    throw new FilestoreError('corrupt', `${source.description}: the bytes of ${this.key} hash to ${found}`);
  }

  /** Who waits to read gets his bytes first; the file is written behind him. */
  async #giveBytes(bytes: Uint8Array | undefined): Promise<void> {
    if (bytes === undefined || bytes.length > AT_ONCE_MAX_BYTES || !this.#areBytesWanted) return;
    this.#verifiedBytes.resolve(bytes);
    await this.#options.intermissions.next(this.#abort.signal);
  }

  #discardWrong(): void {
    this.#partial?.discard();
    this.#partial = undefined;
    this.#totalBytes = undefined;
  }

  #finish(file: HeldFile): void {
    this.#shared = new SharedFile(file);
    this.#total.resolve(file.sizeBytes);
    this.#verifiedBytes.resolve(undefined);
    if (this.#readers === 0) this.#shared.release();
  }

  /** "No" only when every source said so. */
  #verdict(failures: readonly unknown[]): unknown {
    const first = failures.find((failure) => kindOf(failure) === 'no-space') ?? failures.find((failure) => kindOf(failure) === 'corrupt');
    return first ?? failures[0] ?? new FilestoreError('not-found', `${this.key}: no source has it`);
  }
}

async function readShared(file: HeldFile, offset: number, length: number): Promise<Uint8Array> {
  try {
    return await readPartOf(file.fd, offset, Math.max(0, Math.min(length, file.sizeBytes - offset)));
  } finally {
    file.close();
  }
}
