import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { endMountAtExit } from '../../../src/fuse/exit-hook.js';

test('many mounts of one process are ended at its exit by one listener, those that fail and those that have ended aside', () => {
  const before = process.listenerCount('exit');
  const unused = (): never => assert.fail('no process ends here');
  const takenBack = Array.from({ length: 20 }, () => endMountAtExit(unused));
  assert.equal(process.listenerCount('exit'), before + 1);
  for (const takeBack of takenBack) takeBack();
  takenBack[0]?.();
  assert.equal(process.listenerCount('exit'), before);

  const hook = import.meta.resolve('../../../src/fuse/exit-hook.js');
  const program = `
    import { endMountAtExit } from ${JSON.stringify(hook)};
    const mount = (name) => endMountAtExit(() => {
      console.log(name);
      throw new Error(name);
    });
    for (let i = 0; i < 20; i++) mount(String(i));
    mount('ended')();
    process.exit(3);`;
  const ended = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
  assert.equal(ended.stdout, Array.from({ length: 20 }, (_, i) => `${i}\n`).join(''));
  assert.equal(ended.stderr, '');
  assert.equal(ended.status, 3);
});
