/** Sealed files of the spool as what readers and the publisher read from: hashed once in a life of the daemon, and looked at before each read. */
import { closeSync, openSync } from 'node:fs';
import { digestFile } from '../base/file-digest.js';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { displayName } from '../base/names.js';
import { openAnonymousFile } from '../cache/anonymous-file.js';
import type { HeldFile } from '../cache/cache.js';
import { fingerprintOf, isSameFile } from '../cache/fingerprint.js';
import { VerifiedFile } from '../cache/verified-file.js';
import { writeAllSync } from '../spool/disk-calls.js';
import type { Pending } from '../spool/spool.js';
import type { Database } from './database.js';

class SealedFile implements HeldFile {
  readonly fd: number;
  readonly sizeBytes: number;
  readonly #file: VerifiedFile;
  readonly #onReject: () => void;
  #isRejected = false;

  constructor(file: VerifiedFile, onReject: () => void) {
    this.fd = file.fd;
    this.sizeBytes = file.sizeBytes;
    this.#file = file;
    this.#onReject = onReject;
  }

  isIntact(): boolean {
    return !this.#isRejected && this.#file.isIntact();
  }

  async isIntactByHash(): Promise<boolean> {
    return !this.#isRejected && (await this.#file.isIntactByHash());
  }

  reject(): void {
    this.#isRejected = true;
    this.#onReject();
  }

  close(): void {
    this.#file.close();
  }
}

/** @throws FilestoreError corrupt: the file is gone, cannot be read, or is not what was sealed; what the disk says of its opening */
export async function openSealed(db: Database, pending: Pending): Promise<HeldFile> {
  const fd = openFile(db, pending);
  try {
    const now = fingerprintOf(fd);
    const verified = db.verifiedSeals.get(pending.sequence);
    if (verified === undefined || !isSameFile(verified, now)) {
      const found = await digestFile(pending.file, fd).catch((error: unknown) => {
        throw damaged(db, pending, `cannot be read (${messageOf(error)})`);
      });
      if (found.sha1 !== pending.sha1) throw damaged(db, pending, 'no longer hashes to what was written');
      db.verifiedSeals.set(pending.sequence, now);
    }
    return new SealedFile(new VerifiedFile(`sha1-${pending.sha1}`, fd, now), () => db.verifiedSeals.delete(pending.sequence));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openFile(db: Database, pending: Pending): number {
  try {
    return openSync(db.spool.sealedFile(pending), 'r');
  } catch (error) {
    const late = db.spool.lateBytes(pending);
    if (late !== undefined) return anonymousCopy(late);
    // Never "no such file" for a document that somebody was told is stored.
    throw kindOf(error) === 'not-found' ? damaged(db, pending, 'is gone') : error;
  }
}

/** The disk of the spool has no room for the file; its bytes are in memory. @throws FilestoreError no-space when there is none anywhere */
function anonymousCopy(bytes: Uint8Array): number {
  const fd = openAnonymousFile(bytes.length);
  try {
    writeAllSync(fd, bytes, 0);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function damaged(db: Database, { path, file }: Pending, what: string): FilestoreError {
  const database = displayName(db.name);
  db.log.error('spool.corrupt', {
    database,
    path: displayName(path),
    file,
    meaning: `the sealed file ${what}: it was changed on this disk, or the disk fails; Swift never had it`,
  });
  return new FilestoreError('corrupt', `${displayName(path)}: its sealed copy ${file} ${what}`);
}
