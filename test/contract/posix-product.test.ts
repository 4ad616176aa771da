/** The contract over the whole product: the program's own mount over a real Swift, by its default driver. */
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

posixContract('odoo-swiftfs over Swift', mountProduct, {
  limitMs: 280_000,
  differences: {
    'names of any bytes come back as they were given': 'Swift stores names in UTF-8 only: EILSEQ',
    'renaming a directory moves what is in it, also what is open': 'Swift has no rename of a prefix: EXDEV, and mv copies',
    'a directory is renamed over an empty one only, and never into itself': 'the same',
    'chmod and a create mode are shown': 'modes are options of the mount',
  },
});
