/**
 * What may be asked of Swift about a name, and what its answers teach; listings: list-swift.ts. Every answer is held against what happened here while
 * it travelled: a delete or a write of ours is newer than an answer that was on its way.
 */
import { steadyNowMs } from '../base/clock.js';
import { displayName, objectNameOf } from '../base/names.js';
import { FilestoreError, kindOf, StoreAnswered } from '../base/errors.js';
import type { ObjectInfo, RequestOptions, SizedInfo } from '../store/object-store.js';
import type { Database } from './database.js';
import { kindOfPath } from './path-kind.js';
import { believe } from './revival.js';

/**
 * To take what is not told for a size of 0 would be to call a document empty.
 * @throws StoreAnswered for an answer without the size
 */
export function sized(path: string, info: ObjectInfo): SizedInfo;
export function sized(path: string, info: ObjectInfo | undefined): SizedInfo | undefined;
export function sized(path: string, info: ObjectInfo | undefined): SizedInfo | undefined {
  if (info === undefined) return undefined;
  const { sizeBytes } = info;
  if (sizeBytes !== undefined) return { ...info, sizeBytes };
  throw new StoreAnswered(`${displayName(path)}: the answer has no Content-Length; something between us and Swift takes it away`);
}

/**
 * One HEAD however many ask; teaches the catalog.
 * @param tries 'few' for who does without the answer: a disk of Swift's that fails is not waited for
 * @throws FilestoreError unavailable as soon as Swift is away, invalid-name, …
 */
export function headOf(
  db: Database,
  path: string,
  signal?: AbortSignal,
  tries: RequestOptions['tries'] = 'many',
): Promise<SizedInfo | undefined> {
  const name = objectNameOf(path);
  return db.health.answerOrAway(
    () =>
      db.heads.run(path, async () => {
        await db.binding.assertOurAccount({ tries });
        const startedMs = steadyNowMs();
        const ask = async (newest: boolean): Promise<SizedInfo | undefined> =>
          sized(path, await db.store.head(db.container, name, { tries, newest }));
        let info = await ask(false);
        if (info === undefined && isKnownSince(db, path, startedMs)) info = await ask(true);
        if (db.ownChanges.wasDeletedSince(path, startedMs)) return undefined;
        if (info !== undefined) {
          if (!believe(db, path, info)) return undefined;
          learnInfo(db, path, info, startedMs);
        } else if (db.catalog.sizeOf(path) !== undefined) {
          await assertContainer(db, startedMs);
          callAbsent(db, path, startedMs);
        }
        return info;
      }),
    signal,
    lookupPatienceMs(db),
  );
}

/**
 * Whether a name that Swift says is not there is to be asked for once more, of all its servers (`newest`): it is known, and was not deleted here meanwhile.
 * One server that lags must not make a document vanish.
 */
export function isKnownSince(db: Database, path: string, askedAtMs: number): boolean {
  return db.catalog.sizeOf(path) !== undefined && !db.ownChanges.wasDeletedSince(path, askedAtMs);
}

/**
 * Swift said "not there" of a name that is known: it says so as well when the container is missing, or when we ask in the wrong account.
 * @param askedAtMs when the question set out
 * @throws StoreAnswered when the container is missing; unavailable, …
 */
export async function assertContainer(db: Database, askedAtMs: number): Promise<void> {
  if (db.dropped) return;
  try {
    await db.binding.assertThere(askedAtMs);
  } catch (error) {
    db.wake();
    throw error;
  }
}

/**
 * A known name that Swift does not have any more is forgotten, unless it was stored here while the question travelled.
 * @param askedAtMs when the question set out
 * @throws FilestoreError corrupt when the last that came of it was damaged: then Swift has set it aside, and "deleted" would be a lie
 */
export function callAbsent(db: Database, path: string, askedAtMs: number): void {
  const reason = db.damaged.get(path);
  if (reason !== undefined)
    throw new FilestoreError('corrupt', `${displayName(path)}: Swift has it no more after it sent it damaged (${reason})`);
  if (db.ownChanges.wasStoredSince(path, askedAtMs)) return;
  db.unlearn(path);
  db.changed(path);
}

/** Silence of all of Swift ends a LOOKUP after twice `lookup_wait`; a single slow answer is waited for longer, since it is no outage. */
export function lookupPatienceMs({ settings }: { readonly settings: Pick<Database['settings'], 'lookupWaitMs'> }): number {
  return 10 * settings.lookupWaitMs;
}

/** @param askedAtMs when the question set out: the answer is no younger than that */
export function learnInfo(db: Database, path: string, info: SizedInfo, askedAtMs: number): void {
  if (kindOfPath(path) === 'blob') db.learnBlob(path, info.sizeBytes, askedAtMs);
  else
    db.learnOther(path, {
      sizeBytes: info.sizeBytes,
      mtimeMs: mtimeOf(info),
      md5: info.md5 ?? info.metadata['md5'],
      checkedAtMs: askedAtMs,
    });
}

function mtimeOf(info: ObjectInfo): number {
  // 0 and less are times too; what has none may have an empty one.
  const own = parseFloat(info.metadata['mtime'] ?? '');
  return Number.isFinite(own) ? own : info.lastModifiedMs;
}

/**
 * Whether only we put things into this container and it holds just what we know (absence.ts): then an unknown name is absent.
 * @returns false when it cannot be told
 */
export async function holdsOnlyOurs(db: Database): Promise<boolean> {
  if (!db.binding.madeHere || db.settings.nodes !== 'one') return false;
  if (db.absence.holdsOnlyOurs) return true;
  await db.listings.run('count', async () => {
    const hasChanged = db.ownChanges.watch();
    const info = await db.store.headContainer(db.container);
    if (info === undefined || hasChanged()) return undefined;
    for (const tombstone of db.spool.tombstones.values()) if (tombstone.owedToSwift) return undefined;
    if (info.objectCount === db.catalog.count) db.absence.countAgreed();
    return undefined;
  });
  return db.absence.holdsOnlyOurs;
}

/** Whether an error means that we could not find out, rather than that the question was wrong. */
export function isDontKnow(error: unknown): boolean {
  const kind = kindOf(error);
  return kind !== 'interrupted' && kind !== 'invalid-name' && kind !== 'name-too-long';
}
