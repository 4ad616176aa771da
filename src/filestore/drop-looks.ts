/** Looks, in a whole-filestore mount with several nodes, whether another node has dropped a database: who is told that it is there copies nothing into it. */
import { steadyNowMs } from '../base/clock.js';
import { messageOf } from '../base/errors.js';
import { displayName } from '../base/names.js';
import { isDontKnow, lookupPatienceMs } from './ask-swift.js';
import type { OpenDatabase } from './open-database.js';

/** For so long a look that failed counts as one: what Swift did not answer now holds up one call, and not each. */
const LOOK_PAUSE_MS = 1_000;

export class DropLooks {
  /** Until when nobody looks again, on the clock of `steadyNowMs`. */
  readonly #restsUntilMs = new WeakMap<OpenDatabase, number>();

  /** Whether another node may have dropped it since somebody looked. */
  mustLook(open: OpenDatabase): boolean {
    const { db } = open;
    const isDue = db.binding.isBound && db.sinceSeenMs >= db.trustMs && !db.health.isAway;
    return isDue && (this.#restsUntilMs.get(open) ?? 0) <= steadyNowMs();
  }

  /** @throws what the store throws; unavailable when it took too long for a LOOKUP */
  async look(open: OpenDatabase, signal?: AbortSignal): Promise<void> {
    const { db } = open;
    try {
      await db.health.answerOrAway(() => db.binding.look(), signal, lookupPatienceMs(db));
    } catch (error) {
      if (isDontKnow(error)) this.#restsUntilMs.set(open, steadyNowMs() + LOOK_PAUSE_MS);
      throw error;
    }
  }

  /** Never rejects. */
  async lookAtAll(open: readonly OpenDatabase[]): Promise<void> {
    const due = open.filter((each) => each.record.exists && this.mustLook(each));
    const look = async (each: OpenDatabase): Promise<void> => {
      try {
        await this.look(each);
      } catch (error) {
        each.db.log.debug('database.not-looked-at', { database: displayName(each.db.name), reason: messageOf(error) });
      }
    };
    await Promise.all(due.map(look));
  }
}
