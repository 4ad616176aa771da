/**
 * The journal's file: appended synchronously, synced in groups, rewritten when most of it is dead.
 *
 *   appending ──(dead records outweigh)──► preparing ──► switching ──► appending (in the new file)
 *       └──(fsync failed)──► failed ──(next sync)──► preparing …
 *
 * A failed fsync may have dropped the pages it could not write, and the next fsync of the same file may succeed without them
 * (PostgreSQL's "fsyncgate", 2018; Linux since 4.13 reports the error once). So a file whose fsync failed is never trusted again:
 * everything that memory knows is written to a new file, and until that stands every sync fails.
 *
 * INVARIANT: `sync` resolves only when every record appended before the call is on the disk in the file that the name `journal` leads to. A file that
 * somebody removed or replaced meanwhile is made anew like one whose fsync failed.
 * ORDER of a switch: rest of the records to the new file, appends go to both, fsync new, rename, fsync directory, old one closed. It runs
 * in the place of a group sync, so nobody is told "done" on the strength of the old file while the name moves.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { diskError, fdatasyncFile, FILE_MODE, fsyncDirectory, fsyncFile, writeAllSync, writeFile } from './disk-calls.js';
import { GroupSync } from './group-sync.js';
import { LooseLines } from './loose-lines.js';

/** Bytes of lines that are written at once while a new file is prepared; the loop is free between two. */
const SLICE_LENGTH = 256 * 1024;
/** Records that came meanwhile are written in the background until so few are left that they can be written in one tick. */
const REST_LENGTH = 64 * 1024;
const NEWLINE = Buffer.from('\n');

interface JournalContent {
  readonly records: number;
  readonly lines: Iterable<string>;
}

/** The new file while it is made. `rest`: lines appended since its snapshot that it does not have yet; undefined once appends go to both. */
interface Successor {
  readonly fd: number;
  records: number;
  rest: string[] | undefined;
  restLength: number;
  failure: unknown;
}

interface JournalOptions {
  readonly path: string;
  /** Open for appending. */
  readonly fd: number;
  readonly sizeBytes: number;
  readonly records: number;
  /** What a rewritten journal says. */
  readonly snapshot: () => JournalContent;
  readonly log: Log;
}

