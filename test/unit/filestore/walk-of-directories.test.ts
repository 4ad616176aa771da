import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WalkOfDirectories } from '../../../src/filestore/walk-of-directories.js';

const TRUST_MS = 10_000;
const all = (): boolean => true;

/** What is listed ahead at the last of some listings. */
function after(walk: WalkOfDirectories, ...directories: readonly string[]): readonly string[] {
  return directories.map((directory) => walk.lists(directory, TRUST_MS, all)).at(-1) ?? [];
}

describe('listing ahead of a walk', () => {
  it('three shards in order begin it, and the next eight are listed ahead', () => {
    const walk = new WalkOfDirectories();
    assert.deepEqual(after(walk, '00', '01'), []);
    assert.equal(walk.isWalking, false);
    assert.deepEqual(after(walk, '02'), ['03', '04', '05', '06', '07', '08', '09', '0a']);
    assert.equal(walk.isWalking, true);
    assert.deepEqual(after(walk, '03'), ['0b'], 'each once');
    assert.deepEqual(after(walk, 'fa', 'fb', 'fc'), ['fd', 'fe', 'ff']);
  });

  it('shards that are not there are left out', () => {
    const walk = new WalkOfDirectories();
    const isThere = (shard: string): boolean => parseInt(shard, 16) % 64 === 0;
    walk.lists('00', TRUST_MS, isThere);
    walk.lists('01', TRUST_MS, isThere);
    assert.deepEqual(walk.lists('02', TRUST_MS, isThere), ['40', '80', 'c0']);
  });

  it('listings here and there, backwards, or of other directories are no walk', () => {
    assert.deepEqual(after(new WalkOfDirectories(), '00', '40', '80', 'c0'), []);
    assert.deepEqual(after(new WalkOfDirectories(), '05', '04', '03', '02'), []);
    assert.deepEqual(after(new WalkOfDirectories(), '00', '', '01', 'checklist', 'docs'), []);
    assert.deepEqual(after(new WalkOfDirectories(), '00', '01', '02', '40'), [], 'a walk that is left is not followed');
  });

  it('a directory that is listed twice is still part of the walk', () => {
    assert.equal(after(new WalkOfDirectories(), '00', '00', '01', '01', '02').length, 8);
  });

  it('a walker who would come too late is not followed; what he waited for does not count', async () => {
    const slow = new WalkOfDirectories();
    const patient = new WalkOfDirectories();
    for (const shard of ['00', '01', '02']) {
      assert.deepEqual(slow.lists(shard, 320, all), []);
      const next = patient.lists(shard, 320, all);
      assert.equal(next.length, shard === '02' ? 8 : 0);
      await sleep(40);
      patient.listed();
    }
  });
});
