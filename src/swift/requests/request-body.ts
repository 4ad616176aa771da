/** The bytes of one attempt on their way out: counted, and their source's failures kept apart from the wire's. */
import { Readable, Transform, type TransformCallback } from 'node:stream';

/** Bytes in memory beyond this are sent in slices, so that progress is seen. */
const SLICE_BYTES = 256 * 1024;

export interface OutgoingBody {
  readonly body: Readable | Uint8Array | string;
  /** What the source threw, as opposed to the connection; looked at after a failed attempt. */
  readonly sourceError: () => Error | undefined;
  /** Gives the source up after an attempt that failed. */
  readonly dispose: () => void;
}

class Meter extends Transform {
  readonly #moved: (bytes: Buffer) => void;

  constructor(moved: (bytes: Buffer) => void) {
    super({ highWaterMark: SLICE_BYTES });
    this.#moved = moved;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#moved(chunk);
    done(null, chunk);
  }
}

/** @param moved called with bytes as they leave */
export function outgoing(source: Readable | Uint8Array | string, moved: (bytes: Uint8Array) => void): OutgoingBody {
  if (typeof source === 'string') return { body: source, sourceError: () => undefined, dispose: () => undefined };
  if (source instanceof Uint8Array && source.length <= SLICE_BYTES) {
    moved(source);
    return { body: source, sourceError: () => undefined, dispose: () => undefined };
  }
  const stream = source instanceof Uint8Array ? Readable.from(slices(source), { objectMode: false }) : source;
  const meter = new Meter(moved);
  let failed: Error | undefined;
  stream.on('error', (error) => {
    failed = error;
    meter.destroy(error);
  });
  meter.on('error', () => stream.destroy());
  meter.on('close', () => stream.destroy());
  stream.pipe(meter);
  return { body: meter, sourceError: () => failed, dispose: () => meter.destroy() };
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) yield bytes.subarray(at, at + SLICE_BYTES);
}
