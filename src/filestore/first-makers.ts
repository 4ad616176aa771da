/**
 * Programs that look for the same directory in the same moment, find none, and all make it. One of them does; the others get EEXIST, which Odoo up to 18
 * does not expect (`if not os.path.isdir(d): os.makedirs(d)`). On a local disk that takes two looks within microseconds. Here the first look waits for
 * Swift, and the kernel lets all who came meanwhile ask right after it, one by one, and keeps the parent directory from the first, who waits to make his
 * directory in it, until all have been told.
 *
 * So who asks just after another was told "none" waits until that one is seen in mkdir(2). Then the directory is there, by that mkdir, before it has reached us:
 * the kernel brings it when the looks are over. Its own look is still told "none", for the kernel would say EEXIST, and it succeeds, as it does on a
 * local disk where it comes first (docs/decisions/0015).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { isMakingDirectory } from '../base/system-call.js';

/** From a "no" to the mkdir that follows it, for a Python program that has to wait for a processor. The parent directory is kept meanwhile. */
const MAKE_MS = 10;
/** Who asks so soon after another was told did so beside him. */
const BESIDE_MS = 200;

interface Absent {
  /** Threads. */
  readonly told: Set<number>;
  readonly untilMs: number;
  /** Others have been told that it is there. */
  isPromised: boolean;
}

export class FirstMakers {
  /** By path: only names that Odoo gives to directories, so there are no more than some thousands. */
  readonly #absent = new Map<string, Absent>();

  /**
   * A directory is not there.
   * @param pid of the thread that is to be told so
   * @returns whether it is there after all: another thread makes it
   */
  async isBeingMade(path: string, pid: number): Promise<boolean> {
    const absent = this.#young(path);
    if (absent === undefined) {
      this.#absent.set(path, { told: new Set([pid]), untilMs: steadyNowMs() + BESIDE_MS, isPromised: false });
      return false;
    }
    const { told } = absent;
    const untilMs = steadyNowMs() + MAKE_MS;
    while (!told.has(pid) && isMakingDirectory(pid) === false && steadyNowMs() < untilMs) {
      const makes = [...told].map(isMakingDirectory);
      if (makes.includes(true)) {
        absent.isPromised = true;
        return true;
      }
      if (!makes.includes(false)) break;
      await delay(1);
    }
    told.add(pid);
    return false;
  }

  /** Whether others were told that it is there, and who makes it has not done so yet: nobody may rely on his knowledge of it. */
  isPromised(path: string): boolean {
    return this.#absent.size > 0 && this.#young(path)?.isPromised === true;
  }

  /** Whether a promised directory is one that this thread is making now. */
  isMaker(path: string, pid: number): boolean {
    return this.isPromised(path) && this.#absent.get(path)?.told.has(pid) === true && isMakingDirectory(pid) === true;
  }

  made(path: string): void {
    this.#absent.delete(path);
  }

  #young(path: string): Absent | undefined {
    const absent = this.#absent.get(path);
    if (absent === undefined || absent.untilMs >= steadyNowMs()) return absent;
    this.#absent.delete(path);
    return undefined;
  }
}
