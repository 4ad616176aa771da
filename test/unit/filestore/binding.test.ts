/** Who may bind a container, held against a store in memory: also when two come at the same moment. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kindOf } from '../../../src/base/errors.js';
import { ContainerBinding, type BindingOptions } from '../../../src/filestore/container-binding.js';
import type { ContainerMemory } from '../../../src/filestore/container-memory.js';
import { settle } from '../../helpers/clock.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';

const CONTAINER = 'odoo-prod';

/** What one machine remembers of the container: at first nothing. */
function memory(): ContainerMemory {
  let account: string | undefined;
  return {
    get isConfirmed() {
      return account !== undefined;
    },
    get account() {
      return account;
    },
    voidDropMark: undefined,
    isFound: false,
    names: undefined,
    writes: undefined,
    removals: undefined,
    confirmed: (by) => (account = by),
    replaced: () => undefined,
  };
}

let starts = 0;

function bindingOn(
  store: MemoryStore,
  nodeId: string,
  nodes: 'one' | 'many' = 'one',
  changed: Partial<BindingOptions> = {},
): ContainerBinding {
  const session = String(++starts).padStart(12, '0');
  return new ContainerBinding({
    store,
    container: CONTAINER,
    database: 'prod',
    node: { id: nodeId, session, seat: 'aaaaaaaaaaaa' },
    nodes,
    log: new LogGuard().log(),
    memory: memory(),
    acceptNew: false,
    ...changed,
  });
}

async function registered(store: MemoryStore): Promise<string[]> {
  const metadata = (await store.headContainer(CONTAINER))?.metadata ?? {};
  return Object.keys(metadata).filter((key) => key.startsWith('osf-node-'));
}

async function dropMark(store: MemoryStore): Promise<string | undefined> {
  return (await store.headContainer(CONTAINER))?.metadata['osf-dropped'];
}

async function outcome(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'bound',
    (error: unknown) => kindOf(error),
  );
}

describe('binding a container', () => {
  it('a refused node leaves no trace, and may come when the first has left', async () => {
    const store = new MemoryStore();
    const [first, second] = [bindingOn(store, 'a'), bindingOn(store, 'b')];
    await first.ensure();
    assert.equal(await outcome(second.ensure()), 'busy');
    assert.match(second.refusal?.message ?? '', /nodes: many/);
    assert.deepEqual(await registered(store), ['osf-node-a']);
    await first.leave();
    assert.equal(await outcome(second.ensure()), 'bound');
    assert.equal(second.refusal, undefined);
  });

  it('of two nodes that say `one` and come at the same moment never both get in', async () => {
    for (const isThere of [true, false]) {
      const store = new MemoryStore();
      if (isThere) await store.createContainer(CONTAINER);
      const nodes = ['a', 'b', 'c'].map((id) => bindingOn(store, id));
      const outcomes = await Promise.all(nodes.map((node) => outcome(node.ensure())));
      assert.ok(outcomes.filter((o) => o === 'bound').length <= 1, outcomes.join());
      assert.ok(outcomes.every((o) => o === 'bound' || o === 'busy'), outcomes.join()); // prettier-ignore
      assert.equal((await registered(store)).length, outcomes.filter((o) => o === 'bound').length);
    }
  });

  it('who has time is not refused for the few tries of a bind that others began', async () => {
    const store = new MemoryStore();
    const binding = bindingOn(store, 'a');
    store.failNext('headContainer', 'unavailable', 1);
    const [begun, joined, hurried] = [binding.ensure({ tries: 'few' }), binding.ensure(), binding.ensure({ tries: 'few' })];
    assert.deepEqual(await Promise.all([begun, joined, hurried].map(outcome)), ['unavailable', 'bound', 'unavailable']);
  });

  it('nodes that all say `many` get in together', async () => {
    const store = new MemoryStore();
    const nodes = ['a', 'b', 'c'].map((id) => bindingOn(store, id, 'many'));
    assert.deepEqual(await Promise.all(nodes.map((node) => outcome(node.ensure()))), ['bound', 'bound', 'bound']);
    assert.equal((await registered(store)).length, 3);
  });

  it('a node that finds another at its renewal stays known, says why, and is free again when the other is gone', async () => {
    const store = new MemoryStore();
    const node = bindingOn(store, 'a');
    await node.ensure();
    const seconds = Math.floor(Date.now() / 1000);
    await store.updateContainer(CONTAINER, { 'osf-node-z': `${seconds} one elsewhere` });
    assert.equal(await outcome(node.renew()), 'busy');
    assert.ok(node.isBound);
    assert.match(node.refusal?.message ?? '', /mounted by elsewhere \(nodes: one\)/);
    assert.deepEqual((await registered(store)).sort(), ['osf-node-a', 'osf-node-z']);
    await store.updateContainer(CONTAINER, { 'osf-node-z': '' });
    await node.renew();
    assert.equal(node.refusal, undefined);
  });

  it('a container that keeps deleted files of another database is no database', async () => {
    const store = new MemoryStore();
    await store.createContainer(CONTAINER, { 'osf-trash': 'true' });
    assert.equal(await outcome(bindingOn(store, 'a').ensure()), 'exists');
    assert.deepEqual(await registered(store), []);
  });

  /** A drop says so while another request has our keys to itself, and `meanwhile` happens before its turn comes. */
  async function overtakenBy(
    meanwhile: (node: ContainerBinding) => void,
  ): Promise<{ store: MemoryStore; node: ContainerBinding; outcome: string }> {
    const store = new MemoryStore();
    const node = bindingOn(store, 'a', 'many');
    await node.ensure();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const isHeld = new Promise<void>((resolve) => {
      store.before = ({ method }) => {
        if (method !== 'updateContainer') return;
        resolve();
        return held;
      };
    });
    const renewed = node.renew();
    await isHeld;
    const marked = node.markDropped('1700000000000');
    await settle();
    meanwhile(node);
    release();
    await renewed;
    return { store, node, outcome: await marked };
  }

  it('a drop that waits for a renewal does not mark the container of the database that is made again meanwhile', async () => {
    const { store, node, outcome } = await overtakenBy((binding) => binding.begin());
    assert.equal(outcome, 'overtaken');
    assert.ok(node.isBound);
    assert.equal(await dropMark(store), undefined);
    assert.deepEqual(await registered(store), ['osf-node-a']);
  });

  it('nor does one that waits for a bind', async () => {
    const store = new MemoryStore();
    const node = bindingOn(store, 'a', 'many');
    store.pause();
    const bound = node.ensure();
    const marked = node.markDropped('1700000000000');
    node.begin();
    store.resume();
    assert.equal(await marked, 'overtaken');
    await bound;
    assert.equal(await dropMark(store), undefined);
    assert.deepEqual(await registered(store), ['osf-node-a']);
  });

  it('of two marks of one node, of which the older one waits, the newer one is written', async () => {
    let newer: Promise<string> | undefined;
    const { store, outcome } = await overtakenBy((node) => {
      node.begin();
      newer = node.markDropped('1800000000000');
    });
    assert.deepEqual([outcome, await newer], ['overtaken', 'marked']);
    assert.equal(await dropMark(store), '1800000000000');
  });
});
