/** One HTTP exchange: out with a request, in with the answer's head. What goes wrong below HTTP becomes a {@link WireFailure}. */
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { IncomingBody } from './incoming-body.js';
import { GivenUp, wireFailureOf, type WireFailure } from './wire-failure.js';

export type HttpMethod = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'COPY';

/** What requests go out by. */
export interface RequestDispatcher {
  readonly dispatch: Dispatcher['dispatch'];
  /** Whom requests to an origin go through; undefined for nobody. */
  readonly proxyOf?: (origin: string) => { named(error: unknown): WireFailure } | undefined;
}

interface WireRequest {
  readonly method: HttpMethod;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Readable | Uint8Array | string | undefined;
  /** Ends the exchange, its body included. */
  readonly stop?: Stop | undefined;
  /** Longest wait for the head of the answer; the agent's default without it. */
  readonly headersTimeoutMs?: number | undefined;
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface WireAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Has to be read, or given up. */
  readonly body: IncomingBody;
}

/** What may end an exchange. An AbortSignal would do, but one a request costs more than the rest of our part in it. */
export interface Stop {
  readonly aborted: boolean;
  /** Called once, when it strikes; one listener, which the next exchange replaces. */
  onAbort: (() => void) | undefined;
}

export function stopOf(signal: AbortSignal): Stop {
  const stop: { aborted: boolean; onAbort: (() => void) | undefined } = { aborted: signal.aborted, onAbort: undefined };
  const strike = (): void => {
    stop.aborted = true;
    stop.onAbort?.();
  };
  signal.addEventListener('abort', strike, { once: true });
  return stop;
}

/**
 * undici's lowest call: no stream is made of an answer unless somebody wants one.
 * @throws WireFailure, which names the proxy there is; or GivenUp of an exchange that was stopped, where there is none
 */
export function exchange(dispatcher: RequestDispatcher, request: WireRequest): Promise<WireAnswer> {
  const { stop } = request;
  const proxy = dispatcher.proxyOf?.(request.origin);
  return new Promise<WireAnswer>((resolve, reject) => {
    const body = new IncomingBody();
    let started: Dispatcher.DispatchController | undefined;
    let answered = false;
    const fail = (error: unknown): void => {
      if (proxy !== undefined) error = proxy.named(error);
      if (answered) body.fail(error);
      else reject(stop?.aborted === true && error instanceof Error ? error : wireFailureOf(error));
    };
    // undici holds a request back until it has a connection, and can then not be told to drop it: who stops it does not wait for that.
    const giveUp = (): void => {
      const error = new GivenUp();
      if (started === undefined) fail(error);
      else started.abort(error);
    };
    if (stop?.aborted === true) return giveUp();
    if (stop !== undefined) stop.onAbort = giveUp;
    const options: Dispatcher.DispatchOptions = {
      origin: request.origin,
      path: request.path,
      method: request.method,
      headers: request.headers,
      body: request.body ?? null,
      // undici closes the connection after each HEAD otherwise, for the sake of servers that send a body with it. Swift behind Keystone does
      // so with a 401 (the end of a chunked body): that connection breaks, and who is on it then repeats his call.
      reset: false,
      ...(request.headersTimeoutMs === undefined ? {} : { headersTimeout: request.headersTimeoutMs }),
    };
    try {
      dispatcher.dispatch(options, {
        onRequestStart: (controller) => {
          started = controller;
          body.from(controller);
          if (stop?.aborted === true) giveUp();
        },
        onResponseStart: (_controller, status, headers) => {
          if (status < 200) return;
          answered = true;
          resolve({ status, headers, body });
        },
        onResponseData: (_controller, chunk) => body.take(chunk),
        onResponseEnd: () => body.end(),
        onResponseError: (_controller, error) => fail(error),
      });
    } catch (error) {
      fail(error);
    }
  });
}

/** @returns a header's value; of several the first. @param name in lower case */
export function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Reads a short body whole. Past `limitBytes` the rest is not waited for: it may have no end. @param moved called for each piece that comes. @throws WireFailure */
export function readText(body: IncomingBody, limitBytes: number, moved?: () => void): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    body.into({
      data: (chunk) => {
        moved?.();
        if (bytes >= limitBytes) return;
        parts.push(chunk);
        bytes += chunk.length;
        if (bytes < limitBytes) return;
        resolve(textOf(parts));
        body.giveUp();
      },
      end: () => resolve(textOf(parts)),
      error: (error) => reject(wireFailureOf(error)),
    });
  });
}

function textOf(parts: readonly Buffer[]): string {
  return parts.length === 0 ? '' : Buffer.concat(parts).toString('utf8');
}
