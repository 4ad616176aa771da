/**
 * Which opens the kernel reads by itself, and under which backing id.
 *
 * While an inode is open, the kernel wants every open of it to be of one mode, and every passthrough open to name the same backing id;
 * anything else is EIO at the client (measured; fs/fuse/iomode.c). So the first open decides, and the last release forgets.
 * INVARIANT: `opens` counts exactly the handles given out and not yet released, in each mode.
 */
import type { Log } from '../base/log.js';
import { EPERM } from './errno.js';
import type { Transport } from './transport.js';

interface OpenInode {
  /** 0: ordinary reads. */
  readonly backingId: number;
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
   * @returns the backing id, 0 for ordinary reads, or undefined when the open must be refused: a writer of what the kernel reads by itself
   */
  open(ino: number, fd: number | undefined, isWriter: boolean): number | undefined {
    if (!this.isEnabled) return 0;
    const there = this.#byIno.get(ino);
    if (there !== undefined) {
      if (there.backingId > 0 && isWriter) return undefined;
      there.opens++;
      return there.backingId;
    }
    const backingId = fd === undefined || isWriter || this.#isRefused ? 0 : this.#openBacking(fd);
    this.#byIno.set(ino, { backingId, opens: 1 });
    return backingId;
  }

  release(ino: number): void {
    const there = this.#byIno.get(ino);
    if (there === undefined || --there.opens > 0) return;
    this.#byIno.delete(ino);
    if (there.backingId > 0) this.#transport.closeBacking(there.backingId);
  }

  /** Inodes open now. */
  get openInodes(): number {
    return this.#byIno.size;
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
