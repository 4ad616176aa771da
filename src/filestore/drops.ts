/**
 * How a database of a whole-filestore mount ends: its directory goes at once, its container when Swift has been told of all that was
 * deleted in it. With several nodes the container is marked first, so that it is gone for them too (dropped-elsewhere.ts), and stays, empty and marked,
 * until each of them has seen that: one that finds no container cannot tell a drop from a loss.
 *
 *    dropped ──► leaving: told of its deletes, marked ──► waiting for other nodes ──► removed
 *                   └──────(made anew, here or elsewhere)──────┴──► left
 */
import { steadyNowMs } from '../base/clock.js';
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
import { owesNothing } from './owed.js';

const DROP_TRIES = 30;
const DROP_PAUSE_MS = 2_000;
const DROP_FIRST_PAUSE_MS = 50;
/** Others that run have seen the mark by then; those that do not are looked for less often. */
const WAIT_SHORT_MS = 120_000;
const WAIT_PAUSE_MS = 60_000;
/** Between two looks that have to agree. */
const SECOND_LOOK_MS = 1_000;

const BACKGROUND = { priority: 'background' } as const;

/** `left`: to who has made the database anew, or stored something in it since. */
type Step = 'removed' | 'left' | 'again' | 'waits';

/** What the looks at a marked container have said, all of them since then, by `steadyNowMs`, of the drop with this mark. */
interface Attempt {
  mark: string | undefined;
  verdict: Step | undefined;
  sinceMs: number;
}

export class Drops {
  /** Their containers are still being emptied. */
  readonly #leaving = new Set<OpenDatabase>();
  /** Those, and what waits for other nodes; called with a new drop of one that is on its way already. */
  readonly #wakes = new Map<OpenDatabase, () => void>();
  /** Dropped again while a try at the drop before was under way: the next try follows at once. */
  readonly #isNew = new Set<OpenDatabase>();
  readonly #isClosed: () => boolean;

  /** @param isClosed the mount ends */
  constructor(isClosed: () => boolean) {
    this.#isClosed = isClosed;
  }

  isUnderWay(opened: OpenDatabase): boolean {
    return this.#leaving.has(opened);
  }

  /** Its empty container is kept for other nodes: that it has no mark says that they have made the database anew, or that a server of Swift lags. */
  isWaiting(opened: OpenDatabase): boolean {
    return this.#wakes.has(opened) && !this.#leaving.has(opened);
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
    const dropMarked = isShared(opened) ? false : undefined;
    opened.update({ exists: false, originHidden: true, bound: true, dropMark, dropMarked, droppedAtMs: lookedAtMs });
    db.hideOrigin();
    endGrace(db);
    this.#begin(opened);
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

  /** A drop that was cut short by the end of the life before, or waited for other nodes then, goes on. */
  resume(opened: OpenDatabase): void {
    const hasWaited = opened.record.dropMarked === true && owesNothing(opened.db.spool);
    if (!hasWaited) this.#leaving.add(opened);
    void this.#removeContainer(opened);
  }

  #begin(opened: OpenDatabase): void {
    this.#leaving.add(opened);
    const wake = this.#wakes.get(opened);
    if (wake === undefined) void this.#removeContainer(opened);
    else {
      this.#isNew.add(opened);
      wake();
    }
  }

  /** Never rejects; what it could not finish is tried again after the next start, or stays as a container of nobody. */
  async #removeContainer(opened: OpenDatabase): Promise<void> {
    this.#wakes.set(opened, () => undefined);
    const attempt: Attempt = { mark: undefined, verdict: undefined, sinceMs: 0 };
    let [failures, pauseMs] = [0, DROP_FIRST_PAUSE_MS];
    while (failures < DROP_TRIES && !opened.record.exists && !this.#isClosed()) {
      try {
        const step = await this.#tryToRemove(opened, attempt);
        if (step === 'removed' || step === 'left') break;
        failures = 0;
      } catch (error) {
        if (this.#leaving.has(opened) && !opened.db.health.isAway && !(error instanceof ContainerLost)) failures++;
        opened.db.log.debug('container.not-removed', { container: opened.db.container, reason: messageOf(error) });
      }
      const hasWaited = attempt.verdict === 'waits' && steadyNowMs() - attempt.sinceMs > WAIT_SHORT_MS;
      await this.#pause(opened, hasWaited ? WAIT_PAUSE_MS : pauseMs);
      pauseMs = Math.min(2 * pauseMs, DROP_PAUSE_MS);
    }
    this.#leaving.delete(opened);
    this.#wakes.delete(opened);
  }

