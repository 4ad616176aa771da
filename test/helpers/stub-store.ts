/** A Swift store whose Swift is a stub. */
import { SILENT_LOG, type Log } from '../../src/base/log.js';
import { createSwiftStore, type SwiftStore } from '../../src/swift/swift-store.js';
import { LoginStub } from './keystone-v2-stub.js';
import { TEST_SETTINGS } from './swift-settings.js';

/** Logged in already: every request is about the account. */
export function storeAt(stub: LoginStub, log: Log = SILENT_LOG): SwiftStore {
  return createSwiftStore({ ...TEST_SETTINGS, token: 't', storageUrl: `${stub.url}/v1/AUTH_a` }, { log, userAgent: 'unit' });
}

/** Both together, for tests that say each for itself what is answered. */
export class StubbedSwift {
  readonly stub: LoginStub;
  readonly store: SwiftStore;

  static async start(): Promise<StubbedSwift> {
    return new StubbedSwift(await LoginStub.start(() => ({ status: 404 })));
  }

  private constructor(stub: LoginStub) {
    this.stub = stub;
    this.store = storeAt(stub);
  }

  async close(): Promise<void> {
    await this.store.close();
    await this.stub.close();
  }
}
