/**
 * Which opens the kernel reads by itself, and under which backing id.
 *
 * While an inode is open in passthrough, the kernel wants every open of it to be in passthrough and to name the same backing id; anything else is EIO
 * at the client (measured; fs/fuse/iomode.c). So the first open decides, and the last release forgets. Who cannot follow goes around: DIRECT_IO
 * beside PASSTHROUGH sends its reads and writes to the daemon (fs/fuse/file.c: it overrides). That is a writer, and a reader whose file is another
 * than the one the kernel reads (a copy that was replaced).
 * INVARIANT: `opens` counts exactly the handles given out and not yet released, in each mode.
 */
import { fstatSync } from 'node:fs';
import type { Log } from '../base/log.js';
import { EPERM } from './errno.js';
import type { Transport } from './transport.js';

/** How an open is answered. */
interface Way {
  /** 0: none. */
  readonly backingId: number;
  /** Its reads and writes come to the daemon, past the page cache and the backing file. */
  readonly isAround: boolean;
}

const ORDINARY: Way = { backingId: 0, isAround: false };
const AROUND: Way = { backingId: 0, isAround: true };

interface OpenInode {
  readonly way: Way;
  readonly around: Way;
  /** Inode number of the local file behind it. */
  readonly fileIno: number;
  opens: number;
}

export class Passthrough {
  readonly #transport: Transport;
  readonly #log: Log;
  readonly #byIno = new Map<number, OpenInode>();
  /** Set by INIT, before anything can be open. */
  isEnabled = false;
  #hasComplained = false;
  #isRefused = false;

  constructor(transport: Transport, log: Log) {
    this.#transport = transport;
    this.#log = log;
  }

  /**
   * Counts an open.
   * @param fd of the whole file, when the file system offers one
   * @param isDirect it goes around in any case
   */
  open(ino: number, fd: number | undefined, isDirect: boolean): Way {
    if (!this.isEnabled) return isDirect ? AROUND : ORDINARY;
    const there = this.#byIno.get(ino) ?? this.#first(ino, isDirect ? undefined : fd);
    there.opens++;
    if (isDirect) return there.around;
    if (there.way === ORDINARY) return ORDINARY;
    return fd !== undefined && fstatSync(fd).ino === there.fileIno ? there.way : there.around;
  }

  release(ino: number): void {
    const there = this.#byIno.get(ino);
    if (there === undefined || --there.opens > 0) return;
    this.#byIno.delete(ino);
    if (there.way.backingId > 0) this.#transport.closeBacking(there.way.backingId);
  }

  #first(ino: number, fd: number | undefined): OpenInode {
    const backingId = fd === undefined || this.#isRefused ? 0 : this.#openBacking(fd);
    const inode =
      fd === undefined || backingId === 0
        ? { way: ORDINARY, around: AROUND, fileIno: 0, opens: 0 }
        : { way: { backingId, isAround: false }, around: { backingId, isAround: true }, fileIno: fstatSync(fd).ino, opens: 0 };
    this.#byIno.set(ino, inode);
    return inode;
  }

  #openBacking(fd: number): number {
    const id = this.#transport.openBacking(fd);
    if (id > 0) return id;
    // The right is missing and will be for the life of the mount.
    if (id === -EPERM) this.#isRefused = true;
    if (!this.#hasComplained) {
      this.#hasComplained = true;
      this.#log.info('passthrough-refused', {
        errno: -id,
        effect: 'the daemon reads for the kernel; CAP_SYS_ADMIN and a plain local disk avoid it',
      });
    }
    return 0;
  }
}
