/**
 * Opens the filestore of a mount: one database at its root, or databases as its first-level directories.
 *
 * A first mount needs Swift: it is refused with the reason. A container served before mounts degraded while Swift is away.
 */
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { fromUtf8 } from '../base/names.js';
import { untilAborted } from '../base/until-aborted.js';
import { ContainerLost } from './container-lost.js';
import { assertNotBeside, containerName } from './container-name.js';
import { Databases } from './databases.js';
import type { FilestoreParts, FilestoreSettings, RunningFilestore } from './filestore-options.js';
import { ManyFilestore } from './many-filestore.js';
import { Changes, isRecorded, openDatabase, type OpenDatabase, type SharedParts } from './open-database.js';
import { identify } from './own-registration.js';
import { RefusedDatabases } from './refused-databases.js';
import { SingleFilestore } from './single-filestore.js';
import { StoreHealth } from './store-health.js';

/** Kinds after which a container that was served before is mounted all the same. */
const DEGRADED_KINDS = new Set(['unavailable', 'bad-credentials', 'forbidden']);

/**
 * How a start asks that can do without Swift: programs have ENOTCONN or a bare directory meanwhile, and what failed now is tried again behind the
 * mount.
 */
const IN_A_HURRY = { timeoutMs: 5_000, tries: 'few' } as const;

/** @throws FilestoreError when a first mount cannot be served: bad-credentials, forbidden, unavailable, busy, exists, invalid-name */
export async function openFilestore(settings: FilestoreSettings, parts: FilestoreParts): Promise<RunningFilestore> {
  const { store, cache, log } = parts;
  // Twice lookup_wait: a LOOKUP that meets the silence as it begins still ends within a second by default.
  const health = new StoreHealth(store, 2 * settings.lookupWaitMs, log);
  const node = identify(settings.spoolDirectory);
  const refused = new RefusedDatabases(store, log, settings.acceptNewContainer);
  const shared: SharedParts = { settings, store, health, cache, node, log, changes: new Changes(), served: new Set(), refused };
  try {
    return settings.database === undefined ? await openMany(shared, parts) : await openOne(shared, parts, fromUtf8(settings.database));
  } catch (error) {
    health.close();
    throw error;
  }
}

async function openOne(shared: SharedParts, parts: FilestoreParts, database: string): Promise<RunningFilestore> {
  const container = containerName(shared.settings.containerPrefix, database);
  if (!isRecorded(shared.settings, database)) assertNotBeside(container, database);
  const opened = await openDatabase(shared, database, parts.origin, {});
  try {
    await bind(shared, opened);
  } catch (error) {
    await opened.giveUp();
    throw error;
  }
  return new SingleFilestore(shared, opened);
}

async function openMany(shared: SharedParts, parts: FilestoreParts): Promise<RunningFilestore> {
  const databases = new Databases(shared, parts.origin);
  try {
    await databases.openRecorded();
    const isKnown = databases.all().length > 0;
    try {
      // Where it takes longer, each database finds out by its own bind, and no other one is looked for in a stranger's account.
      await shared.health.watch(isKnown ? soon(databases.assertAccount(), 'the login') : databases.assertAccount());
      await shared.health.watch(databases.discover(isKnown ? IN_A_HURRY : {}));
    } catch (error) {
      if (error instanceof ContainerLost) throw new FilestoreError('bad-config', error.message, { cause: error });
      if (!isKnown || !DEGRADED_KINDS.has(kindOf(error))) throw error;
      warnDegraded(shared, messageOf(error));
    }
  } catch (error) {
    await databases.close(true);
    throw error;
  }
  databases.tryRefusedAgain();
  return new ManyFilestore(shared, databases);
}

/** What takes longer goes on by itself. @param what the message names. @throws FilestoreError unavailable */
function soon<T>(work: Promise<T>, what: string): Promise<T> {
  const { timeoutMs } = IN_A_HURRY;
  return untilAborted(
    work,
    AbortSignal.timeout(timeoutMs),
    () => new FilestoreError('unavailable', `${what}: no answer within ${timeoutMs} ms`),
  );
}

async function bind(shared: SharedParts, opened: OpenDatabase): Promise<void> {
  const { binding } = opened.db;
  // The publisher may have begun already, and has more time.
  const ensure = (): Promise<void> =>
    opened.record.bound ? soon(binding.ensure(IN_A_HURRY), `container ${opened.db.container}`) : binding.ensure();
  const bindOnceSure = async (): Promise<void> => {
    // Another node has dropped it: its container waits for a write.
    if (binding.isEnded) return soon(binding.assertOurAccount(IN_A_HURRY), `container ${opened.db.container}`);
    for (;;) {
      try {
        await ensure();
        return;
      } catch (error) {
        await binding.restIfDoubted(error);
      }
    }
  };
  try {
    await shared.health.watch(bindOnceSure());
  } catch (error) {
    if (error instanceof ContainerLost) throw new FilestoreError('bad-config', error.message, { cause: error });
    if (!(opened.record.bound || binding.isEnded) || !DEGRADED_KINDS.has(kindOf(error))) throw error;
    warnDegraded(shared, messageOf(error));
  }
}

function warnDegraded(shared: SharedParts, reason: string): void {
  shared.log.warn('mount.degraded', { reason, meaning: 'serving spool, cache and origin until Swift answers' });
}
