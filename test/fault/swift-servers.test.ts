/**
 * What goes wrong inside a real Swift (a server that hangs, is gone, has a full disk, limits the rate), for every call of the port: which
 * of them go on, what kind the others end with, and that each does its work when Swift is whole again.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FilestoreError, kindOf, messageOf } from '../../src/base/errors.js';
import type { RequestOptions } from '../../src/store/object-store.js';
import { createSwiftStore, type SwiftStore } from '../../src/swift/swift-store.js';
import { LogGuard } from '../helpers/log-guard.js';
import { bodyOf, listNames, readBytes } from '../helpers/store-bytes.js';
import { tempauthSettings } from '../helpers/swift-settings.js';
import { withSwift, type Swift, type SwiftOptions, type SwiftServer } from '../helpers/with-swift.js';

const MAIN = 'servers';

interface Probe {
  readonly name: string;
  /** Makes what `run` needs, while all is well. */
  readonly prepare?: (store: SwiftStore, tag: string) => Promise<unknown>;
  /**
   * Throws what the store throws, and an AssertionError where its answer was wrong. It may be run again after it has failed: then it may
   * turn out that the failed run was carried out.
   */
  readonly run: (store: SwiftStore, tag: string, options: RequestOptions) => Promise<void>;
}

const PROBES: readonly Probe[] = [
  {
    name: 'put',
    run: (store, tag, options) => store.put(MAIN, `put-${tag}`, bodyOf('put'), options),
  },
  {
    name: 'get',
    prepare: (store, tag) => store.put(MAIN, `get-${tag}`, bodyOf('got')),
    run: async (store, tag, options) => assert.equal((await readBytes(store, MAIN, `get-${tag}`, options))?.toString(), 'got'),
  },
  {
    name: 'head',
    prepare: (store, tag) => store.put(MAIN, `head-${tag}`, bodyOf('head')),
    run: async (store, tag, options) => assert.equal((await store.head(MAIN, `head-${tag}`, options))?.sizeBytes, 4),
  },
  {
    name: 'updateMetadata',
    prepare: (store, tag) => store.put(MAIN, `post-${tag}`, bodyOf('post')),
    run: async (store, tag, options) => assert.equal(await store.updateMetadata(MAIN, `post-${tag}`, { a: 'b' }, options), true),
  },
  {
    name: 'copy',
    prepare: (store, tag) => store.put(MAIN, `source-${tag}`, bodyOf('copied')),
    run: async (store, tag, options) => assert.equal(await store.copy(MAIN, `source-${tag}`, MAIN, `copy-${tag}`, options), true),
  },
  {
    name: 'delete',
    prepare: (store, tag) => store.put(MAIN, `delete-${tag}`, bodyOf('doomed')),
    run: async (store, tag, options) => {
      await store.delete(MAIN, `delete-${tag}`, options);
      assert.equal(await store.head(MAIN, `delete-${tag}`, options), undefined);
    },
  },
  {
    name: 'deleteMany',
    prepare: (store, tag) => Promise.all([1, 2].map((n) => store.put(MAIN, `many-${n}-${tag}`, bodyOf('doomed')))),
    run: async (store, tag, options) => {
      const names = [`many-1-${tag}`, `many-2-${tag}`];
      const { failed } = await store.deleteMany(MAIN, names, options);
      for (const [name, why] of failed) {
        assert.ok(names.includes(name), name);
        assert.match(why, /^50\d /);
        throw new FilestoreError('unavailable', `${name}: ${why}`);
      }
      for (const name of names) assert.equal(await store.head(MAIN, name, options), undefined);
    },
  },
  {
    name: 'list',
    run: async (store, _tag, options) => assert.ok((await listNames(store, MAIN, options)).includes('seed')),
  },
  {
    name: 'headContainer',
    run: async (store, _tag, options) => assert.ok((await store.headContainer(MAIN, options)) !== undefined),
  },
  {
    name: 'createContainer',
    run: async (store, tag, options) => assert.ok(['created', 'existed'].includes(await store.createContainer(`c-${tag}`, {}, options))),
  },
  {
    name: 'updateContainer',
    run: (store, tag, options) => store.updateContainer(MAIN, { tag }, options),
  },
  {
    name: 'deleteContainer',
    prepare: (store, tag) => store.createContainer(`d-${tag}`),
    run: async (store, tag, options) => {
      await store.deleteContainer(`d-${tag}`, options);
      assert.equal(await store.headContainer(`d-${tag}`, options), undefined);
    },
  },
  {
    name: 'listContainers',
    run: async (store, _tag, options) => {
      const names: string[] = [];
      for await (const page of store.listContainers('', options)) names.push(...page);
      assert.ok(names.includes(MAIN));
    },
  },
  { name: 'probe', run: (store, _tag, options) => store.probe(options) },
];

