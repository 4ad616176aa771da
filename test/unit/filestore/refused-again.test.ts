/** How often a database that could not be opened is tried again, and what a disk that fails or hangs may hold up. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { RefusedAgain } from '../../../src/filestore/refused-again.js';
import { RefusedDatabases } from '../../../src/filestore/refused-databases.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const now = performance.now.bind(performance);

/** @returns -1 while nobody has it open to read it */
function openIfRead(fifo: string): number {
  try {
    return openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENXIO');
    return -1;
  }
}

describe('a database that could not be opened', () => {
  let spoolDirectory: string;
  let log: LogGuard;
  let refused: RefusedDatabases;
  let tries: number;
  let open: () => Promise<boolean>;
  let again: RefusedAgain;
  /** A try is due at some time. */
  let isAwaited: boolean;
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    // A pause is longer after a try that took long, as on a busy machine.
    mock.method(performance, 'now', () => 0);
    isAwaited = false;
    const { setTimeout: later } = globalThis;
    const awaited = (work: () => void, ms: number): NodeJS.Timeout => {
      isAwaited = true;
      return later(() => {
        isAwaited = false;
        work();
      }, ms);
    };
    mock.method(globalThis, 'setTimeout', awaited as typeof setTimeout);
    spoolDirectory = tempDir('refused-again');
    log = new LogGuard();
    refused = new RefusedDatabases(new MemoryStore(), log.log(), false);
    refused.add(
      { folder: 'prod', hasFolder: true, database: 'prod', container: 'odoo-prod', account: undefined, exists: true },
      new Error('no'),
    );
    tries = 0;
    open = () => Promise.reject(new Error('no'));
    const counted = (): Promise<boolean> => {
      tries++;
      return open();
    };
    again = new RefusedAgain({ refused, spoolDirectory, log: log.log(), open: counted });
  });
  afterEach(async () => {
    mock.restoreAll();
    mock.timers.reset();
    await again.close();
    removeDir(spoolDirectory);
  });

  const until = async (isSo: () => boolean): Promise<void> => {
    const untilMs = now() + 20_000;
    while (!isSo()) {
      assert.ok(now() < untilMs, 'in time');
      await setImmediate();
    }
  };
  /** Until what is due by then is tried, or failed before that: the next try is awaited, or nothing is refused any more. */
  const pass = async (ms: number): Promise<void> => {
    mock.timers.tick(ms);
    await until(() => isAwaited || refused.all().length === 0);
  };
  /** What comes without being awaited has come by then, on a machine that is not busy. */
  const rest = async (ms: number): Promise<void> => {
    mock.timers.tick(ms);
    const untilMs = now() + 100;
    while (now() < untilMs) await setImmediate();
  };
  const errors = (): number => log.lines.filter((line) => line.startsWith('ERROR ')).length;

  it('is tried after a second, then every ten seconds, and told again only when it is another story', async () => {
    again.start();
    await pass(999);
    assert.equal(tries, 0);
    await pass(1);
    assert.equal(tries, 1);
    await pass(9_000);
    assert.equal(tries, 1);
    open = () => Promise.reject(new FilestoreError('no-space', 'the disk is full'));
    await pass(3_000);
    assert.equal(tries, 2);
    assert.equal(errors(), 2);
    assert.throws(() => refused.assertNot('prod'), /the disk is full/);
    open = () => Promise.resolve(true);
    await pass(12_000);
    refused.assertNot('prod');
    assert.deepEqual(refused.statuses(), []);
    await rest(60_000);
    assert.equal(tries, 3);
  });

  it('is told once for one reason, whatever number that holds at each try, and `status` has the last', async () => {
    let freeBytes = 4096;
    open = () => Promise.reject(new FilestoreError('no-space', `the disk has ${freeBytes--} bytes left`));
    again.start();
    await pass(1_000);
    for (let i = 0; i < 3; i++) await pass(12_000);
    assert.equal(tries, 4);
    assert.equal(errors(), 2);
    assert.match(refused.statuses()[0]?.reason ?? '', /has 4093 bytes left/);
    open = () => Promise.reject(new FilestoreError('unavailable', 'the disk has 4093 bytes left'));
    await pass(12_000);
    assert.equal(errors(), 3, 'of another kind');
  });

  it('is not opened while its disk does not give what is read in the loop, and its reason is told', async () => {
    mkdirSync(join(spoolDirectory, 'v1', 'prod', 'names-1'), { recursive: true });
    again.start();
    await pass(1_000);
    assert.equal(tries, 0);
    assert.throws(() => refused.assertNot('prod'), /list of known names .*cannot be read/);
    rmdirSync(join(spoolDirectory, 'v1', 'prod', 'names-1'));
    await pass(12_000);
    assert.equal(tries, 1);
  });

  it('a disk that hangs holds up no end', async () => {
    mkdirSync(join(spoolDirectory, 'v1', 'prod'), { recursive: true });
    // Nobody writes to it, so nobody who opens it to read comes any further.
    const journal = join(spoolDirectory, 'v1', 'prod', 'journal');
    execFileSync('mkfifo', [journal]);
    again.start();
    mock.timers.tick(1_000);
    let writer = -1;
    await until(() => (writer = openIfRead(journal)) >= 0);
    await again.close();
    assert.equal(tries, 0);
    closeSync(writer);
    await rest(1_000);
    assert.equal(tries, 0);
  });

  it('an end waits for what is being opened, and opens nothing after it', async () => {
    let opened: (isOpen: boolean) => void = () => undefined;
    open = () => new Promise((resolve) => (opened = resolve));
    again.start();
    mock.timers.tick(1_000);
    await until(() => tries === 1);
    let isClosed = false;
    const closing = again.close().then(() => (isClosed = true));
    await setImmediate();
    assert.equal(isClosed, false);
    opened(false);
    await closing;
    await rest(60_000);
    assert.equal(tries, 1);
  });
});
