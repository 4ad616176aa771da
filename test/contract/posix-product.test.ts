/** The contract over the whole product: the program's own mount over a real Swift, once by each driver. */
import { posixContract, type PosixRoot } from './posix.js';
import { startMount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';

async function mountProduct(): Promise<PosixRoot> {
  const swift = await withSwift();
  const mount = await startMount({ swift, database: 'posix' });
  return {
    path: mount.path,
    close: async () => {
      try {
        await mount.stop();
      } finally {
        await swift.stop();
      }
    },
  };
}

posixContract('odoo-swiftfs over Swift (kernel driver)', mountProduct);
posixContract('odoo-swiftfs over Swift (kernel driver in pure Node)', () => mountProduct('kernel-pure'));
