/** Whether a name is there, where no answer but "yes" and ENOENT will do. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';

export async function isThere(file: string): Promise<boolean> {
  return fs.stat(file).then(
    () => true,
    (error: unknown) => {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
      return false;
    },
  );
}
