/**
 * The connections: one undici dispatcher for everything a store sends, with its time-outs, certificates and proxies.
 * A Swift proxy closes an idle connection after 60 s; we drop ours earlier, so that a request rarely meets a closing one.
 */
import type { Dispatcher } from 'undici';
import Agent from 'undici/lib/dispatcher/agent.js';
import type { Log } from '../../base/log.js';
import type { SwiftSettings } from '../swift-settings.js';
import { Certificates } from './certificates.js';
import { Proxies } from './proxies.js';
import type { RequestDispatcher } from './wire.js';

const IDLE_MS = 30_000;
const IDLE_MAX_MS = 50_000;
/** Of an answer's head. Node takes 16 KiB; what Swift sends and what a gateway adds (cookies, policies, traces) may be more together. */
const HEAD_BYTES = 128 * 1024;

export interface Connections extends RequestDispatcher {
  /** Running requests are broken off. */
  destroy(): Promise<void>;
}

/** @throws FilestoreError bad-config when a certificate file cannot serve or a proxy's URL is none */
export function createAgent(settings: SwiftSettings, log: Log): Connections {
  const { connect: direct } = new Certificates(settings, log);
  const options: Agent.Options = {
    connections: settings.connections,
    pipelining: 1,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MAX_MS,
    maxHeaderSize: HEAD_BYTES,
    headersTimeout: settings.headersTimeoutMs,
    bodyTimeout: settings.stallTimeoutMs,
    connect: direct,
  };
  const proxies = Proxies.from(settings);
  if (proxies === undefined) return connectionsOf(new Agent(options));
  const connect = proxies.connector(direct, settings.connectTimeoutMs);
  const agent = new Agent({ ...options, connect }).compose(proxies.forward);
  return { ...connectionsOf(agent), proxyOf: (origin) => proxies.of(origin) };
}

function connectionsOf(dispatcher: Dispatcher): Connections {
  return { dispatch: (options, handler) => dispatcher.dispatch(options, handler), destroy: () => dispatcher.destroy() };
}
