/**
 * `torn/`: bytes that are not what their name says (`N-SHA1.torn`), and sealed files that lost their record (`N-SHA1`). Of the first kind nobody was
 * told that they are stored, so they are kept only while there is room: the oldest go first. The second kind may be acknowledged
 * writes: they go by a human's hand alone.
 */
import { readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { kindOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { TornCount } from './spool.js';

const SUFFIX = '.torn';
const MAX_BYTES = 256 << 20;
const MAX_FILES = 1_000;

interface TornFile {
  readonly name: string;
  readonly sizeBytes: number;
}

export class TornFiles {
  readonly directory: string;
  readonly #log: Log;
  /** There may be some: what a human removes is noticed when they are counted. */
  #mayHaveSome = true;
  #measured: TornCount = { count: 0, bytes: 0, unnamed: 0 };

  constructor(directory: string, log: Log) {
    this.directory = directory;
    this.#log = log;
  }

  /** Where the next one goes. @param name unique, in the order of time */
  pathFor(name: string): string {
    this.#mayHaveSome = true;
    return join(this.directory, name + SUFFIX);
  }

  /** What lies there now; where that cannot be looked at (no descriptor is left), what was there at the last look. */
  measure(): TornCount {
    try {
      const files = this.#files();
      this.#measured = { count: files.length, bytes: sumOf(files), unnamed: files.filter(({ name }) => !name.endsWith(SUFFIX)).length };
    } catch (error) {
      this.#log.debug('spool.torn-not-measured', { directory: this.directory, reason: messageOf(error) });
    }
    return this.#measured;
  }

  /** Removes the oldest while there are too many. */
  trim(): void {
    const files = this.#files().filter(({ name }) => name.endsWith(SUFFIX));
    let bytes = sumOf(files);
    while (files.length > MAX_FILES || bytes > MAX_BYTES) bytes -= this.#removeFirst(files);
  }

  /** Removes the oldest, one at a time, until there is room. @returns whether there is room */
  makeRoom(isRoom: () => boolean): boolean {
    if (isRoom()) return true;
    const files = this.#files().filter(({ name }) => name.endsWith(SUFFIX));
    while (files.length > 0) {
      this.#removeFirst(files);
      if (isRoom()) return true;
    }
    return false;
  }

  #removeFirst(files: TornFile[]): number {
    const oldest = files.shift();
    if (oldest === undefined) return 0;
    const file = join(this.directory, oldest.name);
    try {
      unlinkSync(file);
      this.#log.warn('spool.torn-dropped', { file, bytes: oldest.sizeBytes, reason: 'the spool needs the room' });
    } catch (error) {
      if (kindOf(error) !== 'not-found') this.#log.warn('spool.torn-not-dropped', { file, reason: messageOf(error) });
    }
    return oldest.sizeBytes;
  }

  /** Oldest first. */
  #files(): TornFile[] {
    if (!this.#mayHaveSome) return [];
    const files: TornFile[] = [];
    for (const name of readdirSync(this.directory).sort()) {
      const sizeBytes = statSync(join(this.directory, name), { throwIfNoEntry: false })?.size;
      if (sizeBytes !== undefined) files.push({ name, sizeBytes });
    }
    this.#mayHaveSome = files.length > 0;
    return files;
  }
}

function sumOf(files: readonly TornFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
