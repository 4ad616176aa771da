/**
 * undici's inner modules that are imported by name: its front door loads fetch, WebSocket, caches and mocks too, which is a third of what loading
 * this client costs (docs/decisions/0008). An undici whose inside has moved fails the build. Their types are those that its front door has.
 */
declare module 'undici/lib/dispatcher/agent.js' {
  import { Agent } from 'undici';
  export = Agent;
}
/** What makes undici's connections, TLS included. */
declare module 'undici/lib/core/connect.js' {
  import { buildConnector } from 'undici';
  export = buildConnector;
}
