/**
 * A body that brings fewer bytes in so long a time is ended, and the rest is asked for by another connection: one that trickles (a proxy that is
 * overloaded, a path that loses packets) would hold its readers for hours while Swift is well. On a line that is as slow as that it costs a request.
 *
 * What holds a body up on this machine is not to its blame: who pauses it for a disk stops the watch meanwhile, and a turn of the loop that comes
 * late says nothing of what lies in the socket.
 */
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError } from '../base/errors.js';

const TRICKLE_BYTES = 4096;
const TRICKLE_MS = 10_000;
const LATE_MS = TRICKLE_MS / 2;

export class TrickleWatch {
  readonly #receivedBytes: () => number;
  readonly #onTrickle: (error: FilestoreError) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param receivedBytes how many came so far */
  constructor(receivedBytes: () => number, onTrickle: (error: FilestoreError) => void) {
    this.#receivedBytes = receivedBytes;
    this.#onTrickle = onTrickle;
  }

  /** Begins anew: the time before counts no more. */
  start(): void {
    this.stop();
    let seenBytes = this.#receivedBytes();
    let lookedAtMs = steadyNowMs();
    this.#timer = setInterval(() => {
      const [nowMs, bytes] = [steadyNowMs(), this.#receivedBytes()];
      const isLate = nowMs - lookedAtMs > TRICKLE_MS + LATE_MS;
      if (!isLate && bytes - seenBytes < TRICKLE_BYTES)
        this.#onTrickle(new FilestoreError('unavailable', `the body brought ${bytes - seenBytes} bytes in ${TRICKLE_MS} ms`));
      seenBytes = bytes;
      lookedAtMs = nowMs;
    }, TRICKLE_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
