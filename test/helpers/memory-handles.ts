/** Open files and directories of the in-memory client. */
import { FilestoreError } from '../../src/base/errors.js';
import type { ReadResult } from '../../src/base/read-result.js';
import { copyResult, readElsewhere, unreadable } from '../../src/base/read-result.js';
import type { Attributes, DirectoryEntry, Opened, OpenFlags, SetAttributes } from '../../src/fuse/file-system.js';
import type { Identity, RequestRunner } from './memory-requests.js';

/** What the kernel asks at most in one READ or WRITE. */
const CHUNK_BYTES = 128 * 1024;
const DIRECTORY_HINT_BYTES = 4096;

export class MemoryFile {
  readonly ino: number;
  readonly opened: Opened;
  readonly #runner: RequestRunner;
  readonly #who: Identity;
  readonly #flags: OpenFlags;
  #position = 0;
  #isOpen = true;

  constructor(runner: RequestRunner, who: Identity, ino: number, opened: Opened, flags: OpenFlags) {
    this.#runner = runner;
    this.#who = who;
    this.ino = ino;
    this.opened = opened;
    this.#flags = flags;
    runner.openHandles++;
  }

  /** Fewer bytes than asked for mean the end of the file. */
  async read(offset: number, length: number): Promise<Buffer> {
    if (!this.#flags.read) throw new FilestoreError('bad-handle', 'not open for reading');
    // The bytes are taken in the turn of the loop that answers: a slice's descriptor is promised for no longer.
    return this.#runner.ask('read', this.#who, (fs, caller) => {
      const answer = fs.read(caller, this.ino, this.opened.handle, offset, length);
      return answer instanceof Promise ? answer.then((result) => takeBytes(result, caller.signal)) : takeBytes(answer, caller.signal);
    });
  }

  async readAll(): Promise<Buffer> {
    const parts: Buffer[] = [];
    let offset = 0;
    for (;;) {
      const part = await this.read(offset, CHUNK_BYTES);
      parts.push(part);
      offset += part.length;
      if (part.length < CHUNK_BYTES) return Buffer.concat(parts);
    }
  }

  /** @param offset where; without it after the last write, or at the end of a file opened to append */
  async write(data: Uint8Array, offset?: number): Promise<number> {
    if (!this.#flags.write) throw new FilestoreError('bad-handle', 'not open for writing');
    let at = offset ?? (this.#flags.append ? (await this.stat()).sizeBytes : this.#position);
    let done = 0;
    while (done < data.length) {
      const part = data.subarray(done, done + CHUNK_BYTES);
      const written = await this.#runner.ask('write', this.#who, (fs, caller) => fs.write(caller, this.ino, this.opened.handle, at, part));
      if (written <= 0) throw new FilestoreError('internal', `write answered ${written} bytes`);
      done += written;
      at += written;
    }
    this.#position = at;
    return done;
  }

  async stat(): Promise<Attributes> {
    const answer = await this.#runner.ask('getattr', this.#who, (fs, caller) => fs.getattr(caller, this.ino, this.opened.handle));
    return answer.attributes;
  }

  async setattr(changes: SetAttributes): Promise<Attributes> {
    const answer = await this.#runner.ask('setattr', this.#who, (fs, caller) => fs.setattr(caller, this.ino, changes, this.opened.handle));
    return answer.attributes;
  }

  /** What close() of one of several descriptors of this file does. */
  flush(): Promise<void> {
    return this.#runner.ask('flush', this.#who, (fs, caller) => fs.flush(caller, this.ino, this.opened.handle));
  }

  /** FLUSH, whose failure is close()'s; then RELEASE, whose failure nobody hears. */
  async close(): Promise<void> {
    if (!this.#isOpen) throw new FilestoreError('bad-handle', 'closed already');
    this.#isOpen = false;
    try {
      if (!this.opened.noFlush) await this.flush();
    } finally {
      this.#runner.openHandles--;
      await this.#runner.ask('release', this.#who, (fs) => fs.release(this.ino, this.opened.handle)).catch(() => undefined);
      this.#runner.forget(this.ino);
    }
  }
}

async function takeBytes(result: ReadResult, signal: AbortSignal): Promise<Buffer> {
  const bytes = Buffer.alloc(result.length);
  const filled = copyResult(result, bytes) ?? copyResult(await readElsewhere(result, signal), bytes);
  if (filled === undefined) throw unreadable();
  return bytes.subarray(0, filled);
}

export class MemoryDirectory {
  readonly ino: number;
  readonly handle: number;
  readonly #runner: RequestRunner;
  readonly #who: Identity;
  #isOpen = true;

  constructor(runner: RequestRunner, who: Identity, ino: number, handle: number) {
    this.#runner = runner;
    this.#who = who;
    this.ino = ino;
    this.handle = handle;
    runner.openHandles++;
  }

  /** One READDIR from a cookie on, '.' and '..' included. */
  async read(cookie: number, lengthHintBytes = DIRECTORY_HINT_BYTES): Promise<readonly DirectoryEntry[]> {
    return this.#runner.ask('readdir', this.#who, (fs, caller) => fs.readdir(caller, this.ino, this.handle, cookie, lengthHintBytes));
  }

  /** From the start to the end, without '.' and '..'; a second call is a rewinddir. Asks for each entry's attributes as READDIRPLUS does. */
  async readAll(): Promise<DirectoryEntry[]> {
    const all: DirectoryEntry[] = [];
    let cookie = 0;
    for (;;) {
      const part = await this.read(cookie);
      if (part.length === 0) return all;
      for (const entry of part) {
        cookie = entry.nextCookie;
        if (entry.name === '.' || entry.name === '..') continue;
        const known = this.#runner.fileSystem.lookupListed(this.ino, entry);
        if (known !== undefined) this.#runner.forget(this.#runner.hold(known).attributes.ino);
        all.push(entry);
      }
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#runner.openHandles--;
    this.#runner.fileSystem.releasedir(this.ino, this.handle);
  }
}
