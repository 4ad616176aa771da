/**
 * One mount's conversation with the kernel: INIT first, then requests in any number at once, until ENODEV.
 *
 *   request ─► operation ─► answered now ───────────────► reply
 *                       └─► waiting ─┬─ answer ─────────► reply (taken back when the kernel no longer wants it)
 *                                    ├─ deadline ───────► EIO, signal fires, the late answer is taken back
 *                                    └─ client killed ──► EINTR, signal fires, the late answer is taken back
 *
 * INVARIANT: every request but FORGET, BATCH_FORGET and INTERRUPT gets exactly one reply, whatever the file system does. A client whose
 * request is never answered cannot be killed.
 */
import { FilestoreError, kindOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Answer } from '../base/maybe-promise.js';
import type { FileSlice } from '../base/read-result.js';
import { readElsewhere, unreadable } from '../base/read-result.js';
import { Call } from './call.js';
import type { Urgency } from './client-signals.js';
import { urgencyOf } from './client-signals.js';
import { EAGAIN, EINTR, EINVAL, EIO, ENOENT, ENOSYS, EPROTO, errnoOf } from './errno.js';
import { ErrorReport } from './error-report.js';
import type { FileSystem } from './file-system.js';
import { KernelLocks } from './kernel-locks.js';
import type { Negotiated } from './negotiation.js';
import { negotiate, writeInitReply } from './negotiation.js';
import { malformed, MUTATING, operationOf } from './operations.js';
import { Passthrough } from './passthrough.js';
import { IN_HEADER_BYTES, OP, operationName, TWO_32 } from './protocol.js';
import type { ReplyShape } from './replies.js';
import { BYTES } from './replies.js';
import { ReplyBuffer } from './reply-buffer.js';
import type { RequestView } from './request.js';
import { SharedOpens } from './shared-opens.js';
import type { Transport } from './transport.js';
import { UNREADABLE } from './transport.js';

interface SessionOptions {
  readonly requestDeadlineMs: number;
  readonly log: Log;
  readonly onError?: (operation: string, error: FilestoreError) => void;
  /** For tests. */
  readonly urgencyOf?: (pid: number) => Urgency;
}

/** How often waiting requests are looked at: deadlines, and interrupted clients that may have been killed meanwhile. */
const SWEEP_MS = 250;
/** After which a waiting request's client is looked at although the kernel said nothing. */
const UNTOLD_MS = 1_000;

export class Session {
  readonly fileSystem: FileSystem;
  readonly passthrough: Passthrough;
  readonly shared: SharedOpens;
  readonly locks = new KernelLocks();
  readonly out = new ReplyBuffer();
  /** Settles when INIT was answered; rejects when the kernel and we have no version in common, or the mount ends before. */
  readonly initialized: Promise<Negotiated>;
  /** Settles when the mount has ended. */
  readonly ended: Promise<void>;
  readonly #transport: Transport;
  readonly #options: SessionOptions;
  readonly #errors: ErrorReport;
  readonly #waiting = new Map<number, Call>();
  readonly #urgencyOf: (pid: number) => Urgency;
  #sweeper: NodeJS.Timeout | undefined;
  #hasEnded = false;
  #hasRing = false;
  #onInitialized: (negotiated: Negotiated) => void = () => undefined;
  #onInitFailed: (error: FilestoreError) => void = () => undefined;
  #onEnded: () => void = () => undefined;