  #pause(opened: OpenDatabase, ms: number): Promise<void> {
    if (this.#isNew.delete(opened)) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#wakes.set(opened, () => {
        clearTimeout(timer);
        this.#isNew.delete(opened);
        resolve();
      });
    });
  }

  /** @throws what the store throws; not-empty */
  async #tryToRemove(opened: OpenDatabase, attempt: Attempt): Promise<Step> {
    const { db, publisher } = opened;
    const { dropMark } = opened.record;
    if (!db.binding.isBound) await db.health.answerOrAway(() => db.binding.assertOurAccount(BACKGROUND));
    // From now on it is gone for the other nodes too, however long its deletes take.
    if (isShared(opened) && opened.record.dropMarked !== true) {
      const mark = dropMark ?? String(storeNowMs(db.store));
      const outcome = await db.health.answerOrAway(() => db.binding.markDropped(mark)).finally(() => db.wake());
      if (outcome === 'overtaken' || this.#isClosed() || opened.record.exists || opened.record.dropMark !== dropMark) return 'again';
      opened.update({ dropMark: mark, dropMarked: true });
      return 'again';
    }
    if (!(await publisher.drain(0)) || opened.record.exists || this.#isClosed()) return 'again';
    let step: Step = 'removed';
    if (isShared(opened)) step = await this.#look(opened, attempt);
    if (step === 'removed') step = await this.#deleteContainer(opened);
    if (step === 'waits') {
      if (opened.record.dropMark !== dropMark) return 'again';
      // Made anew elsewhere it is found again here, and there is nothing left that could be taken for it.
      this.#leaving.delete(opened);
      return step;
    }
    // Made anew and dropped again meanwhile: that is still to be done.
    if (step === 'again' || this.#isClosed() || opened.record.dropMark !== dropMark) return 'again';
    db.binding.unbind();
    if (!opened.record.exists) opened.update({ bound: false });
    db.log.info(`container.${step}`, { container: db.container, database: displayName(db.name) });
    return step;
  }

  /** Whether the drop still stands, and whom it waits for; a second look has to agree before something follows from it, since a server may lag. */
  async #look(opened: OpenDatabase, attempt: Attempt): Promise<Step> {
    const { db } = opened;
    const mark = opened.record.dropMark ?? '';
    // Without the mark it is gone, or somebody has made the database anew, and it is no longer ours to remove.
    const waitsFor = await db.health.answerOrAway(() => db.binding.dropWaitsFor(mark));
    if (this.#isClosed()) return 'again';
    const verdict = waitsFor === undefined ? 'left' : waitsFor.length === 0 ? 'removed' : 'waits';
    if (attempt.mark !== mark || attempt.verdict !== verdict) Object.assign(attempt, { mark, verdict, sinceMs: steadyNowMs() });
    if (waitsFor !== undefined && waitsFor.length > 0) return this.#keepEmpty(opened, waitsFor);
    return steadyNowMs() - attempt.sinceMs < SECOND_LOOK_MS ? 'again' : verdict;
  }

  /** @param waitsFor hosts of nodes that may know the database and have not seen the mark */
  async #keepEmpty(opened: OpenDatabase, waitsFor: readonly string[]): Promise<Step> {
    const { db } = opened;
    const step = await this.#goThrough(opened);
    if (step === 'waits' && this.#leaving.has(opened))
      db.log.info('container.kept', { container: db.container, database: displayName(db.name), until: `seen by ${waitsFor.join(', ')}` });
    return step;
  }

  async #deleteContainer(opened: OpenDatabase): Promise<Step> {
    const { health, store, container } = opened.db;
    try {
      await health.answerOrAway(() => store.deleteContainer(container, BACKGROUND));
      return 'removed';
    } catch (error) {
      if (kindOf(error) !== 'not-empty' || newestOfDropMs(opened) === undefined) throw error;
    }
    // Empty by now, as far as that was still to be seen.
    return (await this.#goThrough(opened)) === 'left' ? 'left' : 'again';
  }

  /**
   * What a listing did not show when the database's directories were removed goes with the drop; what another node has stored since is a
   * database made anew, and the mark is taken from it.
   * @returns `waits` when nothing is in the container
   */
  async #goThrough(opened: OpenDatabase): Promise<Step> {
    const { db } = opened;
    const { store, container } = db;
    const newestMs = newestOfDropMs(opened);
    if (newestMs === undefined) return 'waits';
    // What is stored under a name from now on is no part of what was dropped.
    const moment = newestMs === Infinity ? {} : { deletedAtMs: newestMs };
    let isEmpty = true;
    for await (const page of store.list(container, BACKGROUND)) {
      for (const { name, lastModifiedMs } of page) {
        if (this.#isClosed() || opened.record.exists) return 'again';
        isEmpty = false;
        if (lastModifiedMs <= newestMs) db.spool.bury(pathOfObject(name), { owedToSwift: true, ...moment });
        // A listing may lag behind a delete of ours.
        else if ((await store.head(container, name, BACKGROUND)) !== undefined) {
          await store.updateContainer(container, { [DROPPED_KEY]: '' }, BACKGROUND);
          return 'left';
        }
      }
    }
    if (!isEmpty) db.wake();
    return isEmpty ? 'waits' : 'again';
  }
}

function isShared({ db }: OpenDatabase): boolean {
  return db.settings.nodes === 'many';
}

/**
 * Up to when what is stored is of the database that was dropped, by the store's clock. With one node there is no other, and two clocks are not compared.
 * @returns undefined when it is not known
 */
function newestOfDropMs(opened: OpenDatabase): number | undefined {
  return isShared(opened) ? opened.record.droppedAtMs : Infinity;
}
