/**
 * Opens that stand for many. A file that is read again and again is opened once, and what opens it after that is answered by the transport
 * itself, with the same handle, without this program's part. To the file system it is one open file all the while.
 *
 *   opened ──share()──► shared ──not opened for a while, or end()──► unshared ──last RELEASE──► released
 *
 * INVARIANT: the file system hears of one release for each handle it gave out: from the kernel, or from here when nothing had it open.
 */
import { openFileLimit } from '../base/open-file-limit.js';
import type { Ring } from './transport.js';

/** How long an open is shared after the last one who came by it: its file is pinned as long. */
const UNUSED_MS = 1000;
/** Files that are open in this way at once, each of which holds a descriptor. */
const SHARED_MAX = 4096;
const SHARE_OF_LIMIT = 8;

type Sharing = Pick<Ring, 'share' | 'unshare' | 'unusedShares'>;

export class SharedOpens {
  readonly #ring: Sharing | undefined;
  readonly #release: (ino: number, handle: number) => void;
  readonly #most = Math.min(SHARED_MAX, Math.floor(openFileLimit() / SHARE_OF_LIMIT));
  readonly #unused = new Float64Array(this.#most);
  #count = 0;
  #sweeper: NodeJS.Timeout | undefined;

  /** @param release called for a handle that nobody has open any more */
  constructor(ring: Sharing | undefined, release: (ino: number, handle: number) => void) {
    this.#ring = ring;
    this.#release = release;
  }

  /** @param openFlags what the kernel was told of this open, and is told of the others */
  share(ino: number, handle: number, openFlags: number): void {
    if (this.#count >= this.#most || this.#ring?.share(ino, handle, openFlags) !== true) return;
    this.#count++;
    this.#sweeper ??= setInterval(() => this.#sweep(), UNUSED_MS).unref();
  }

  /** Later opens come to the file system. Does nothing for a file that is not shared. */
  end(ino: number): void {
    if (this.#count === 0) return;
    const handle = this.#ring?.unshare(ino);
    if (handle === undefined) return;
    this.#count--;
    if (handle > 0) this.#release(ino, handle);
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
    this.#count = 0;
  }

  #sweep(): void {
    const found = this.#ring?.unusedShares(this.#unused) ?? 0;
    for (let i = 0; i < found; i++) this.end(this.#unused[i] as number);
    if (this.#count > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}
