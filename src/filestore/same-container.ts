/** Whether a new database would share its container with another one, whose name differs in case: refused when it is made, and not at a blob. */
import { FilestoreError } from '../base/errors.js';
import { displayName } from '../base/names.js';
import { isDontKnow, lookupPatienceMs } from './ask-swift.js';
import { databaseOf } from './container-metadata.js';
import type { ContainerInfo } from '../store/object-store.js';
import type { Drops } from './drops.js';
import type { OpenDatabase, SharedParts } from './open-database.js';

const REMEDY = 'choose a name that differs in more than case';

/** @throws FilestoreError invalid-name where one that this machine has served has the container, or still has it after a drop */
export function assertNoneHereHas(container: string, database: string, open: Iterable<OpenDatabase>, drops: Drops): void {
  for (const other of open) {
    if (other.db.name === database || other.db.container !== container) continue;
    const [name, otherName] = [displayName(database), displayName(other.db.name)];
    if (other.record.exists)
      throw new FilestoreError('invalid-name', `database "${name}" would share container ${container} with "${otherName}"; ${REMEDY}`);
    if (other.db.settings.nodes === 'many' && (drops.isWaiting(other) || drops.isUnderWay(other)))
      throw new FilestoreError(
        'invalid-name',
        `container ${container} is kept until all machines know that "${otherName}" was dropped; ${REMEDY}`,
      );
  }
}

/**
 * With several nodes another one may have it, or have dropped it.
 * @param assertAccount throws where the login leads to another account
 * @throws FilestoreError invalid-name; nothing while Swift cannot be asked: the container says so when it is asked for
 */
export async function assertNobodyElseHas(
  container: string,
  database: string,
  shared: SharedParts,
  assertAccount: () => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { health, store } = shared;
  const ask = async (): Promise<ContainerInfo | undefined> => {
    await assertAccount();
    return store.headContainer(container);
  };
  let owner: string | undefined;
  try {
    const info = await health.answerOrAway(ask, signal, lookupPatienceMs(shared));
    owner = info && databaseOf(info);
  } catch (error) {
    if (!isDontKnow(error)) throw error;
  }
  if (owner === undefined || owner === database) return;
  throw new FilestoreError(
    'invalid-name',
    `container ${container} is that of database "${displayName(owner)}", or was a moment ago; ${REMEDY}`,
  );
}
