/**
 * An HTTP proxy in front of a real Swift or Keystone that misbehaves on demand and counts what passes. Swift takes its storage URL from
 * the Host header, so a client that logs in through the proxy sends everything through it. `node:http`, not the client under test.
 */
import http from 'node:http';
import { Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from './processes.js';

/** What is done to a request that a rule matches. */
export type Fault =
  /** Answered here. `early`: while the client still sends, and the connection is closed. */
  | {
      readonly do: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly text?: string;
      readonly early?: boolean;
    }
  /** The connection is reset when the head has come. */
  | { readonly do: 'reset' }
  /** Never answered. */
  | { readonly do: 'hang' }
  | { readonly do: 'delay'; readonly ms: number }
  /** Upstream gets it all and does it; the client gets a reset instead of the answer. */
  | { readonly do: 'lost' }
  /** Upstream gets the first `bytes` of the request's body, then both connections are reset. */
  | { readonly do: 'half'; readonly bytes: number }
  /** The answer's true head, `bytes` of its body, then a reset. */
  | { readonly do: 'truncate'; readonly bytes: number }
  /** One bit flipped in byte `bytes` of the answer's body. */
  | { readonly do: 'corrupt'; readonly bytes: number }
  /** The answer's body at this many bytes a second. */
  | { readonly do: 'slow'; readonly bytesPerSecond: number }
  /** `bytes` of the answer's body, then silence on an open connection. */
  | { readonly do: 'stall'; readonly bytes: number }
  /** Passes, without the answer's length. */
  | { readonly do: 'chunked' }
  /** Passes, with these headers added to (or put in place of) the answer's. */
  | { readonly do: 'headers'; readonly headers: Record<string, string> };

export type Rule = Fault & {
  readonly method?: string;
  /** Tested on the request's path with its query. */
  readonly path?: RegExp;
  /** How often it acts; default always. */
  readonly times?: number;
  /** How many matching requests pass first. */
  readonly after?: number;
};

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly fault: Fault['do'] | undefined;
  readonly atMs: number;
}

interface ActiveRule {
  readonly rule: Rule;
  timesLeft: number;
  passesLeft: number;
}

export class FaultProxy {
  readonly #upstream: URL;
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #sockets = new Set<Socket>();
  #rules: ActiveRule[] = [];
  #server: http.Server | undefined;
  readonly #port: number;
  /** Every request so far, in the order it came. */
  readonly seen: Seen[] = [];
  /** Requests not answered to the end yet. */
  running = 0;

  private constructor(target: string, port: number) {
    this.#upstream = new URL(target);
    this.#port = port;
  }

  /**
   * @param target e.g. `http://127.0.0.1:8090`
   * @param port default a reserved one: of the ephemeral ports an outgoing connection may take ours while this proxy is down
   */
  static async start(target: string, port?: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, port ?? (await freePorts(1)));
    await proxy.up();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The auth URL of a tempauth Swift behind it. */
  get authUrl(): string {
    return `${this.url}/auth/v1.0`;
  }

  /** Adds a rule; the first that matches acts. */
  add(...rules: Rule[]): void {
    for (const rule of rules) this.#rules.push({ rule, timesLeft: rule.times ?? Infinity, passesLeft: rule.after ?? 0 });
  }

  clear(): void {
    this.#rules = [];
  }

