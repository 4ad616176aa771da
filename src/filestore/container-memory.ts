/**
 * What this machine remembers of a container and what hangs on it: by that a container that is missing, or the same name in another account, is
 * told from a database that is new.
 */
import type { Spool } from '../spool/spool.js';
import type { Catalog } from './catalog.js';
import type { RecordFile } from './database-record.js';
import type { NamesFile } from './names-file.js';
import { sumOfWrites } from './owed.js';

export interface ContainerMemory {
  /** Swift has confirmed the container, and we have not dropped it since. */
  readonly isConfirmed: boolean;
  /** It was found in Swift, and nobody who drops the database knows of us yet: a container that is gone by then was dropped. */
  readonly isFound: boolean;
  /** In which account that was; undefined when it is not known. */
  readonly account: string | undefined;
  /** The mark of a drop of ours, where the database has been made again since; undefined: there is none. */
  readonly voidDropMark: string | undefined;
  /** What would be called absent, in words; undefined: nothing. */
  readonly names: string | undefined;
  /** What would be sent to a container it was not written for, in words; undefined: nothing. */
  readonly writes: string | undefined;
  /** What would be removed from a container that it was not meant for, in words; undefined: nothing. */
  readonly removals: string | undefined;
  /** The container is ours to use. */
  confirmed(account: string): void;
  /** Another one takes its place: what was known of its names holds no more. */
  replaced(): void;
}

interface MemoryParts {
  readonly record: RecordFile;
  readonly catalog: Catalog;
  readonly names: NamesFile;
  readonly spool: Spool;
}

export function containerMemory({ record, catalog, names, spool }: MemoryParts): ContainerMemory {
  return {
    get isConfirmed() {
      const { exists, bound } = record.current;
      // Names are known only of a container that was there: a crash may have come between the two.
      return exists && (bound || (catalog.count > 0 && !this.isFound));
    },
    get isFound() {
      const { exists, bound, isFound } = record.current;
      return exists && !bound && isFound === true;
    },
    get account() {
      return record.current.account;
    },
    get voidDropMark() {
      const { exists, dropMark } = record.current;
      return exists ? dropMark : undefined;
    },
    get names() {
      return catalog.count === 0 ? undefined : counted(catalog.count, 'file', 'is', 'are', 'known to be in it');
    },
    get writes() {
      const { count } = sumOfWrites(spool);
      return count === 0 ? undefined : counted(count, 'write', 'waits', 'wait', 'for it');
    },
    get removals() {
      const { exists, bound } = record.current;
      if (!exists && bound) return 'it is still to be removed, since its database was dropped';
      let count = 0;
      for (const { owedToSwift } of spool.tombstones.values()) if (owedToSwift) count++;
      return count === 0 ? undefined : counted(count, 'delete', 'waits', 'wait', 'for it');
    },
    confirmed: (account) => {
      const { exists, bound, account: before, endedElsewhere } = record.current;
      if (exists && (!bound || before !== account || endedElsewhere === true))
        record.update({ bound: true, account, endedElsewhere: false, isFound: false });
    },
    replaced: () => {
      catalog.sweep(Infinity);
      catalog.completeAtMs = 0;
      names.rewrite(catalog);
    },
  };
}

function counted(count: number, noun: string, one: string, many: string, rest: string): string {
  return count === 1 ? `1 ${noun} ${one} ${rest}` : `${count} ${noun}s ${many} ${rest}`;
}
