/** A Swift client for the length of one command. */
import { createLog } from '../base/log.js';
import { checkLogin } from '../config/check-login.js';
import type { Settings } from '../config/options.js';
import { packageVersion } from '../config/version.js';
import type { SwiftStore } from '../swift/swift-store.js';
import { stayAwake } from './stay-awake.js';

/** @throws FilestoreError bad-config when the credentials are not complete; else what `work` throws */
export async function withStore<T>(settings: Settings, work: (store: SwiftStore) => Promise<T>): Promise<T> {
  checkLogin(settings);
  const { createSwiftStore } = await import('../swift/swift-store.js');
  // A command that works says nothing but its result.
  const log = createLog(settings.logLevel === 'info' ? 'warn' : settings.logLevel, (line) => process.stderr.write(`${line}\n`));
  const store = createSwiftStore(settings, { log, userAgent: `odoo-swiftfs/${packageVersion()}` });
  try {
    return await stayAwake(() => work(store));
  } finally {
    await store.close();
  }
}
