/**
 * Programs that look for the same directory in the same moment, find none, and all make it. One of them does; the others get EEXIST, which Odoo up to 18
 * does not expect (`if not os.path.isdir(d): os.makedirs(d)`). On a local disk that takes two looks within microseconds. Here the first look waits for
 * Swift, and the kernel lets all who came meanwhile ask right after it, one by one, and keeps the parent directory from the first, who waits to make his
 * directory in it, until all have been told.
 *
 * So who asks just after another was told "none" waits until that one is seen in mkdir(2). Then the directory is promised: it is there, by that mkdir, before
 * it has reached us; the kernel brings it when the looks are over. Its own look is still told "none", for the kernel would say EEXIST, and it
 * succeeds, as it does on a local disk where it comes first (docs/decisions/0015).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { systemCallOf } from '../base/system-call.js';

/** From a "no" to the mkdir that follows it, for Python programs that have to wait for a processor. The parent directory is kept meanwhile. */
const MAKE_MS = 30;
/** Who asks so soon after another was told did so beside him. */
const BESIDE_MS = 200;
/** The parent may be kept from who makes it for as long as somebody looks for another name in it, and waits for Swift. */
const PROMISED_MOST_MS = 10_000;
/** A thread that has just sent its request may still be "running". */
const TRIES = 5;

interface Absent {
  readonly sinceMs: number;
  /** Threads that were told that it is not there, and may be about to make it. */
  readonly told: Set<number>;
  untilMs: number;
  /** Others have been told that it is there. */
  isPromised: boolean;
}

export class FirstMakers {
  /** By path: only names that Odoo gives to directories, so there are no more than some thousands. */
  readonly #absent = new Map<string, Absent>();
  readonly #callOf: typeof systemCallOf;

  constructor(callOf = systemCallOf) {
    this.#callOf = callOf;
  }

  /**
   * A directory is not there.
   * @param pid of the thread that is to be told so
   * @returns whether it is promised instead: another thread makes it
   */
  async isBeingMade(path: string, pid: number): Promise<boolean> {
    const found = this.#young(path);
    const now = steadyNowMs();
    const absent = found ?? { sinceMs: now, told: new Set(), untilMs: now + BESIDE_MS, isPromised: false };
    if (found === undefined) this.#absent.set(path, absent);
    const { told, sinceMs } = absent;
    while (told.size > 0 && !told.has(pid) && steadyNowMs() < sinceMs + MAKE_MS) {
      const [own, ...others] = await Promise.all([pid, ...told].map(this.#callOf));
      if (own === 'mkdir' || others.every((call) => call === undefined)) break;
      if (own === 'other' && others.includes('mkdir')) {
        if (!absent.isPromised) void this.#keep(path, absent);
        absent.isPromised = true;
        return true;
      }
      await delay(1);
    }
    told.add(pid);
    return false;
  }

  /** Whether others were told that it is there, and who makes it has not done so yet: nobody may keep in mind what he is told of it. */
  isPromised(path: string): boolean {
    return this.#absent.size > 0 && this.#young(path)?.isPromised === true;
  }

  /** Of a promised directory: whether this thread, which looks for it, is the one that makes it. If not it is told that the directory is there, and knows. */
  async isLookOfMaker(path: string, pid: number): Promise<boolean> {
    const told = this.#absent.get(path)?.told;
    if (told?.has(pid) !== true) return false;
    for (let tries = 0; tries < TRIES; tries++) {
      const call = await this.#callOf(pid);
      if (call === 'mkdir') return true;
      if (call !== 'running') break;
      await delay(1);
    }
    told.delete(pid);
    return false;
  }

  /** Whether the mkdir of this thread is the one by which a promised directory is there. */
  isMaker(path: string, pid: number): boolean {
    const absent = this.#young(path);
    return absent?.isPromised === true && absent.told.has(pid);
  }

  /** It was made, removed or renamed: what is there is what it looks like. */
  settled(path: string): void {
    this.#absent.delete(path);
  }

  /** For as long as somebody is seen to make it. */
  async #keep(path: string, absent: Absent): Promise<void> {
    while (this.#absent.get(path) === absent && steadyNowMs() < absent.sinceMs + PROMISED_MOST_MS) {
      const calls = await Promise.all([...absent.told].map(this.#callOf));
      if (calls.includes('mkdir')) absent.untilMs = steadyNowMs() + BESIDE_MS;
      else if (steadyNowMs() >= absent.untilMs) return;
      await delay(BESIDE_MS / 8, undefined, { ref: false });
    }
  }

  #young(path: string): Absent | undefined {
    const absent = this.#absent.get(path);
    if (absent === undefined || absent.untilMs >= steadyNowMs()) return absent;
    this.#absent.delete(path);
    return undefined;
  }
}
