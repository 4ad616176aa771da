/**
 * The parts of undici that are needed, and no more: its front door loads fetch, WebSocket, caches and mocks too, which is a third of what
 * loading this client costs (docs/decisions/0008). An undici whose inside has moved fails the build.
 */
export { default as Agent } from 'undici/lib/dispatcher/agent.js';
/** What makes undici's connections, TLS included. */
export { default as buildConnector } from 'undici/lib/core/connect.js';
