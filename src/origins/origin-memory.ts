/**
 * The names that an origin had when its directories were last read: its own, and those in the directories directly below. It says of a name that
 * it was not there, and of a directory that it was; of a file that was there it says nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { joinPath } from '../base/names.js';
import { NameList } from './name-list.js';
import type { Origin, OriginStat } from './origin.js';

/** A round reads only the directories that changed since the last one. */
const BETWEEN_ROUNDS_MS = 600_000;
/** The same while the origin is not read: a round that succeeds ends that. */
const TROUBLED_ROUND_MS = 5_000;
/** So that a large origin is read behind the requests, not before them. */
const BETWEEN_DIRECTORIES_MS = 10;
/** A time this close to the look may stand for two changes: file systems tell it in steps. */
const TIME_STEP_MS = 2_000;

interface Seen {
  readonly names: NameList;
  /** Of the directory; undefined: there is none, it is a file or gone. */
  readonly stat: OriginStat | undefined;
  /** Its time may stand for more than one change: it is read again. */
  readonly isUnsettled: boolean;
}

/** What may be said of a name without asking. */
interface Recalled {
  /** Undefined: it was not there. */
  readonly stat: OriginStat | undefined;
}

export class OriginMemory {
  readonly #origin: Origin;
  readonly #log: Log;
  readonly #directories = new Map<string, Seen>();
  readonly #end = new AbortController();
  /** Ends a long rest between two rounds; undefined while none is taken. */
  #rest: AbortController | undefined;
  #rounds: Promise<void> | undefined;

  constructor(origin: Origin, log: Log) {
    this.#origin = origin;
    this.#log = log;
  }

  /** Reads it from now on, round by round. */
  begin(): void {
    this.#rounds ??= this.#keepReading();
  }

  /** The origin was not read: the next round is not ten minutes away. */
  hurry(): void {
    this.#rest?.abort();
  }

  /** For good, with all that it knows. @returns when it reads nothing any more, which a disk that hangs may put off */
  async end(): Promise<void> {
    this.#end.abort();
    await this.#rounds;
    this.#directories.clear();
  }

  /** @param path byte string. @returns undefined where nothing can be said */
  recall(path: string): Recalled | undefined {
    const [first = '', second] = path.split('/', 2);
    const seen = this.#directories.get(path);
    if (seen?.stat !== undefined) return { stat: seen.stat };
    const isAbsent = this.#lacks('', first) || (second !== undefined && this.#lacks(first, second));
    return isAbsent ? { stat: undefined } : undefined;
  }

  #lacks(directory: string, name: string): boolean {
    return this.#directories.get(directory)?.names.has(name) === false;
  }

  async #keepReading(): Promise<void> {
    const { signal } = this.#end;
    try {
      for (;;) {
        if (!this.#isSilent) await this.#round(signal);
        const isHurried = this.#origin.trouble === undefined && (await this.#restLong(signal));
        if (isHurried || this.#origin.trouble !== undefined) await sleep(TROUBLED_ROUND_MS, undefined, { signal, ref: false });
      }
    } catch (error) {
      if (!signal.aborted) this.#log.warn('origin-names-not-kept', { origin: this.#origin.description, reason: messageOf(error) });
    }
  }

  /** @returns whether it was cut short */
  async #restLong(end: AbortSignal): Promise<boolean> {
    const rest = (this.#rest = new AbortController());
    try {
      await sleep(BETWEEN_ROUNDS_MS, undefined, { signal: AbortSignal.any([end, rest.signal]), ref: false });
      return false;
    } catch (error) {
      if (end.aborted) throw error;
      return true;
    } finally {
      this.#rest = undefined;
    }
  }

  /** A question is under way and has no answer: one more would hold one more thread. */
  get #isSilent(): boolean {
    return this.#origin.trouble !== undefined && this.#origin.isAsked;
  }

  async #round(signal: AbortSignal): Promise<void> {
    const beganMs = steadyNowMs();
    await this.#look('');
    const below = new Set(this.#directories.get('')?.names.others);
    for (const known of this.#directories.keys()) if (known !== '' && !below.has(known)) this.#directories.delete(known);
    for (const name of below) {
      if (this.#isSilent || signal.aborted) return;
      await this.#look(name);
      await sleep(BETWEEN_DIRECTORIES_MS, undefined, { signal, ref: false });
    }
    if (this.#directories.size === 0) return;
    const tookMs = Math.round(steadyNowMs() - beganMs);
    this.#log.debug('origin-names-read', { origin: this.#origin.description, directories: this.#directories.size, tookMs });
  }

  /** What fails leaves what was seen before. */
  async #look(directory: string): Promise<void> {
    try {
      const lookedAtMs = Date.now();
      const stat = await this.#origin.stat(directory);
      const before = this.#directories.get(directory);
      if (stat !== undefined && before?.stat?.mtimeMs === stat.mtimeMs && !before.isUnsettled) return;
      const names = stat?.kind === 'directory' ? await this.#origin.names(directory) : undefined;
      const isUnsettled = stat === undefined || stat.mtimeMs > lookedAtMs - TIME_STEP_MS;
      this.#directories.set(directory, { names: new NameList(names ?? []), stat: names === undefined ? undefined : stat, isUnsettled });
    } catch (error) {
      this.#log.debug('origin-not-listed', { origin: joinPath(this.#origin.description, directory), reason: messageOf(error) });
    }
  }
}
