/**
 * The durable list of names known for a container: what an outage or a restart may not make us forget, since it decides then what is absent.
 * File `names-1`, a log of records (names-records.ts), replayed at start, rewritten when it is mostly history. A torn tail is cut.
 *
 *   record ──(200 ms, or 64 KiB)──► file: survives a kill ──(a second, one sync for all)──► disk: survives a power cut
 *
 * What we put ourselves is in the file before its writer is told (`flush`): its record in the spool ends then, and after a kill no listing may
 * come for long. Nothing waits for the disk. What a power cut takes, some 1.2 s of names, the next listing brings back, unless Swift is away.
 *
 * ORDER of a rewrite: new file from the catalog; what comes meanwhile goes to both; sync of the new file; its name; sync of the directory.
 * A file whose sync failed is not trusted again (see src/spool/journal.ts): it is rewritten.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Log } from '../base/log.js';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { fdatasyncFile, FILE_MODE, fsyncDirectory, writeAllSync } from '../spool/disk-calls.js';
import { GroupSync } from '../spool/group-sync.js';
import type { Catalog, KnownObject } from './catalog.js';
import { blobAdded, nameRemoved, otherAdded, recordsOf, replayNames } from './names-records.js';

const FLUSH_BYTES = 64 * 1024;
const FLUSH_MS = 200;
const SYNC_MS = 1_000;
const CHUNK_BYTES = 1 << 20;
/** The file is rewritten when it has more records than this, and more than so many for each name that is known. */
const RECORDS_MIN = 4096;
const RECORDS_FOR_EACH_NAME = 3;

function namesPath(directory: string): string {
  return join(directory, 'names-1');
}

function unreadable(path: string, cause: unknown): FilestoreError {
  const remedy = 'check its disk; if it is lost, move it away while Swift can be asked, which tells the names anew';
  return new FilestoreError('unavailable', `the list of known names ${path} cannot be read: ${messageOf(cause)}; ${remedy}`, { cause });
}

/** Reads the list in another thread, for who may not wait for a disk. @throws as `load` when the disk does not give it */
export async function readNamesBeforehand(directory: string): Promise<void> {
  const path = namesPath(directory);
  await readFile(path).catch((error: unknown) => {
    if (kindOf(error) !== 'not-found') throw unreadable(path, error);
  });
}

export class NamesFile {
  readonly #path: string;
  readonly #log: Log;
  readonly #syncFileOf: (fd: number) => Promise<void>;
  readonly #group = new GroupSync(() => this.#syncOnce());
  #catalog: Catalog | undefined;
  #fd = -1;
  #buffer: Buffer[] = [];
  #bufferedBytes = 0;
  /** Written when so much is buffered. After a failure it is more: what the disk refuses is not offered again with each name. */
  #flushAtBytes = FLUSH_BYTES;
  #records = 0;
  #flushTimer: NodeJS.Timeout | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  /** Something is in the file that is not known to be on the disk: at first, what a life before left that was killed. */
  #isUnsynced = true;
  /** The name `names-1` is not known to lead to the file after a power cut. */
  #isUnnamed = true;
  /** The file may have lost what it was given: it is to be rewritten. */
  #isUntrusted = false;
  /** Where the whole records end, while what follows may be half of one: a write failed. */
  #wholeBytes: number | undefined;
  /** The new file while it is made. */
  #successorFd = -1;
  /** The last thing that went wrong was told. */
  #isTold = false;

  /** @param syncFile brings a file's bytes to the disk; tests count it and let it fail */
  constructor(directory: string, log: Log, syncFile: (fd: number) => Promise<void> = fdatasyncFile) {
    this.#path = namesPath(directory);
    this.#log = log;
    this.#syncFileOf = syncFile;
  }

