/**
 * A large object read in several ranges at once. One GET of Swift is one chain of a proxy's and an object server's greenlets, each waiting for
 * the other; several go on beside each other, and a range that does not begin at the first byte is not hashed by the object server on its way
 * out (docs/decisions/0008). Who reads the body must check its hash, as all of this product does.
 *
 * INVARIANT: bytes come in order, all of one version of the object (If-Match); at most WINDOW_BYTES x WINDOWS are in memory.
 */
import { Readable } from 'node:stream';
import { FilestoreError } from '../../base/errors.js';

const WINDOW_BYTES = 8 << 20;
/** Asked for together, the one being read among them. */
const WINDOWS = 4;
/** From here on it pays. */
export const RANGES_FROM_BYTES = 32 << 20;

interface Window {
  readonly chunks: Buffer[];
  source: Readable | undefined;
  isWhole: boolean;
}

interface RangesBodySource {
  /** Streams the object from its first byte; it is given up at the end of the first window. */
  readonly first: Readable;
  /** For messages: which answer that is. */
  readonly told: string;
  readonly totalBytes: number;
  /** Opens a range; the byte at `end` is not in it. */
  readonly open: (start: number, end: number, signal: AbortSignal) => Promise<Readable>;
}

export class RangesBody extends Readable {
  readonly #source: RangesBodySource;
  readonly #stop = new AbortController();
  /** In the order of their bytes; the first is being read. */
  readonly #windows: Window[] = [];
  #nextStart = WINDOW_BYTES;
  #isWanted = false;

  constructor(source: RangesBodySource) {
    super({ highWaterMark: 1 << 20 });
    this.#source = source;
    this.#collect(this.#addWindow(), source.first, WINDOW_BYTES);
    while (this.#windows.length < WINDOWS) if (!this.#ask()) break;
  }

  override _read(): void {
    this.#isWanted = true;
    this.#flow();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stop.abort();
    for (const { source } of this.#windows) source?.on('error', () => undefined).destroy();
    this.#windows.length = 0;
    callback(error);
  }

  #addWindow(): Window {
    const window: Window = { chunks: [], source: undefined, isWhole: false };
    this.#windows.push(window);
    return window;
  }

  /** @returns false when the whole object is asked for */
  #ask(): boolean {
    const start = this.#nextStart;
    if (start >= this.#source.totalBytes) return false;
    const end = Math.min(start + WINDOW_BYTES, this.#source.totalBytes);
    this.#nextStart = end;
    const window = this.#addWindow();
    this.#source.open(start, end, this.#stop.signal).then(
      (body) => {
        if (this.destroyed) body.on('error', () => undefined).destroy();
        else this.#collect(window, body, end - start);
      },
      (error: unknown) => this.destroy(error as Error),
    );
    return true;
  }

  #collect(window: Window, source: Readable, wantedBytes: number): void {
    let leftBytes = wantedBytes;
    window.source = source;
    source.on('error', (error) => {
      if (!window.isWhole) this.destroy(error);
    });
    source.on('end', () => {
      if (!window.isWhole)
        this.destroy(new FilestoreError('unavailable', `${this.#source.told}: a range of it ended ${leftBytes} bytes too early`));
    });
    source.on('data', (chunk: Buffer) => {
      if (window.isWhole) return;
      window.chunks.push(chunk.length > leftBytes ? chunk.subarray(0, leftBytes) : chunk);
      leftBytes -= Math.min(leftBytes, chunk.length);
      // A range ends by itself, which keeps its connection; only the first has more to come.
      if (leftBytes === 0) this.#filled(window, source === this.#source.first);
      this.#flow();
    });
  }

  #filled(window: Window, hasMore: boolean): void {
    window.isWhole = true;
    if (hasMore) window.source?.destroy();
  }

  #flow(): void {
    while (this.#isWanted && !this.destroyed) {
      const [window] = this.#windows;
      if (window === undefined) {
        this.#isWanted = false;
        this.push(null);
        return;
      }
      const chunk = window.chunks.shift();
      if (chunk !== undefined) this.#isWanted = this.push(chunk);
      else if (!window.isWhole) return;
      else {
        this.#windows.shift();
        this.#ask();
      }
    }
  }
}
