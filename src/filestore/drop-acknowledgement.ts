/** Another node that drops a database keeps its container until each node has said that it has seen that; this is how ours says so, over failures. */
import { setTimeout as delay } from 'node:timers/promises';
import { kindOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { FORGETTING, type ContainerClaim } from './container-claim.js';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 300_000;

export class DropAcknowledgement {
  readonly #claim: ContainerClaim;
  readonly #log: Log;
  #isOwed = false;

  constructor(claim: ContainerClaim, log: Log) {
    this.#claim = claim;
    this.#log = log;
  }

  /** Never rejects; where Swift does not take it, the empty container stays for its time. */
  async send(): Promise<void> {
    this.#isOwed = true;
    for (let pauseMs = FIRST_PAUSE_MS; this.#isOwed; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        await this.#claim.forget({}, FORGETTING, () => this.#isOwed);
        this.#isOwed = false;
      } catch (error) {
        if (kindOf(error) === 'not-found') this.#isOwed = false;
        this.#log.debug('container.drop-not-acknowledged', { reason: messageOf(error) });
      }
      if (this.#isOwed) await delay(pauseMs, undefined, { ref: false });
    }
  }

  /** The database is made again here: this machine is to be in its container. */
  cancel(): void {
    this.#isOwed = false;
  }

  /** The last try, at the end of the mount, if none is under way. @throws what the store throws */
  async sendLast(timeoutMs: number): Promise<void> {
    const isOwed = this.#isOwed && !this.#claim.isWriting;
    this.#isOwed = false;
    if (isOwed) await this.#claim.forget({}, { timeoutMs });
  }
}