const OF_OBJECTS = ['put', 'get', 'head', 'updateMetadata', 'copy', 'delete', 'deleteMany'];
const OF_CONTAINERS = ['list', 'headContainer', 'createContainer', 'updateContainer', 'deleteContainer'];
const ALL = PROBES.map(({ name }) => name);

/** How long one call may try while Swift is broken; the proxy waits 1 s for a server that hangs. */
const PATIENCE_MS = 2500;
/** How long a proxy that remembers next to nothing remembers an account or a container. */
const REMEMBERED_S = 1;
const SECOND_POLICY = 'gold';

interface Situation {
  readonly title: string;
  readonly tag: string;
  readonly enter: (swift: Swift) => Promise<void> | void;
  readonly leave: (swift: Swift) => Promise<void> | void;
  /** Calls that fail as `unavailable`. */
  readonly fail: readonly string[];
  /** Calls that do their work or fail so, by what Swift's proxy remembers of account and container. All others do their work. */
  readonly either: readonly string[];
}

const hangs = (server: SwiftServer): Pick<Situation, 'tag' | 'enter' | 'leave'> => ({
  tag: `${server}-hangs`,
  enter: (swift) => swift.faults.stop(server),
  leave: (swift) => swift.faults.continue(server),
});
const isGone = (server: SwiftServer): Pick<Situation, 'tag' | 'enter' | 'leave'> => ({
  tag: `${server}-gone`,
  enter: (swift) => swift.faults.kill(server),
  // All servers start anew, so the tokens of before are refused too.
  leave: (swift) => swift.up(),
});

const SITUATIONS: readonly Situation[] = [
  { title: 'the object server hangs', ...hangs('object'), fail: OF_OBJECTS, either: [] },
  { title: 'the object server is gone', ...isGone('object'), fail: OF_OBJECTS, either: [] },
  { title: 'the container server hangs', ...hangs('container'), fail: OF_CONTAINERS, either: OF_OBJECTS },
  { title: 'the container server is gone', ...isGone('container'), fail: OF_CONTAINERS, either: OF_OBJECTS },
  { title: 'the account server hangs', ...hangs('account'), fail: ['listContainers'], either: ['createContainer', 'deleteContainer'] },
  { title: 'the account server is gone', ...isGone('account'), fail: ['listContainers'], either: ['createContainer', 'deleteContainer'] },
  {
    title: 'the disks are full',
    tag: 'disk-full',
    enter: (swift) => swift.up({ fallocateReserve: '100%' }),
    leave: (swift) => swift.up({ fallocateReserve: '1%' }),
    fail: ['put', 'copy'],
    // After each 507 the proxy leaves the server alone for a second, for reads too.
    either: ALL.filter((name) => !['put', 'copy', 'probe'].includes(name)),
  },
];

void describe('faults inside Swift', () => {
  let swift: Swift;
  before(async () => {
    swift = await startSwift({ nodeTimeoutSeconds: 1 });
  });
  after(() => swift.stop());

  for (const situation of SITUATIONS) {
    void test(`while ${situation.title} each call does its work or is unavailable, and does its work afterwards`, () =>
      goThrough(swift, situation));
  }
});

/**
 * It asks the account before each question to a container, and calls the container missing where that does not answer; it asks the container before
 * each question to an object, and looks in policy 0 where that does not answer.
 */