export class Journal {
  readonly #path: string;
  readonly #snapshot: () => JournalContent;
  readonly #log: Log;
  readonly #group = new GroupSync(() => this.#syncOnce());
  #fd: number;
  #sizeBytes: number;
  #records: number;
  #generation = 0;
  readonly #loose = new LooseLines();
  #failed = false;
  /** The file ends in part of a line that could not be taken back. */
  #isRagged = false;
  #successor: Successor | undefined;
  #preparing: Promise<void> | undefined;
  /** The last that was asked for. */
  #compacting: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#path = options.path;
    this.#fd = options.fd;
    this.#sizeBytes = options.sizeBytes;
    this.#records = options.records;
    this.#snapshot = options.snapshot;
    this.#log = options.log;
  }

  get records(): number {
    return this.#records;
  }

  get isFailing(): boolean {
    return this.#failed;
  }

  /** Grows when a new file takes the place of the old one. */
  get generation(): number {
    return this.#generation;
  }

  get isCompacting(): boolean {
    return this.#successor !== undefined;
  }

  /**
   * Appends one encoded record; it survives a kill of the daemon from now on. Nothing is left behind when it fails.
   * @throws FilestoreError no-space, unavailable
   */
  append(line: string): void {
    const data = Buffer.from(line, 'utf8');
    try {
      if (this.#isRagged) writeAllSync(this.#fd, NEWLINE, null);
      this.#isRagged = false;
      writeAllSync(this.#fd, data, null);
    } catch (error) {
      this.#cutBack();
      throw diskError(error, `cannot append to ${this.#path}`);
    }
    this.#sizeBytes += data.length;
    this.#records++;
    this.#loose.add(line);
    if (this.#successor !== undefined) appendToSuccessor(this.#successor, line, data);
  }

  /**
   * Hands over the lines that no sync covers and that were not handed over before, for somebody who makes them durable elsewhere.
   * @returns undefined when they are too many, or a start would not find those that were synced
   */
  takeLoose(): string | undefined {
    return this.#isThere() ? this.#loose.take() : undefined;
  }

  /** @throws FilestoreError no-space, unavailable: then nothing that was appended since the last success may be called durable */
  sync(): Promise<void> {
    return this.#group.request();
  }

  /** Writes what stands to a new file. @throws FilestoreError no-space, unavailable; the old file goes on */
  compact(): Promise<void> {
    this.#compacting = this.#compact();
    return this.#compacting;
  }

  /** Not before a rewriting that was begun has ended: it closes the file that it replaces, whose number would be somebody else's by then. */
  async close(): Promise<void> {
    await this.#compacting?.catch(() => undefined);
    closeSync(this.#fd);
  }

  async #compact(): Promise<void> {
    await this.#prepare();
    await this.sync();
  }

  async #syncOnce(): Promise<void> {
    if (!this.#failed && !this.#isThere()) this.#fail('it was removed, or another file has its name');
    if (this.#failed) await this.#prepare();
    const mark = this.#loose.mark();
    if (this.#successor !== undefined && this.#preparing === undefined) {
      await this.#switch(this.#successor);
      this.#loose.dropUpTo(mark);
      return;
    }
    try {
      await fdatasyncFile(this.#fd);
      this.#loose.dropUpTo(mark);
    } catch (error) {
      this.#fail(messageOf(error));
      throw diskError(error, `cannot sync ${this.#path}`);
    }
  }

  #prepare(): Promise<void> {
    if (this.#preparing !== undefined) return this.#preparing;
    if (this.#successor !== undefined) return Promise.resolve();
    this.#preparing = this.#writeSuccessor().finally(() => (this.#preparing = undefined));
    return this.#preparing;
  }

  async #writeSuccessor(): Promise<void> {
    const path = this.#newPath;
    let successor: Successor | undefined;
    try {
      const fd = openNew(path);
      // Snapshot and the first line of `rest` stand in one tick: no record falls between them.
      const { records, lines } = this.#snapshot();
      successor = { fd, records, rest: [], restLength: 0, failure: undefined };
      this.#successor = successor;
      let slice = '';
      for (const line of lines) {
        slice += line;
        if (slice.length < SLICE_LENGTH) continue;
        await writeSlice(fd, slice);
        slice = '';
      }
      await writeSlice(fd, slice);
      while (successor.restLength > REST_LENGTH) {
        const lines: string[] = successor.rest ?? [];
        successor.rest = [];
        successor.restLength = 0;
        await writeSlice(fd, lines.join(''));
      }
    } catch (error) {
      if (successor !== undefined) this.#giveUp(successor);
      throw diskError(error, `cannot write ${path}`);
    }
  }

  async #switch(successor: Successor): Promise<void> {
    try {
      const rest = (successor.rest ?? []).join('');
      writeAllSync(successor.fd, Buffer.from(rest, 'utf8'), null);
      successor.rest = undefined;
      const oldSizeBytes = this.#sizeBytes;
      await fsyncFile(successor.fd);
      if (successor.failure !== undefined) throw diskError(successor.failure, `cannot append to ${this.#newPath}`);
      renameSync(this.#newPath, this.#path);
      closeSync(this.#fd);
      this.#fd = successor.fd;
      this.#records = successor.records;
      this.#sizeBytes = fstatSync(successor.fd).size;
      this.#successor = undefined;
      this.#generation++;
      this.#failed = false;
      this.#isRagged = false;
      this.#log.debug('spool.journal-compacted', { path: this.#path, fromBytes: oldSizeBytes, toBytes: this.#sizeBytes });
    } catch (error) {
      this.#giveUp(successor);
      throw diskError(error, `cannot replace ${this.#path}`);
    }
    try {
      await fsyncDirectory(dirname(this.#path));
    } catch (error) {
      // The new name may not survive a power cut, so nothing that only the new file has may be called durable.
      this.#fail(messageOf(error));
      throw diskError(error, `cannot sync the directory of ${this.#path}`);
    }
  }

  get #newPath(): string {
    return `${this.#path}.new`;
  }

  /** Whether its name leads to it. */
  #isThere(): boolean {
    const { dev, ino } = fstatSync(this.#fd);
    try {
      const named = statSync(this.#path);
      return named.ino === ino && named.dev === dev;
    } catch {
      return false;
    }
  }

  #fail(reason: string): void {
    this.#failed = true;
    this.#log.error('spool.journal-failed', {
      path: this.#path,
      reason,
      remedy: 'check the disk of spool_dir; writes are refused until a new journal could be written',
    });
  }

  #giveUp(successor: Successor): void {
    this.#successor = undefined;
    closeSync(successor.fd);
    try {
      unlinkSync(this.#newPath);
    } catch {
      // Left over: the next start or the next attempt writes it anew.
    }
  }

  /** Takes a half-written line back, so that the next record begins on a line of its own. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#sizeBytes);
    } catch (error) {
      this.#isRagged = true;
      this.#fail(messageOf(error));
    }
  }
}

function appendToSuccessor(successor: Successor, line: string, data: Uint8Array): void {
  successor.records++;
  if (successor.rest !== undefined) {
    successor.rest.push(line);
    successor.restLength += line.length;
    return;
  }
  try {
    writeAllSync(successor.fd, data, null);
  } catch (error) {
    successor.failure = error;
  }
}

/** For appending, as the journal itself is: the writes of a switch and those of `append` meet at the file's end. */
function openNew(path: string): number {
  const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants;
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC, FILE_MODE);
}

async function writeSlice(fd: number, text: string): Promise<void> {
  let data: Uint8Array = Buffer.from(text, 'utf8');
  while (data.length > 0) data = data.subarray((await writeFile(fd, data)).bytesWritten);
}
