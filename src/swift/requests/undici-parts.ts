/**
 * The parts of undici that are needed, and no more: its front door loads fetch, WebSocket, caches and mocks too, which is a third of what
 * loading this client costs (docs/decisions/0008). Where its inside has moved, the front door serves.
 */
import { createRequire } from 'node:module';
import type * as Undici from 'undici';

const require = createRequire(import.meta.url);

const AGENT_MODULE = 'undici/lib/dispatcher/agent.js';
const CONNECTOR_MODULE = 'undici/lib/core/connect.js';

export function loadAgent(): typeof Undici.Agent {
  try {
    return require(AGENT_MODULE) as typeof Undici.Agent;
  } catch {
    return loadUndici().Agent;
  }
}

/** What makes undici's connections, TLS included. */
export function loadConnector(): typeof Undici.buildConnector {
  try {
    return require(CONNECTOR_MODULE) as typeof Undici.buildConnector;
  } catch {
    return loadUndici().buildConnector;
  }
}

function loadUndici(): typeof Undici {
  return require('undici') as typeof Undici;
}