void describe('faults inside Swift whose proxy remembers nothing', () => {
  let swift: Swift;
  before(async () => {
    swift = await startSwift({ nodeTimeoutSeconds: 1, recheckSeconds: REMEMBERED_S, secondPolicy: SECOND_POLICY });
  });
  after(() => swift.stop());

  for (const situation of SITUATIONS.filter(({ tag }) => /^(account|container)-/.test(tag))) {
    void test(`while ${situation.title} each call does its work or is unavailable, and does its work afterwards`, () =>
      goThrough(swift, {
        ...situation,
        enter: async () => {
          await situation.enter(swift);
          await sleep(REMEMBERED_S * 1000 + 100);
        },
        either: ALL,
      }));
  }
});

async function startSwift(options: SwiftOptions): Promise<Swift> {
  const swift = await withSwift(options);
  const log = new LogGuard();
  const store = openStore(swift, log, options.secondPolicy);
  await store.createContainer(MAIN);
  await store.put(MAIN, 'seed', bodyOf('seed'));
  await store.close();
  log.assertQuiet();
  return swift;
}

function openStore(swift: Swift, log: LogGuard, storagePolicy?: string): SwiftStore {
  const settings = tempauthSettings(swift.authUrl, storagePolicy === undefined ? {} : { storagePolicy });
  return createSwiftStore(settings, { log: log.log(), userAgent: 'servers' });
}

async function goThrough(swift: Swift, { tag, enter, leave, fail, either }: Situation): Promise<void> {
  const log = new LogGuard();
  // The store's own timers keep no process alive.
  const awake = setInterval(() => undefined, 1000);
  // A store for each, so that one call's circuit breaker does not answer for another's.
  const cases = PROBES.map((probe) => ({ ...probe, store: openStore(swift, log) }));
  try {
    await Promise.all(cases.map(({ store }) => store.login()));
    await Promise.all(cases.map(async ({ prepare, store }) => prepare?.(store, tag)));
    await enter(swift);
    const failed = new Set<string>();
    const attempt = async ({ name, run, store }: (typeof cases)[number]): Promise<void> => {
      try {
        await run(store, tag, { timeoutMs: PATIENCE_MS });
      } catch (error) {
        assert.equal(kindOf(error), 'unavailable', `${name}: ${messageOf(error)}`);
        failed.add(name);
      }
    };
    await Promise.all(cases.map(attempt));
    for (const name of fail) assert.ok(failed.has(name), `${name} fails`);
    for (const name of failed) assert.ok(fail.includes(name) || either.includes(name), `${name} goes on`);
    await leave(swift);
    const again = cases.filter(({ name }) => failed.has(name));
    await Promise.all(again.map(({ name, run, store }) => untilServed(name, () => run(store, tag, {}))));
    for (const { store } of cases) assert.equal(store.stalledMs, 0);
  } finally {
    clearInterval(awake);
    await Promise.all(cases.map(({ store }) => store.close()));
  }
  log.assertQuiet();
}

/** The proxy leaves a server that failed alone for a second, and an open circuit breaker tries once a second. */
async function untilServed(name: string, run: () => Promise<void>): Promise<void> {
  for (const untilMs = Date.now() + 60_000; ; await sleep(250)) {
    try {
      await run();
      return;
    } catch (error) {
      if (kindOf(error) !== 'unavailable' || Date.now() > untilMs) throw new Error(`${name}: ${messageOf(error)}`, { cause: error });
    }
  }
}

void describe('Swift that limits the rate', () => {
  void test('writes beyond the limit are done later, and the limit is no outage', async () => {
    const swift = await withSwift({ ratelimit: 5 });
    const log = new LogGuard();
    const store = createSwiftStore(tempauthSettings(swift.authUrl), { log: log.log(), userAgent: 'limited' });
    try {
      await store.createContainer(MAIN);
      // Swift limits no container that it remembers as empty.
      await store.put(MAIN, 'seed', bodyOf('seed'));
      await swift.up();
      await store.head(MAIN, 'seed');
      const names = Array.from({ length: 40 }, (_, n) => `limited-${n}`);
      await Promise.all(names.map((name) => store.put(MAIN, name, bodyOf(name))));
      assert.ok((store.requestCounts['PUT'] ?? 0) > names.length + 3, 'some were refused and repeated');
      assert.equal(store.health.state, 'closed');
      assert.deepEqual(await listNames(store, MAIN), [...names, 'seed'].sort());
    } finally {
      await store.close();
      await swift.stop();
      log.assertQuiet();
    }
  });
});
