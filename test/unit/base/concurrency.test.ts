import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { KeyedLock } from '../../../src/base/keyed-lock.js';
import { PriorityLimiter } from '../../../src/base/priority-limiter.js';
import { SingleFlight } from '../../../src/base/single-flight.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the limit by priority', () => {
  it('a reader goes before a writer, a writer before background work, and background never takes the last places', async () => {
    const limiter = new PriorityLimiter(4);
    const leave = [await limiter.enter('background'), await limiter.enter('background'), await limiter.enter('background')];
    const order: string[] = [];
    const wait = (priority: 'read' | 'write' | 'background'): Promise<() => void> =>
      limiter.enter(priority).then((done) => {
        order.push(priority);
        return done;
      });
    const fourth = wait('background');
    await turn();
    assert.deepEqual(order, [], 'three of four is the most that background work gets');
    leave.push(await limiter.enter('read'));
    const [write, read] = [wait('write'), wait('read')];
    await turn();
    assert.equal(limiter.waiting, 3);
    leave.pop()?.();
    (await read)();
    (await write)();
    leave.pop()?.();
    (await fourth)();
    assert.deepEqual(order, ['read', 'write', 'background']);
    for (const done of leave) done();
    assert.equal(limiter.running, 0);
  });

  it('bulk reads and background work leave places for writes, and all of them for reads', () => {
    const limiter = new PriorityLimiter(16);
    const enter = (...wanted: ('read' | 'bulk' | 'write' | 'background')[]): number[] =>
      wanted.map((priority) => {
        for (let entered = 0; ; entered++) if (limiter.enterNow(priority) === undefined) return entered;
      });
    assert.deepEqual(enter('bulk', 'background', 'write', 'read'), [12, 0, 2, 2]);
    for (const priority of ['read', 'bulk', 'write', 'background'] as const) {
      const one = new PriorityLimiter(1);
      assert.notEqual(one.enterNow(priority), undefined, 'one connection is for everybody');
    }
  });

  it('work that nobody waited for goes among the reads when somebody does, and gives back the place it got', async () => {
    const limiter = new PriorityLimiter(4);
    const leave = [limiter.enterNow('bulk'), limiter.enterNow('bulk'), limiter.enterNow('bulk')];
    const [wanted, never] = [new AbortController(), new AbortController()];
    const order: string[] = [];
    const enter = async (name: string, { signal: on }: AbortController, given?: AbortSignal): Promise<() => void> => {
      const done = await limiter.enter('background', given, { on, to: 'read' });
      order.push(name);
      return done;
    };
    const other = enter('other', never);
    const raised = enter('raised', wanted);
    const given = new AbortController();
    const givenUp = enter('given up', wanted, given.signal);
    await turn();
    assert.deepEqual(order, []);
    wanted.abort();
    const done = await raised;
    assert.deepEqual(order, ['raised']);
    given.abort();
    await assert.rejects(givenUp);
    done();
    (await enter('late', wanted))();
    assert.deepEqual(order, ['raised', 'late']);
    leave.pop()?.();
    (await other)();
    for (const each of leave) each?.();
    assert.deepEqual([limiter.running, limiter.waiting], [0, 0]);
    assert.equal(
      [1, 2, 3, 4, 5].filter(() => limiter.enterNow('bulk') !== undefined).length,
      3,
      'every place was given back as what it was',
    );
  });

  it('who gives up waiting gets `interrupted` and takes no place', async () => {
    const limiter = new PriorityLimiter(1);
    const done = await limiter.enter('read');
    const given = new AbortController();
    const waiting = limiter.enter('read', given.signal);
    given.abort();
    await assert.rejects(waiting, (error) => error instanceof FilestoreError && error.kind === 'interrupted');
    done();
    done();
    (await limiter.enter('background'))();
    assert.equal(limiter.running, 0);
  });
});

describe('the lock by key', () => {
  it('runs the holders of a key one after another in the order they came, others meanwhile, also after a failure', async () => {
    const lock = new KeyedLock();
    const order: string[] = [];
    const work =
      (name: string, fails = false) =>
      async (): Promise<void> => {
        order.push(`${name} in`);
        await turn();
        order.push(`${name} out`);
        if (fails) throw new Error(name);
      };
    const first = assert.rejects(lock.run('a', work('1', true)));
    await Promise.all([first, lock.run('a', work('2')), lock.runBoth('b', 'a', work('3')), lock.run('c', work('other'))]);
    const ofA = order.filter((line) => !line.startsWith('other'));
    assert.deepEqual(ofA, ['1 in', '1 out', '2 in', '2 out', '3 in', '3 out']);
    assert.equal(lock.isHeld('a'), false);
  });
});

describe('the single flight', () => {
  it('gives one outcome to all who ask while it runs, and flies again afterwards', async () => {
    const flight = new SingleFlight<number>();
    let flown = 0;
    const fly = (): Promise<number> => turn().then(() => ++flown);
    assert.deepEqual(await Promise.all([flight.run('k', fly), flight.run('k', fly), flight.run('other', fly)]), [1, 1, 2]);
    assert.equal(await flight.run('k', fly), 3);
    assert.equal(flight.size, 0);
  });
});
