/** The parts of a real mount. Drivers are loaded when they are asked for: fuse-native may not be installed. */
import { openCache } from '../cache/blob-cache.js';
import { packageVersion } from '../config/version.js';
import { openFilestore } from '../filestore/open-filestore.js';
import { openOrigin } from '../origins/directory-origin.js';
import { RememberedOrigin } from '../origins/remembered-origin.js';
import { createSwiftStore } from '../swift/swift-store.js';
import { createVfs } from '../vfs/vfs.js';
import { createDriver } from './create-driver.js';
import type { PartMakers } from './start-mount.js';

export const partMakers: PartMakers = {
  openOrigin: (directory, { readTimeoutMs, lookupWaitMs }, log) =>
    new RememberedOrigin(openOrigin(directory, { answerMs: readTimeoutMs, silentMs: lookupWaitMs }), lookupWaitMs, log),
  createStore: (settings, log) => {
    const store = createSwiftStore(settings, { log, userAgent: `odoo-swiftfs/${packageVersion()}` });
    return { store, counts: () => store.requestCounts };
  },
  openCache: (settings, mayWrite, log) =>
    openCache({
      directory: settings.cacheDirectory,
      budgetBytes: settings.cacheBudgetBytes,
      floorBytes: settings.cacheFloorBytes,
      mayWrite,
      log,
    }),
  openFilestore,
  createVfs: (filestore, owner, log) =>
    createVfs(filestore, {
      // Not a copy: below a dead mount the owner is learnt when the new one is made.
      get uid() {
        return owner.uid;
      },
      get gid() {
        return owner.gid;
      },
      log,
    }),
  createDriver: (settings) => createDriver(settings),
};
