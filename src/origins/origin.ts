/**
 * The port of an origin: a directory tree, never written, that may hold what our container lacks (the original filestore). It is opened
 * before the mount, and read through that descriptor, so the mount may lie over it. Paths are byte strings below the database.
 */
import type { FillSource } from '../cache/cache.js';

export interface OriginStat {
  readonly kind: 'file' | 'directory';
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

export interface Origin {
  readonly description: string;
  /** Why the last question was not answered (its disk fails or hangs), in words; undefined when it was. */
  readonly trouble: string | undefined;
  /** A thread of the pool is at work in it, maybe for ever. */
  readonly isAsked: boolean;
  /** Undefined: not there (also for what is neither file nor directory, and for a symbolic link that leads out). @throws unavailable */
  stat(path: string): Promise<OriginStat | undefined>;
  /** Undefined: no such directory. @throws unavailable */
  list(path: string): Promise<readonly { readonly name: string; readonly kind: 'file' | 'directory' }[] | undefined>;
  /** All names in a directory, also of what is neither file nor directory. Undefined: no such directory. @throws unavailable */
  names(path: string): Promise<readonly string[] | undefined>;
  source(path: string): FillSource;
  /** The origin as seen from a directory below it (a database of a whole filestore). */
  below(directory: string): Origin;
  /** Nobody will ask it any more, as far as anybody knows: nothing is read ahead of questions. It need not be closed by that. */
  forget(): void;
  /** Ends within `lookup_wait`, whether its disk answers or not. */
  close(): Promise<void>;
}