  constructor(fileSystem: FileSystem, transport: Transport, options: SessionOptions) {
    this.fileSystem = fileSystem;
    this.#transport = transport;
    this.#options = options;
    this.#errors = new ErrorReport(options.log, options.onError);
    this.#urgencyOf = options.urgencyOf ?? urgencyOf;
    this.passthrough = new Passthrough(transport, options.log);
    this.shared = new SharedOpens(transport.ring, (ino, handle) => {
      this.passthrough.release(ino);
      this.releaseQuietly(ino, handle);
    });
    this.initialized = new Promise((resolve, reject) => {
      this.#onInitialized = resolve;
      this.#onInitFailed = reject;
    });
    // Whoever waits for it gets the failure; that nobody waits is no error of its own.
    this.initialized.catch(() => undefined);
    this.ended = new Promise((resolve) => (this.#onEnded = resolve));
  }

  start(): void {
    this.#transport.start(
      (request) => this.dispatch(request),
      (errno) => this.end(errno),
    );
  }

  /** Requests come by io_uring, which holds the device beside its descriptor. */
  get hasRing(): boolean {
    return this.#hasRing;
  }

  /** Requests being served now. */
  get activeRequests(): number {
    return this.#waiting.size;
  }

  /** Never throws. */
  dispatch(request: RequestView): void {
    if (request.length < IN_HEADER_BYTES) {
      this.#options.log.error('malformed-request', { bytes: request.length });
      return;
    }
    const call = new Call(request);
    try {
      if (!request.isWellFormed) throw malformed(call);
      switch (call.opcode) {
        case OP.FORGET:
          this.fileSystem.forget(call.ino, request.u64(10));
          return;
        case OP.BATCH_FORGET:
          this.#batchForget(request);
          return;
        case OP.INTERRUPT:
          this.#interrupt(call, request.word(10), request.word(11));
          return;
        case OP.INIT:
          this.#init(call, request);
          return;
        default: {
          const operation = operationOf(call.opcode);
          if (operation === undefined) this.sendErrno(call, ENOSYS);
          else operation(this, call, request);
        }
      }
    } catch (error) {
      this.#fail(call, error);
    }
  }

  /** Sends an answer now, or when it is there. */
  answer<T>(call: Call, answer: Answer<T>, shape: ReplyShape<T>): void {
    if (!(answer instanceof Promise)) {
      this.#deliver(call, answer, shape);
      return;
    }
    this.#wait(call);
    answer.then(
      (value) => {
        const isTooLate = call.isAnswered;
        this.#settled(call);
        try {
          if (isTooLate) shape.undo?.(this, call, value);
          else this.#deliver(call, value, shape);
        } catch (error) {
          this.#fail(call, error);
        }
      },
      (error: unknown) => {
        const isTooLate = call.isAnswered;
        this.#settled(call);
        if (!isTooLate) this.#fail(call, error);
      },
    );
  }

  #deliver<T>(call: Call, value: T, shape: ReplyShape<T>): void {
    const result = shape.send(this, call, value);
    if (result === 0) return;
    shape.undo?.(this, call, value);
    // ENOENT: the kernel gave the request up (a killed client). Anything else says that our reply was wrong, and the client still waits.
    if (result === -ENOENT || this.#hasEnded) return;
    this.#options.log.error('reply-refused', { operation: operationName(call.opcode), errno: -result });
    this.sendErrno(call, EIO);
  }

  /** @param payloadBytes already in `out`, behind the header @returns 0 or a negative errno */
  sendPayload(call: Call, payloadBytes: number): number {
    this.#noteAnswered(call);
    return this.#transport.reply(this.out.bytes, this.out.header(call.uniqueLow, call.uniqueHigh, 0, payloadBytes), this.out.words);
  }

  /** Where the disk does not give the bytes, they come from another copy, later. @returns as `sendPayload` */
  sendFromFile(call: Call, slice: FileSlice): number {
    this.out.header(call.uniqueLow, call.uniqueHigh, 0, slice.length);
    const result = this.#transport.replyFromFile(this.out.bytes, slice);
    if (result === UNREADABLE) {
      if (call.hasAskedElsewhere) throw unreadable();
      call.hasAskedElsewhere = true;
      this.answer(call, readElsewhere(slice, call.signal), BYTES);
      return 0;
    }
    this.#noteAnswered(call);
    return result;
  }

  /** @param errno positive @returns 0: an error leaves nothing to take back */
  sendErrno(call: Call, errno: number): number {
    this.#noteAnswered(call);
    this.#transport.reply(this.out.bytes, this.out.header(call.uniqueLow, call.uniqueHigh, errno, 0), this.out.words);
    return 0;
  }

  #noteAnswered(call: Call): void {
    call.isAnswered = true;
    this.locks.answered(call);
  }

  /** Releases a handle nobody got. */
  releaseQuietly(ino: number, handle: number): void {
    const report = (error: unknown): void => this.#errors.report('release', error);
    try {
      const released = this.fileSystem.release(ino, handle);
      if (released instanceof Promise) released.catch(report);
    } catch (error) {
      report(error);
    }
  }

