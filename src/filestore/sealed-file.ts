/** Sealed files of the spool as what readers and the publisher read from: hashed once in a life of the daemon, and looked at before each read. */
import { closeSync, openSync } from 'node:fs';
import { digestFile } from '../base/file-digest.js';
import { FilestoreError, kindOf } from '../base/errors.js';
import { displayName } from '../base/names.js';
import type { HeldFile } from '../cache/cache.js';
import type { Fingerprint } from '../cache/fingerprint.js';
import { fingerprintOf, isSameFile } from '../cache/fingerprint.js';
import type { Pending } from '../spool/spool.js';
import type { Database } from './database.js';

class SealedFile implements HeldFile {
  readonly fd: number;
  readonly sizeBytes: number;
  readonly #verified: Fingerprint;
  #isOpen = true;

  constructor(fd: number, verified: Fingerprint) {
    this.fd = fd;
    this.sizeBytes = verified.sizeBytes;
    this.#verified = verified;
  }

  isIntact(): boolean {
    return this.#isOpen && isSameFile(this.#verified, fingerprintOf(this.fd));
  }

  close(): void {
    if (this.#isOpen) closeSync(this.fd);
    this.#isOpen = false;
  }
}

/** @throws FilestoreError corrupt: the file is gone, or not what was sealed; what the disk says */
export async function openSealed(db: Database, pending: Pending): Promise<HeldFile> {
  const fd = openFile(db, pending);
  try {
    const now = fingerprintOf(fd);
    const verified = db.verifiedSeals.get(pending.sequence);
    if (verified === undefined || !isSameFile(verified, now)) {
      const { sha1 } = await digestFile(pending.file, fd);
      if (sha1 !== pending.sha1) throw damaged(db, pending, 'no longer hashes to what was written');
      db.verifiedSeals.set(pending.sequence, now);
    }
    return new SealedFile(fd, now);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openFile(db: Database, pending: Pending): number {
  try {
    return openSync(pending.file, 'r');
  } catch (error) {
    // Never "no such file" for a document that somebody was told is stored.
    throw kindOf(error) === 'not-found' ? damaged(db, pending, 'is gone') : error;
  }
}

function damaged(db: Database, { path, file }: Pending, what: string): FilestoreError {
  const database = displayName(db.name);
  db.log.error('spool.corrupt', {
    database,
    path: displayName(path),
    file,
    meaning: `the sealed file ${what}: it was changed on this disk; Swift never had it`,
  });
  return new FilestoreError('corrupt', `${displayName(path)}: its sealed copy ${file} ${what}`);
}
