/** Opens that stand for many, over a ring that only counts. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { SharedOpens } from '../../../src/fuse/shared-opens.js';

class SharingRing {
  readonly sharedBy = new Map<number, number>();
  readonly inUse = new Set<number>();
  unused: number[] = [];

  share(ino: number, handle: number): boolean {
    this.sharedBy.set(ino, handle);
    return true;
  }

  unshare(ino: number): number | undefined {
    const handle = this.sharedBy.get(ino);
    if (handle === undefined) return undefined;
    this.sharedBy.delete(ino);
    return this.inUse.has(ino) ? 0 : handle;
  }

  unusedShares(into: Float64Array): number {
    into.set(this.unused);
    return this.unused.length;
  }
}

test('a handle that nobody has open is released when its sharing ends, one that is in use is not', () => {
  const ring = new SharingRing();
  const released: number[] = [];
  const shared = new SharedOpens(ring, (_ino, handle) => released.push(handle));
  shared.share(10, 1, 0);
  shared.share(20, 2, 0);
  ring.inUse.add(20);
  shared.end(10);
  shared.end(10);
  shared.end(20);
  shared.end(30);
  shared.close();
  assert.deepEqual(released, [1]);
});

test('what nobody has opened since the last look is shared no more', (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.after(() => mock.timers.reset());
  const ring = new SharingRing();
  const released: number[] = [];
  const shared = new SharedOpens(ring, (_ino, handle) => released.push(handle));
  shared.share(10, 1, 0);
  shared.share(20, 2, 0);
  mock.timers.tick(1000);
  assert.deepEqual(released, []);
  ring.unused = [20];
  mock.timers.tick(1000);
  assert.deepEqual(released, [2]);
  ring.unused = [10];
  mock.timers.tick(1000);
  assert.deepEqual(released, [2, 1]);
  ring.unused = [];
  shared.share(30, 3, 0);
  shared.end(30);
  assert.deepEqual(released, [2, 1, 3], 'and it goes on with what is shared later');
  shared.close();
});
