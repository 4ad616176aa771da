/** Which driver the options mean. */
import { unreachable } from '../base/errors.js';
import type { Settings } from '../config/options.js';
import type { FuseDriver } from '../fuse/driver.js';

export async function createDriver({ driver, keepsAwake }: Pick<Settings, 'driver' | 'keepsAwake'>): Promise<FuseDriver> {
  switch (driver) {
    case 'kernel': {
      const { createKernelDriver } = await import('../fuse/kernel-driver.js');
      return createKernelDriver({ keepsAwake });
    }
    case 'kernel-device': {
      const { createKernelDriver } = await import('../fuse/kernel-driver.js');
      return createKernelDriver({ transport: 'device' });
    }
    case 'kernel-pure': {
      const { createKernelDriver } = await import('../fuse/kernel-driver.js');
      return createKernelDriver({ transport: 'pure' });
    }
    case 'fuse-native': {
      const { createFuseNativeDriver } = await import('../fuse/fuse-native-driver.js');
      return createFuseNativeDriver();
    }
    default:
      return unreachable(driver);
  }
}
