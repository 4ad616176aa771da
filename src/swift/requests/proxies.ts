/**
 * Which way a request takes: http:// URLs are handed to their proxy whole (many allow a tunnel to port 443 only), https:// ones go through a
 * tunnel, and what no_proxy names goes by itself. A proxy for one scheme is none for the other.
 */
import type { Socket } from 'node:net';
import type { buildConnector, Dispatcher } from 'undici';
import type { SwiftSettings } from '../swift-settings.js';
import { withoutBrackets, withPort } from './hostname.js';
import { HttpProxy } from './http-proxy.js';
import { NoProxy } from './no-proxy.js';
import { openTunnel } from './tunnel.js';
import { header, type Headers } from './wire.js';

/** What a proxy answers of its own: it forbids, wants to know us, or does not reach the server. 503 is squid's word for that. */
const PROXYS_OWN: ReadonlySet<number> = new Set([403, 407, 502, 503, 504]);

export class Proxies {
  readonly #plain: HttpProxy | undefined;
  readonly #secure: HttpProxy | undefined;
  readonly #exempt: NoProxy;
  /** By origin: there are as many as the catalog and the settings name. */
  readonly #ways = new Map<string, HttpProxy | undefined>();

  private constructor(plain: HttpProxy | undefined, secure: HttpProxy | undefined, exempt: NoProxy) {
    this.#plain = plain;
    this.#secure = secure;
    this.#exempt = exempt;
  }

  /** @returns undefined without any. @throws FilestoreError bad-config for a URL that is none */
  static from({ httpProxy = '', httpsProxy = '', noProxy = '' }: SwiftSettings): Proxies | undefined {
    if (httpProxy === '' && httpsProxy === '') return undefined;
    const plain = httpProxy === '' ? undefined : new HttpProxy(httpProxy, 'http_proxy');
    const secure = httpsProxy === '' ? undefined : new HttpProxy(httpsProxy, 'https_proxy');
    return new Proxies(plain, secure, new NoProxy(noProxy));
  }

  /** Whom a request goes through. @param origin scheme, host and port */
  of(origin: string): HttpProxy | undefined {
    if (this.#ways.has(origin)) return this.#ways.get(origin);
    const { protocol, hostname, port } = new URL(origin);
    const proxy = protocol === 'https:' ? this.#secure : this.#plain;
    const isExempt = this.#exempt.has(withoutBrackets(hostname), portOf(protocol, port));
    const way = isExempt ? undefined : proxy;
    this.#ways.set(origin, way);
    return way;
  }

  /** Connects to a proxy itself, through one, or by `direct`. */
  connector(direct: buildConnector.connector, timeoutMs: number): buildConnector.connector {
    return (options, callback) => {
      const { protocol, hostname, host } = options;
      const plain = this.#plain;
      if (plain !== undefined && plain.protocol === protocol && plain.host === host) return reach(direct, plain, callback);
      const port = portOf(protocol, options.port);
      const secure = this.#secure;
      if (secure === undefined || protocol !== 'https:' || this.#exempt.has(hostname, port)) return direct(options, callback);
      reach(direct, secure, (error, socket) => {
        if (error !== null) return callback(error, null);
        openTunnel(socket, secure, withPort(hostname, port), timeoutMs).then(
          (httpSocket) => direct({ ...options, httpSocket }, callback),
          (failure: unknown) => callback(failure as Error, null),
        );
      });
    };
  }

  /** An interceptor of undici: hands requests to http:// URLs to the proxy, which is told the whole URL (RFC 9112, 3.2.2). */
  readonly forward: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
    const url = new URL(String(options.origin));
    const proxy = this.of(url.origin);
    if (proxy === undefined || url.protocol !== 'http:') return dispatch(options, handler);
    const forwarded = {
      ...options,
      origin: proxy.origin,
      path: `${url.origin}${options.path}`,
      headers: {
        ...(options.headers as Record<string, string>),
        host: url.host,
        ...(proxy.authorization === undefined ? {} : { 'proxy-authorization': proxy.authorization }),
      },
      // undici would ask a proxy behind TLS for the certificate of the server.
      servername: proxy.hostname,
    };
    return dispatch(forwarded, tellingRefusals(handler, proxy, url.host));
  };
}

/** @param port as in a URL: empty for that of the protocol */
function portOf(protocol: string, port: string | undefined): number {
  return Number(port) || (protocol === 'https:' ? 443 : 80);
}

function reach(direct: buildConnector.connector, proxy: HttpProxy, callback: (...args: [null, Socket] | [Error, null]) => void): void {
  const { host, hostname, protocol, port } = proxy;
  direct({ host, hostname, protocol, port }, (error, socket) => {
    if (error === null) callback(null, socket);
    else callback(proxy.unreached(error), null);
  });
}

/** Answers that are the proxy's own are told as such. */
function tellingRefusals(handler: Dispatcher.DispatchHandler, proxy: HttpProxy, target: string): Dispatcher.DispatchHandler {
  return {
    onRequestStart: (controller, context: unknown) => handler.onRequestStart?.(controller, context),
    onResponseStart: (controller, status, headers, message) => {
      if (isProxysOwn(status, headers)) {
        // A request the proxy forbids was not sent; one that it did not bring to an end may have been carried out.
        controller.abort(proxy.refusal(status < 500 ? 'unreachable' : 'lost', status, target));
        return;
      }
      handler.onResponseStart?.(controller, status, headers, message);
    },
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
    onResponseError: (controller, error) => handler.onResponseError?.(controller, error),
  };
}

/** Swift and Keystone put an id on their answers; what asks for a pause is left to those who heed it. */
function isProxysOwn(status: number, headers: Headers): boolean {
  if (status === 407) return true;
  if (!PROXYS_OWN.has(status) || header(headers, 'retry-after') !== undefined) return false;
  return header(headers, 'x-trans-id') === undefined && header(headers, 'x-openstack-request-id') === undefined;
}