  /**
   * Fills the catalog with what was known; everything is marked as unchecked.
   * @throws FilestoreError unavailable when the disk does not give it: with an empty list all of these files would be called absent in an outage
   */
  async load(catalog: Catalog): Promise<void> {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#path);
      catalog.loadedAtMs = statSync(this.#path).mtimeMs;
    } catch (error) {
      if (kindOf(error) !== 'not-found') throw unreadable(this.#path, error);
      bytes = Buffer.alloc(0);
    }
    const { records, wholeBytes } = await replayNames(bytes, catalog);
    this.#records = records;
    this.#catalog = catalog;
    const fd = openSync(this.#path, 'a', FILE_MODE);
    try {
      if (wholeBytes < bytes.length) ftruncateSync(fd, wholeBytes);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#fd = fd;
    this.compact(catalog);
    this.#syncSoon();
  }

  added(path: string, sizeBytes: number): void {
    this.#append(blobAdded(path, sizeBytes));
  }

  addedOther(path: string, known: KnownObject): void {
    this.#append(otherAdded(path, known));
  }

  removed(path: string): void {
    this.#append(nameRemoved(path));
  }

  /** What was added and removed before the call survives a kill of the daemon. Never throws: what the disk refuses is written later. */
  flush(): void {
    this.#flush();
  }

  /** Rewrites the file, in the background, when it is mostly history. */
  compact(catalog: Catalog): void {
    if (this.#records <= RECORDS_MIN || this.#records <= RECORDS_FOR_EACH_NAME * catalog.count || this.#successorFd >= 0) return;
    this.#writeSuccessor(catalog);
    this.#syncInBackground();
  }

  /** All names are gone at once: the file is written anew from what the catalog has now. */
  rewrite(catalog: Catalog): void {
    this.#giveUpSuccessor();
    this.#writeSuccessor(catalog);
    this.#syncInBackground();
  }

  /**
   * What was added and removed before the call survives a power cut.
   * @throws what the disk says; then nothing that was written since the last success may be called durable
   */
  sync(): Promise<void> {
    return this.#group.request();
  }

  /** Writes, syncs and closes. Never rejects: what the list lacks, a listing brings back. */
  async close(): Promise<void> {
    await this.sync().catch((error: unknown) => this.#complain(error));
    clearTimeout(this.#flushTimer);
    clearTimeout(this.#syncTimer);
    this.#giveUpSuccessor();
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #append(record: Buffer): void {
    this.#buffer.push(record);
    this.#bufferedBytes += record.length;
    this.#records++;
    if (this.#bufferedBytes >= this.#flushAtBytes) this.#flush();
    else this.#flushTimer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#bufferedBytes === 0 || this.#fd < 0) return;
    const bytes = Buffer.concat(this.#buffer);
    // What is not written now is written with what comes next.
    this.#buffer = [bytes];
    try {
      // Half a record would hide all that follow it; at the end of the file a start cuts it off.
      if (this.#wholeBytes !== undefined) ftruncateSync(this.#fd, this.#wholeBytes);
      this.#wholeBytes = fstatSync(this.#fd).size;
      writeAllSync(this.#fd, bytes, null);
    } catch (error) {
      this.#flushAtBytes = bytes.length + FLUSH_BYTES;
      this.#flushTimer = setTimeout(() => this.#flush(), SYNC_MS).unref();
      this.#complain(error);
      return;
    }
    this.#wholeBytes = undefined;
    this.#flushAtBytes = FLUSH_BYTES;
    this.#buffer = [];
    this.#bufferedBytes = 0;
    this.#isUnsynced = true;
    this.#writeToSuccessor(bytes);
    this.#syncSoon();
  }

  #syncSoon(): void {
    this.#syncTimer ??= setTimeout(() => this.#syncInBackground(), SYNC_MS).unref();
  }

  #syncInBackground(): void {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = undefined;
    this.sync().catch((error: unknown) => this.#complain(error));
  }

  async #syncOnce(): Promise<void> {
    if (this.#fd < 0) return;
    this.#flush();
    if (this.#isUntrusted && this.#successorFd < 0 && this.#catalog !== undefined) this.#writeSuccessor(this.#catalog);
    if (this.#successorFd >= 0) await this.#switchTo(this.#successorFd);
    if (this.#isUnsynced) await this.#syncFile();
    if (this.#isUnnamed) {
      await fsyncDirectory(dirname(this.#path));
      this.#isUnnamed = false;
    }
    this.#isTold = false;
  }

  async #syncFile(): Promise<void> {
    // Before the call: what is written while it runs is for the next.
    this.#isUnsynced = false;
    try {
      await this.#syncFileOf(this.#fd);
    } catch (error) {
      this.#isUnsynced = true;
      this.#isUntrusted = true;
      throw error;
    }
  }

  /** Writes the catalog anew, beside the old file. In one turn of the loop: no record falls between the two. */
  #writeSuccessor(catalog: Catalog): void {
    this.#flush();
    try {
      const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants;
      const fd = openSync(this.#newPath, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC, FILE_MODE);
      this.#successorFd = fd;
      let chunk: Buffer[] = [];
      let chunkBytes = 0;
      for (const record of recordsOf(catalog)) {
        chunk.push(record);
        chunkBytes += record.length;
        if (chunkBytes < CHUNK_BYTES) continue;
        writeAllSync(fd, Buffer.concat(chunk), null);
        chunk = [];
        chunkBytes = 0;
      }
      writeAllSync(fd, Buffer.concat(chunk), null);
      this.#records = catalog.count;
    } catch (error) {
      this.#giveUpSuccessor();
      this.#complain(error);
    }
  }

  #writeToSuccessor(bytes: Buffer): void {
    if (this.#successorFd < 0) return;
    try {
      writeAllSync(this.#successorFd, bytes, null);
    } catch (error) {
      this.#giveUpSuccessor();
      this.#complain(error);
    }
  }

  async #switchTo(successorFd: number): Promise<void> {
    try {
      await this.#syncFileOf(successorFd);
      if (this.#successorFd !== successorFd) return;
      renameSync(this.#newPath, this.#path);
    } catch (error) {
      this.#giveUpSuccessor();
      throw error;
    }
    closeSync(this.#fd);
    this.#fd = successorFd;
    this.#successorFd = -1;
    this.#wholeBytes = undefined;
    this.#isUntrusted = false;
    this.#isUnnamed = true;
  }

  #giveUpSuccessor(): void {
    if (this.#successorFd < 0) return;
    closeSync(this.#successorFd);
    this.#successorFd = -1;
    try {
      unlinkSync(this.#newPath);
    } catch {
      // The next rewrite writes over it.
    }
  }

  get #newPath(): string {
    return `${this.#path}.new`;
  }

  #complain(error: unknown): void {
    if (!this.#isTold)
      this.#log.warn('names.not-written', { file: this.#path, reason: messageOf(error), remedy: 'free space on the disk of spool_dir' });
    this.#isTold = true;
  }
}
