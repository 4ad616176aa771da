import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WalkAhead } from '../../../src/filestore/walk-ahead.js';

/** Three shards of fifty names; fetches end when told to. */
class Ground {
  readonly fetched: string[] = [];
  readonly #ends: (() => void)[] = [];
  readonly sizes = new Map<string, number>();

  constructor() {
    for (const shard of ['aa', 'bb', 'cc']) for (let n = 10; n < 60; n++) this.sizes.set(`${shard}/${n}`, 1000);
  }

  missingSize(path: string): number | undefined {
    return this.sizes.get(path);
  }

  namesIn(directory: string): string[] {
    if (directory === '') return ['aa', 'bb', 'cc'];
    return [...this.sizes.keys()].filter((p) => p.startsWith(`${directory}/`)).map((p) => p.slice(3));
  }

  fetch(path: string): Promise<void> {
    this.fetched.push(path);
    return new Promise((resolve) => this.#ends.push(resolve));
  }

  async endAll(): Promise<void> {
    while (this.#ends.length > 0) {
      for (const end of this.#ends.splice(0)) end();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

describe('fetching ahead of a walk', () => {
  it('three cold opens in order begin it; it runs through the shard into the next, each blob once', async () => {
    const ground = new Ground();
    const walk = new WalkAhead(ground);
    walk.opened('aa/10', true);
    walk.opened('aa/11', true);
    assert.equal(ground.fetched.length, 0);
    walk.opened('aa/12', true);
    assert.equal(ground.fetched[0], 'aa/13');
    for (let n = 13; n < 60; n++) {
      await ground.endAll();
      walk.opened(`aa/${n}`, false);
    }
    await ground.endAll();
    assert.equal(new Set(ground.fetched).size, ground.fetched.length);
    assert.ok(ground.fetched.includes('aa/59'));
    assert.equal(ground.fetched[47], 'bb/10');
    walk.opened('bb/10', false);
    await ground.endAll();
    assert.ok(!ground.fetched.some((p) => p.startsWith('cc')), 'one directory ahead at most');
  });

  it('opens here and there begin nothing, and a walk that is left is not followed', async () => {
    const ground = new Ground();
    const walk = new WalkAhead(ground);
    for (const path of ['aa/30', 'bb/12', 'aa/11', 'cc/50', 'aa/55']) walk.opened(path, true);
    assert.equal(ground.fetched.length, 0);
    walk.opened('bb/20', true);
    walk.opened('bb/21', true);
    assert.equal(walk.isWalking, false, 'two in order may be chance');
    walk.opened('bb/22', true);
    assert.equal(walk.isWalking, true);
    walk.opened('cc/50', true);
    walk.opened('aa/33', true);
    walk.opened('bb/11', true);
    assert.equal(walk.isWalking, false);
    const before = ground.fetched.length;
    await ground.endAll();
    assert.equal(ground.fetched.length, before);
  });

  it('goes no further ahead than its window, and passes over what is large', () => {
    const ground = new Ground();
    ground.sizes.set('aa/13', 100 << 20);
    const walk = new WalkAhead(ground);
    for (let n = 10; n < 18; n++) walk.opened(`aa/${n}`, true);
    assert.ok(ground.fetched.length <= 32);
    assert.ok(!ground.fetched.includes('aa/13'));
  });
});
