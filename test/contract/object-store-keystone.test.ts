/** The port over a real Swift behind a real Keystone. */
import { createSwiftStore } from '../../src/swift/swift-store.js';
import { LogGuard } from '../helpers/log-guard.js';
import { keystoneSettings } from '../helpers/swift-settings.js';
import { withKeystone } from '../helpers/with-keystone.js';
import { objectStoreContract } from './object-store.js';

objectStoreContract('Swift behind Keystone', async () => {
  const keystone = await withKeystone();
  const log = new LogGuard();
  const store = createSwiftStore(keystoneSettings(keystone.authUrl), { log: log.log(), userAgent: 'contract' });
  return {
    store,
    stop: async () => {
      await keystone.stop();
      log.assertQuiet();
    },
  };
});
