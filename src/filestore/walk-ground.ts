/** What a walk ahead may know and do of a database. */
import { messageOf } from '../base/errors.js';
import { contentSha1, displayName } from '../base/names.js';
import type { Database } from './database.js';
import { sourcesOf } from './fill-sources.js';
import type { WalkGround } from './walk-ahead.js';

export function walkGround(db: Database): WalkGround {
  return {
    missingSize: (path) => {
      const sha1 = contentSha1(path);
      const sizeBytes = db.catalog.sizeOf(path);
      if (sha1 === undefined || sizeBytes === undefined || db.health.isAway) return undefined;
      return db.spool.pending.has(path) || db.isBuried(path) || db.cache.has(`sha1-${sha1}`) ? undefined : sizeBytes;
    },
    namesIn: (directory) => {
      const names: string[] = [];
      db.catalog.forEachIn(directory, (name) => names.push(name));
      return names.sort();
    },
    fetch: async (path) => {
      const given = new AbortController();
      const timer = setTimeout(() => given.abort(), db.settings.readTimeoutMs);
      try {
        const file = await db.cache.fill(`sha1-${contentSha1(path) ?? ''}`, sourcesOf(db, path), given.signal, 'ahead').whole;
        file.close();
      } catch (error) {
        db.log.debug('walk.not-fetched', { path: displayName(path), reason: messageOf(error) });
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
