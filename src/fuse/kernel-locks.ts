/**
 * What the kernel holds locked until a request is answered: the directory in which a name is looked up, made or removed (its inode's lock), the pages that are
 * read or written. An invalidation of the same waits for that in the kernel, where nothing can end its thread: a daemon that was killed then stayed a zombie with
 * its connection, so that whoever waited for it waited for ever (measured on 6.18: fuse_reverse_inval_entry). So it waits here instead.
 */
import type { Call } from './call.js';
import { OP } from './protocol.js';

const LOCKING: ReadonlySet<number> = new Set([
  OP.LOOKUP,
  OP.MKNOD,
  OP.MKDIR,
  OP.CREATE,
  OP.UNLINK,
  OP.RMDIR,
  OP.RENAME,
  OP.RENAME2,
  OP.READDIR,
  OP.READDIRPLUS,
  OP.READ,
  OP.WRITE,
]);

export class KernelLocks {
  /** By inode: requests that wait. */
  readonly #held = new Map<number, number>();
  /** Told of an inode when the last of its requests is answered. */
  onFree: (ino: number) => void = () => undefined;

  isHeld(ino: number): boolean {
    return this.#held.has(ino);
  }

  /** The call waits for its answer. */
  wait(call: Call): void {
    if (call.holdsLocks || !LOCKING.has(call.opcode)) return;
    call.holdsLocks = true;
    for (const ino of inodesOf(call)) this.#held.set(ino, (this.#held.get(ino) ?? 0) + 1);
  }

  /** It has its answer, or waited for none. */
  answered(call: Call): void {
    if (!call.holdsLocks) return;
    call.holdsLocks = false;
    for (const ino of inodesOf(call)) {
      const left = (this.#held.get(ino) ?? 1) - 1;
      if (left > 0) {
        this.#held.set(ino, left);
        continue;
      }
      this.#held.delete(ino);
      this.onFree(ino);
    }
  }
}

function inodesOf({ ino, otherDirectory }: Call): readonly number[] {
  return otherDirectory === undefined || otherDirectory === ino ? [ino] : [ino, otherDirectory];
}
