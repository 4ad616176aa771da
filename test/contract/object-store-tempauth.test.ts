/** The port over a real Swift with tempauth, and with a Swift that takes no object above 100,000 bytes: everything larger is an SLO. */
import { createSwiftStore } from '../../src/swift/swift-store.js';
import { LogGuard } from '../helpers/log-guard.js';
import { tempauthSettings } from '../helpers/swift-settings.js';
import { withSwift, type SwiftOptions } from '../helpers/with-swift.js';
import { objectStoreContract, type StoreUnderTest } from './object-store.js';

async function makeStore(options: SwiftOptions): Promise<StoreUnderTest> {
  const swift = await withSwift(options);
  const log = new LogGuard();
  const store = createSwiftStore(tempauthSettings(swift.authUrl), { log: log.log(), userAgent: 'contract' });
  return {
    store,
    stop: async () => {
      await swift.stop();
      log.assertQuiet();
    },
  };
}

objectStoreContract('Swift with tempauth', () => makeStore({}));
objectStoreContract('Swift with small objects', () => makeStore({ maxFileSizeBytes: 100_000 }));
