/**
 * A disk that may hang: an NFS mount whose server is gone, a drive that is reset again and again. A system call there does not come back, cannot
 * be taken back, and holds a thread of the pool by which spool and cache work too.
 *
 * INVARIANT: no more than AT_ONCE of that pool's threads (eight, odoo-swiftfs.cts) are in here, and who asks hears within his patience.
 */
import { DiskFailed, FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { Patience } from '../base/patience.js';
import { PriorityLimiter } from '../base/priority-limiter.js';
import { untilAborted } from '../base/until-aborted.js';

const AT_ONCE = 4;

export interface DiskPatience {
  /** How long an answer is waited for, in ms. */
  readonly answerMs: number;
  /** The same while an earlier question is past that. */
  readonly silentMs: number;
}

export class PatientDisk {
  readonly #limiter = new PriorityLimiter(AT_ONCE);
  readonly #description: string;
  readonly #patience: DiskPatience;
  #isSilent = false;
  #trouble: string | undefined;

  /** @param description of what lies on it, for messages */
  constructor(description: string, patience: DiskPatience) {
    this.#description = description;
    this.#patience = patience;
  }

  /** Why the last question was not answered; undefined when it was. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** A question is under way, and a thread with it. */
  get isAsked(): boolean {
    return this.#limiter.running > 0;
  }

  /**
   * @param question makes one system call after the other
   * @param onLate is given an answer that nobody waits for any more
   * @throws DiskFailed when no answer came in time; interrupted; what the question throws
   */
  async ask<T>(question: () => Promise<T>, signal = new AbortController().signal, onLate?: (answer: T) => void): Promise<T> {
    const limitMs = this.#isSilent ? this.#patience.silentMs : this.#patience.answerMs;
    const patience = new Patience(signal, limitMs);
    const givenUp = (): FilestoreError => new FilestoreError('interrupted', `${this.#description} was not waited for`);
    let asked: Promise<T> | undefined;
    try {
      const leave = this.#limiter.enterNow('read') ?? (await this.#limiter.enter('read', patience.signal));
      asked = this.#heard(question()).finally(leave);
      return await untilAborted(asked, patience.signal, givenUp);
    } catch (error) {
      if (patience.signal.aborted) asked?.then(onLate, () => undefined);
      if (!patience.isLate || signal.aborted) throw error;
      this.#isSilent = true;
      this.#trouble = `no answer within ${limitMs} ms`;
      throw new DiskFailed(`${this.#description} gave ${this.#trouble}; look whether its disk, or the server of its disk, is there`);
    } finally {
      patience.end();
    }
  }

  async #heard<T>(answering: Promise<T>): Promise<T> {
    try {
      const answer = await answering;
      this.#trouble = undefined;
      return answer;
    } catch (error) {
      this.#trouble = isOfDisk(error) ? messageOf(error) : undefined;
      throw error;
    } finally {
      this.#isSilent = false;
    }
  }
}

/** What says nothing of one name only. */
function isOfDisk(error: unknown): boolean {
  const kind = kindOf(error);
  return !(error instanceof FilestoreError) && (kind === 'unavailable' || kind === 'internal');
}
