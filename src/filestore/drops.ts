/**
 * How a database of a whole-filestore mount ends: its directory goes at once, its container when Swift has been told of all that was
 * deleted in it. With several nodes the container is marked first, so that it is gone for them too (dropped-elsewhere.ts).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { displayName, pathOfObject } from '../base/names.js';
import { storeNowMs } from '../store/store-now.js';
import { isDontKnow, lookupPatienceMs } from './ask-swift.js';
import { ContainerLost } from './container-lost.js';
import { DROPPED_KEY } from './container-metadata.js';
import { endGrace, rmdir } from './delete-path.js';
import type { Requester } from './filestore.js';
import { list } from './list-path.js';
import { lookForUnseen } from './look-for-unseen.js';
import type { OpenDatabase } from './open-database.js';

const DROP_TRIES = 30;
const DROP_PAUSE_MS = 2_000;
const DROP_FIRST_PAUSE_MS = 50;

export class Drops {
  /** Their containers are still being removed. */
  readonly #leaving = new Set<OpenDatabase>();
  readonly #isClosed: () => boolean;

  /** @param isClosed the mount ends */
  constructor(isClosed: () => boolean) {
    this.#isClosed = isClosed;
  }

  isUnderWay(opened: OpenDatabase): boolean {
    return this.#leaving.has(opened);
  }

  /**
   * The drop's last step: the directory is empty. The container goes when Swift has been told of all deletes.
   * @throws FilestoreError not-empty
   */
  async drop(opened: OpenDatabase, requester: Requester): Promise<void> {
    const { db } = opened;
    const lookedAtMs = await this.#lookForUnseen(opened, requester);
    const names = await list(db, '', requester);
    for (const { name, kind } of names) {
      if (kind === 'file') throw new FilestoreError('not-empty', `${displayName(db.name)} is not empty`);
      // A directory that only a lagging listing still shows: rmdir asks for each of its names.
      if (!db.spool.directories.has(name) && name !== 'checklist') await rmdir(db, name, requester);
      else throw new FilestoreError('not-empty', `${displayName(db.name)} is not empty`);
    }
    // `bound`: the container may still be there.
    const dropMark = String(storeNowMs(db.store));
    opened.update({ exists: false, originHidden: true, bound: true, dropMark, dropMarked: false, droppedAtMs: lookedAtMs });
    db.hideOrigin();
    endGrace(db);
    void this.removeContainer(opened);
  }

  /**
   * The end of the container takes all that is in it: with several nodes that must not be what one has stored and the other has not seen.
   * @returns up to when, by the store's clock, all that another node had stored was seen: when Swift cannot be asked, that of the last complete listing
   */
  async #lookForUnseen({ db }: OpenDatabase, { signal }: Requester): Promise<number> {
    const startedMs = storeNowMs(db.store);
    if (db.settings.nodes === 'one' || !db.binding.isBound) return startedMs;
    try {
      await db.health.answerOrAway(() => lookForUnseen(db), signal, lookupPatienceMs(db));
      return startedMs;
    } catch (error) {
      if (!isDontKnow(error)) throw error;
      db.log.debug('database.not-looked-at', { database: displayName(db.name), reason: messageOf(error) });
      return db.catalog.completeAtMs + db.store.clockAheadMs;
    }
  }

  /** Never rejects; what it could not finish is tried again after the next start, or stays as a container of nobody. */
  async removeContainer(opened: OpenDatabase): Promise<void> {
    if (this.#leaving.has(opened)) return;
    this.#leaving.add(opened);
    let [failures, pauseMs] = [0, DROP_FIRST_PAUSE_MS];
    while (failures < DROP_TRIES && !opened.record.exists && !this.#isClosed()) {
      try {
        if (await this.#tryToRemove(opened)) break;
      } catch (error) {
        if (!opened.db.health.isAway && !(error instanceof ContainerLost)) failures++;
        opened.db.log.debug('container.not-removed', { container: opened.db.container, reason: messageOf(error) });
      }
      await delay(pauseMs, undefined, { ref: false });
      pauseMs = Math.min(2 * pauseMs, DROP_PAUSE_MS);
    }
    this.#leaving.delete(opened);
  }

  /** @returns whether nothing is left to do. @throws what the store throws; not-empty */
  async #tryToRemove(opened: OpenDatabase): Promise<boolean> {
    const { db, publisher } = opened;
    const isShared = db.settings.nodes === 'many';
    const { dropMark } = opened.record;
    if (!db.binding.isBound) await db.health.answerOrAway(() => db.binding.assertOurAccount({ priority: 'background' }));
    // From now on it is gone for the other nodes too, however long its deletes take.
    if (isShared && opened.record.dropMarked !== true) {
      const mark = dropMark ?? String(storeNowMs(db.store));
      await db.health.answerOrAway(() => db.binding.markDropped(mark)).finally(() => db.wake());
      if (this.#isClosed() || opened.record.dropMark !== dropMark) return false;
      opened.update({ dropMarked: true });
    }
    if (!(await publisher.drain(0)) || opened.record.exists || this.#isClosed()) return false;
    // Without the mark it is gone, or somebody has made the database anew, and it is no longer ours to remove.
    const isRemoved = !isShared || (await db.health.answerOrAway(() => db.binding.mayRemove()));
    if (this.#isClosed() || (isRemoved && !(await this.#deleteContainer(opened))) || this.#isClosed()) return false;
    // Made anew and dropped again meanwhile: that is still to be done.
    if (opened.record.dropMark !== dropMark) return false;
    db.binding.unbind();
    if (!opened.record.exists) opened.update({ bound: false });
    const event = isRemoved ? 'container.removed' : 'container.left';
    db.log.info(event, { container: db.container, database: displayName(db.name) });
    return true;
  }

  /**
   * What a listing did not show when the database's directories were removed goes with the drop; what another node has stored since is a
   * database made anew, and the mark is taken from it. With one node there is no other, and two clocks are not compared.
   * @returns whether nothing is left to do
   */
  async #deleteContainer(opened: OpenDatabase): Promise<boolean> {
    const { db } = opened;
    const { health, settings, store, container } = db;
    const droppedAtMs = settings.nodes === 'one' ? Infinity : opened.record.droppedAtMs;
    const options = { priority: 'background' as const };
    try {
      await health.answerOrAway(() => store.deleteContainer(container, options));
      return true;
    } catch (error) {
      if (kindOf(error) !== 'not-empty' || droppedAtMs === undefined) throw error;
    }
    for await (const page of store.list(container, options)) {
      if (this.#isClosed() || opened.record.exists) return false;
      for (const { name, lastModifiedMs } of page) {
        if (lastModifiedMs <= droppedAtMs) db.spool.bury(pathOfObject(name), { owedToSwift: true });
        // A listing may lag behind a delete of ours.
        else if ((await store.head(container, name, options)) !== undefined) {
          await store.updateContainer(container, { [DROPPED_KEY]: '' }, options);
          return true;
        }
      }
    }
    db.wake();
    return false;
  }
}
