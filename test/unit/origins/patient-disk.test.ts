import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { DiskFailed, FilestoreError } from '../../../src/base/errors.js';
import { PatientDisk } from '../../../src/origins/patient-disk.js';

// The patience of a wait keeps no process alive.
const alive = setInterval(() => undefined, 1000);
after(() => clearInterval(alive));

/** A question that is answered when the test says so. */
function question<T>(): { ask: () => Promise<T>; answer: (value: T) => void; readonly isAsked: boolean } {
  let isAsked = false;
  let answer: (value: T) => void = () => undefined;
  const answered = new Promise<T>((resolve) => (answer = resolve));
  const ask = (): Promise<T> => {
    isAsked = true;
    return answered;
  };
  return {
    ask,
    answer,
    get isAsked() {
      return isAsked;
    },
  };
}

test('Who asks a disk that hangs is told after his patience, with the name of what lies there.', async () => {
  const disk = new PatientDisk('the origin /old', { answerMs: 20, silentMs: 5 });
  const hanging = question<string>();
  await assert.rejects(
    disk.ask(hanging.ask),
    (error) => error instanceof DiskFailed && /\/old gave no answer within 20 ms/.test(error.message),
  );
  assert.equal(disk.trouble, 'no answer within 20 ms');
  await assert.rejects(disk.ask(question().ask), /within 5 ms/);
  assert.equal(await disk.ask(() => Promise.resolve('there')), 'there');
  assert.equal(disk.trouble, undefined);
});

test('No more than four calls hang in a disk at once; the others wait, and go on when it answers.', async () => {
  const disk = new PatientDisk('the origin /old', { answerMs: 20, silentMs: 5 });
  const hanging = Array.from({ length: 6 }, () => question<number>());
  await Promise.all(hanging.map(({ ask }) => assert.rejects(disk.ask(ask), { kind: 'unavailable' })));
  assert.deepEqual(
    hanging.map(({ isAsked }) => isAsked),
    [true, true, true, true, false, false],
  );
  hanging[0]?.answer(0);
  await turn();
  assert.equal(await disk.ask(() => Promise.resolve(1)), 1);
});

test('An answer that comes too late is given back.', async () => {
  const disk = new PatientDisk('the origin /old', { answerMs: 5, silentMs: 5 });
  const hanging = question<string>();
  const late: string[] = [];
  await assert.rejects(
    disk.ask(hanging.ask, undefined, (answer) => late.push(answer)),
    { kind: 'unavailable' },
  );
  hanging.answer('a descriptor');
  await turn();
  assert.deepEqual(late, ['a descriptor']);
});

test('Who gives up is told so, and that says nothing of the disk.', async () => {
  const disk = new PatientDisk('the origin /old', { answerMs: 60_000, silentMs: 5 });
  const caller = new AbortController();
  const asked = disk.ask(question().ask, caller.signal);
  caller.abort();
  await assert.rejects(asked, { kind: 'interrupted' });
  assert.equal(disk.trouble, undefined);
});

test('An I/O error is the trouble of the disk, an absence or a link that leads out is none.', async () => {
  const disk = new PatientDisk('the origin /old', { answerMs: 1000, silentMs: 5 });
  const failing = (error: Error) => (): Promise<never> => Promise.reject(error);
  await assert.rejects(disk.ask(failing(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }))));
  assert.equal(disk.trouble, 'EIO: i/o error');
  await assert.rejects(disk.ask(failing(Object.assign(new Error('ENOENT'), { code: 'ENOENT' }))));
  assert.equal(disk.trouble, undefined);
  await assert.rejects(disk.ask(failing(new FilestoreError('unavailable', 'a symbolic link leads out of it'))));
  assert.equal(disk.trouble, undefined);
});
