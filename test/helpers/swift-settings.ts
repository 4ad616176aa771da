/** Settings of the Swift client for tests: short enough to see time-outs, long enough for a loaded machine. */
import type { SwiftSettings } from '../../src/swift/swift-settings.js';

export const TEST_SETTINGS: SwiftSettings = {
  interface: 'public',
  insecure: false,
  connectTimeoutMs: 5000,
  headersTimeoutMs: 20_000,
  stallTimeoutMs: 15_000,
  requestTimeoutMs: 60_000,
  connections: 8,
  segmentBytes: 1 << 20,
};

/** Of the tempauth user of `withSwift`. */
export function tempauthSettings(authUrl: string, changed: Partial<SwiftSettings> = {}): SwiftSettings {
  return { ...TEST_SETTINGS, authUrl, username: 'test:tester', password: 'testing', ...changed };
}

/** Of the user odoo of `withKeystone`. */
export function keystoneSettings(authUrl: string, changed: Partial<SwiftSettings> = {}): SwiftSettings {
  return {
    ...TEST_SETTINGS,
    authUrl,
    username: 'odoo',
    password: 'odoo-secret',
    userDomainName: 'Default',
    projectName: 'odoo',
    projectDomainName: 'Default',
    region: 'RegionOne',
    ...changed,
  };
}
