/** The body of an answer on its way in: what comes before somebody wants it is kept, what comes later is handed on as it comes. */
import type { Dispatcher } from 'undici';

interface BodySink {
  data(chunk: Buffer): void;
  /** All of it came, as far as HTTP can tell. */
  end(): void;
  error(error: unknown): void;
}

export class IncomingBody {
  #controller: Dispatcher.DispatchController | undefined;
  #sink: BodySink | undefined;
  readonly #early: Buffer[] = [];
  #ended = false;
  #failed = false;
  #error: unknown;

  /** Says what paces the body. */
  from(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
  }

  /** Hands the body to its one reader. */
  into(sink: BodySink): void {
    this.#sink = sink;
    for (const chunk of this.#early.splice(0)) sink.data(chunk);
    if (this.#failed) sink.error(this.#error);
    else if (this.#ended) sink.end();
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  /** Ends it early; the connection is closed. */
  giveUp(): void {
    if (!this.#ended && !this.#failed) this.#controller?.abort(new Error('the body was given up'));
  }

  take(chunk: Buffer): void {
    if (this.#sink === undefined) this.#early.push(chunk);
    else this.#sink.data(chunk);
  }

  end(): void {
    this.#ended = true;
    this.#sink?.end();
  }

  fail(error: unknown): void {
    if (this.#ended || this.#failed) return;
    this.#failed = true;
    this.#error = error;
    this.#sink?.error(error);
  }
}
