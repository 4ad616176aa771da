/** The oracle: what the contract expects of a mount, an ordinary directory does. */
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { posixContract } from './posix.js';

posixContract('a plain directory', () => {
  const path = tempDir('oracle');
  return Promise.resolve({
    path,
    close: () => {
      removeDir(path);
      return Promise.resolve();
    },
  });
});
