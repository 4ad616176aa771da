/**
 * A request as it came from the kernel: a view, without copies, over a buffer that the next request overwrites. What is needed after the
 * first await must be taken out before it.
 */
import { FilestoreError } from '../base/errors.js';
import { IN_HEADER_BYTES, LEAST_BYTES, TWO_32 } from './protocol.js';

export class RequestView {
  readonly bytes: Buffer;
  readonly #words: Uint32Array;
  /** Bytes of the request that is looked at now. */
  length = 0;
  /** The word at which it begins. */
  #first = 0;

  /** @param sizeBytes a multiple of four */
  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes);
    this.#words = new Uint32Array(this.bytes.buffer, this.bytes.byteOffset, sizeBytes >>> 2);
  }

  /** Looks at the request at `offset` (a multiple of eight), whose header says its length. */
  moveTo(offset: number): void {
    this.#first = offset >>> 2;
    this.length = this.#words[this.#first] as number;
  }

  get opcode(): number {
    return this.word(1);
  }

  get uniqueLow(): number {
    return this.word(2);
  }

  get uniqueHigh(): number {
    return this.word(3);
  }

  get ino(): number {
    return this.u64(4);
  }

  word(index: number): number {
    return this.#words[this.#first + index] as number;
  }

  /** Exact below 2^53, which ids, handles and offsets never reach. */
  u64(index: number): number {
    return this.word(index) + this.word(index + 1) * TWO_32;
  }

  /** A time before 1970 has a negative second. */
  i64(index: number): number {
    return this.word(index) + (this.word(index + 1) | 0) * TWO_32;
  }

  /** Whether the lengths add up: the header's is what was read, and the opcode's fixed part is there. */
  get isWellFormed(): boolean {
    return (
      this.length >= IN_HEADER_BYTES && this.word(0) === this.length && this.length >= (LEAST_BYTES.get(this.opcode) ?? IN_HEADER_BYTES)
    );
  }

  /**
   * A NUL-terminated name as a byte string.
   * @throws FilestoreError invalid-argument when it is empty or does not end within the request
   */
  name(offset: number): string {
    const start = (this.#first << 2) + offset;
    const end = this.bytes.indexOf(0, start);
    if (end <= start || end >= (this.#first << 2) + this.length)
      throw new FilestoreError('invalid-argument', 'the request has no name where one belongs');
    return this.bytes.toString('latin1', start, end);
  }

  /**
   * The bytes from an offset on; valid until the next request.
   * @throws FilestoreError invalid-argument when the request is shorter
   */
  data(offset: number, length: number): Uint8Array {
    if (offset + length > this.length) throw new FilestoreError('invalid-argument', 'the request is shorter than it says');
    const start = (this.#first << 2) + offset;
    return this.bytes.subarray(start, start + length);
  }
}