  /** Requests seen by method (log-ins are counted as `AUTH`), since the start or the last {@link resetCounts}. */
  counts(path?: RegExp): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { method, url } of this.seen) {
      if (path !== undefined && !path.test(url)) continue;
      const name = /^\/(auth|v3)\b/.test(url) ? 'AUTH' : method;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  resetCounts(): void {
    this.seen.length = 0;
  }

  /** Connections are refused from now on; those that stand are cut. */
  async down(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) =>
      server.close(() => {
        resolve();
      }),
    );
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async up(): Promise<void> {
    if (this.#server !== undefined) return;
    const onRequest = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      this.running += 1;
      response.once('close', () => {
        this.running -= 1;
      });
      this.#handle(request, response).catch(() => request.socket.destroy());
    };
    const server = http.createServer({ requestTimeout: 0, headersTimeout: 0 }, onRequest);
    server.on('checkContinue', (request: http.IncomingMessage, response: http.ServerResponse) => {
      response.writeContinue();
      onRequest(request, response);
    });
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      // a proxy that a failed hook left open must not keep the test's process
      socket.unref();
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    server.unref();
    this.#server = server;
  }

  async close(): Promise<void> {
    await this.down();
    this.#agent.destroy();
  }

  #match(method: string, url: string): Rule | undefined {
    for (const active of this.#rules) {
      const { rule } = active;
      if (rule.method !== undefined && rule.method !== method) continue;
      if (rule.path?.test(url) === false) continue;
      if (active.passesLeft > 0) {
        active.passesLeft -= 1;
        continue;
      }
      if (active.timesLeft <= 0) continue;
      active.timesLeft -= 1;
      return rule;
    }
    return undefined;
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const method = request.method ?? '';
    const url = request.url ?? '';
    const fault = this.#match(method, url);
    this.seen.push({ method, url, headers: request.headers, fault: fault?.do, atMs: Date.now() });
    switch (fault?.do) {
      case 'status':
        await answerStatus(request, response, fault);
        return;
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'hang':
        return;
      case 'delay':
        await sleep(fault.ms);
        break;
      default:
        break;
    }
    this.#forward(request, response, fault);
  }

  #forward(request: http.IncomingMessage, response: http.ServerResponse, fault: Fault | undefined): void {
    const { hostname, port } = this.#upstream;
    const out = http.request({
      host: hostname,
      port,
      agent: this.#agent,
      method: request.method,
      path: request.url,
      headers: request.headers,
    });
    out.on('error', () => {
      // Swift's 401 to a HEAD has the end of a chunked body behind it, which no answer to a HEAD may have: the head is all there is.
      if (response.headersSent && request.method === 'HEAD') response.end();
      else if (response.headersSent) request.socket.destroy();
      else response.writeHead(502).end();
    });
    out.on('response', (answer) => {
      if (fault?.do === 'lost') {
        answer.resume();
        answer.on('end', () => request.socket.resetAndDestroy());
        return;
      }
      const headers = { ...answer.headers, ...(fault?.do === 'headers' ? fault.headers : {}) };
      delete headers.connection;
      if (fault?.do === 'chunked') delete headers['content-length'];
      response.writeHead(answer.statusCode ?? 502, headers);
      answer.on('error', () => request.socket.destroy());
      const body = bodyThrough(fault, () => {
        answer.destroy();
        if (fault?.do === 'truncate') setTimeout(() => request.socket.resetAndDestroy(), 50);
      });
      answer.pipe(body).pipe(response);
    });
    if (fault?.do === 'half') sendHalf(request, out, fault.bytes);
    else request.pipe(out);
    response.on('close', () => {
      if (!response.writableFinished && fault?.do !== 'lost') out.destroy();
    });
  }
}

async function answerStatus(request: http.IncomingMessage, response: http.ServerResponse, fault: Fault & { do: 'status' }): Promise<void> {
  const early = fault.early === true;
  if (!early) for await (const _chunk of request);
  response.writeHead(fault.status, { 'content-type': 'text/plain', ...(early ? { connection: 'close' } : {}), ...fault.headers });
  response.end(fault.text ?? '', () => {
    if (early) request.socket.destroy();
  });
}

function sendHalf(request: http.IncomingMessage, out: http.ClientRequest, bytes: number): void {
  let sent = 0;
  request.on('data', (chunk: Buffer) => {
    if (sent < bytes) out.write(chunk.subarray(0, bytes - sent));
    const before = sent;
    sent += chunk.length;
    if (before < bytes && sent >= bytes) {
      setTimeout(() => {
        out.destroy();
        request.socket.resetAndDestroy();
      }, 50);
    }
  });
}

/** The answer's body on its way to the client. `cut` is called where a truncated or stalled one ends. */
function bodyThrough(fault: Fault | undefined, cut: () => void): Transform {
  let sent = 0;
  let ended = false;
  const transform = async (body: Transform, chunk: Buffer): Promise<Buffer | undefined> => {
    const at = sent;
    sent += chunk.length;
    switch (fault?.do) {
      case 'truncate':
      case 'stall':
        if (ended || sent < fault.bytes) return ended ? undefined : chunk;
        ended = true;
        body.push(chunk.subarray(0, Math.max(0, fault.bytes - at)));
        cut();
        return undefined;
      case 'corrupt': {
        if (fault.bytes < at || fault.bytes >= sent) return chunk;
        const copy = Buffer.from(chunk);
        copy.writeUInt8(copy.readUInt8(fault.bytes - at) ^ 1, fault.bytes - at);
        return copy;
      }
      case 'slow':
        await sleep((chunk.length / fault.bytesPerSecond) * 1000);
        return chunk;
      default:
        return chunk;
    }
  };
  return new Transform({
    transform(this: Transform, chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      transform(this, chunk).then(
        (out) => {
          // without a `done` nothing more is asked for: the connection stays open and silent
          if (!ended) done(null, out);
        },
        (error: unknown) => {
          done(error instanceof Error ? error : new Error(String(error)));
        },
      );
    },
  });
}