  /** @param errno ENODEV after an unmount */
  end(errno: number): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
    this.shared.close();
    for (const call of this.#waiting.values()) {
      call.isAnswered = true;
      call.abort();
    }
    this.#waiting.clear();
    this.#onInitFailed(new FilestoreError('unavailable', `the mount ended before the kernel's INIT (errno ${errno})`));
    this.#transport.close();
    this.#onEnded();
  }

  #init(call: Call, request: RequestView): void {
    const negotiated = negotiate(request, this.#transport);
    if (negotiated === 'ask-again') {
      this.sendPayload(call, writeInitReply(this.out, undefined));
      return;
    }
    if (negotiated === 'too-old') {
      this.sendErrno(call, EPROTO);
      this.#onInitFailed(
        new FilestoreError(
          'unavailable',
          `the kernel speaks FUSE ${request.word(10)}.${request.word(11)}; 7.31 (Linux 5.4) or newer is needed`,
        ),
      );
      return;
    }
    this.passthrough.isEnabled = negotiated.hasPassthrough;
    this.sendPayload(call, writeInitReply(this.out, negotiated));
    this.#hasRing = negotiated.hasRing;
    const errno = negotiated.hasRing ? -(this.#transport.ring?.use() ?? 0) : 0;
    if (errno > 0) {
      this.#onInitFailed(
        new FilestoreError('unavailable', `the kernel takes no request by io_uring (errno ${errno}); set "driver: kernel-device"`),
      );
      this.end(errno);
      return;
    }
    this.#onInitialized(negotiated);
  }

  #batchForget(request: RequestView): void {
    const count = Math.min(request.word(10), (request.length - 48) >>> 4);
    for (let i = 0, at = 12; i < count; i++, at += 4) this.fileSystem.forget(request.u64(at), request.u64(at + 2));
  }

  #interrupt(interrupt: Call, uniqueLow: number, uniqueHigh: number): void {
    const call = this.#waiting.get(uniqueLow + uniqueHigh * TWO_32);
    if (call === undefined) {
      // Two readers can overtake each other. EAGAIN makes the kernel say it again, unless the request has its reply by now.
      this.sendErrno(interrupt, EAGAIN);
      return;
    }
    call.isInterrupted = true;
    this.#letGoIfUrgent(call);
  }

  /** The kernel says INTERRUPT once; a client that is killed later is noticed by the sweep, which comes here again. */
  #letGoIfUrgent(call: Call): void {
    const urgency = this.#urgencyOf(call.pid);
    if (urgency === 'none' || (urgency !== 'fatal' && MUTATING.has(call.opcode))) return;
    this.sendErrno(call, EINTR);
    call.abort();
  }

  #wait(call: Call): void {
    this.locks.wait(call);
    call.deadlineMs = performance.now() + this.#options.requestDeadlineMs;
    this.#waiting.set(call.uniqueLow + call.uniqueHigh * TWO_32, call);
    this.#sweeper ??= setInterval(() => this.#sweep(), Math.min(SWEEP_MS, Math.max(10, this.#options.requestDeadlineMs / 4))).unref();
  }

  #settled(call: Call): void {
    const unique = call.uniqueLow + call.uniqueHigh * TWO_32;
    if (this.#waiting.get(unique) === call) this.#waiting.delete(unique);
  }

  /** Stops by itself: most waits are over in less than a timer costs. */
  #sweep(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
      return;
    }
    const nowMs = performance.now();
    for (const call of this.#waiting.values()) {
      if (call.isAnswered) continue;
      // By io_uring the kernel does not tell of a signal that came before the request was here.
      const isDoubted = this.#hasRing && nowMs > call.deadlineMs - this.#options.requestDeadlineMs + UNTOLD_MS;
      if (call.isInterrupted || isDoubted) this.#letGoIfUrgent(call);
      if (call.isAnswered || nowMs < call.deadlineMs) continue;
      this.#fail(call, new FilestoreError('unavailable', `no answer within ${this.#options.requestDeadlineMs} ms`));
      call.abort();
    }
  }

  #fail(call: Call, error: unknown): void {
    if (call.opcode === OP.FORGET || call.opcode === OP.BATCH_FORGET || call.opcode === OP.INTERRUPT) {
      this.#errors.report(operationName(call.opcode), error);
      return;
    }
    this.#errors.report(operationName(call.opcode), error);
    this.sendErrno(call, error instanceof RangeError ? EINVAL : errnoOf(kindOf(error)));
  }
}
