import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { contentSha1, displayName, objectNameOf, pathOfObject } from '../../../src/base/names.js';
import { containerName, containerNamesPrefix } from '../../../src/filestore/container-name.js';
import {
  departure,
  forgottenNodes,
  otherLiveNodes,
  otherNodesThatMayKnow,
  parseRegistration,
  registration,
  registrationValue,
} from '../../../src/filestore/node-registry.js';
import { kindOfPath } from '../../../src/filestore/path-kind.js';
import { Writers } from '../../../src/filestore/writers.js';

const SHA = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';
const kindThrown = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof FilestoreError);
    return error.kind;
  }
  return 'nothing';
};

describe('names', () => {
  it('a path is a blob when its name is a SHA-1 in its own shard, in three digits, or at the top', () => {
    for (const path of [`da/${SHA}`, `da3/${SHA}`, SHA]) assert.equal(contentSha1(path), SHA);
    for (const path of [`db/${SHA}`, `d/${SHA}`, `da/x/${SHA}`, `checklist/da/${SHA}`, `da/${SHA}x`, `da/${SHA.toUpperCase()}`]) {
      assert.equal(contentSha1(path), undefined);
    }
  });

  it('each path has one kind', () => {
    assert.equal(kindOfPath(`da/${SHA}`), 'blob');
    assert.equal(kindOfPath(`da/${SHA}.__gc`), 'alias');
    assert.equal(kindOfPath(`da/${SHA}.__new`), 'temporary');
    assert.equal(kindOfPath('upload/x'), 'temporary');
    assert.equal(kindOfPath('upload'), 'other');
    assert.equal(kindOfPath(`checklist/da/${SHA}`), 'marker');
    assert.equal(kindOfPath('checklist'), 'marker');
    assert.equal(kindOfPath('x.__gc'), 'other');
  });

  it('object names are UTF-8 of at most 1,024 bytes, and lead back to the same path', () => {
    const path = Buffer.from('naïve/☂', 'utf8').toString('latin1');
    assert.equal(objectNameOf(path), 'naïve/☂');
    assert.equal(pathOfObject('naïve/☂'), path);
    assert.equal(
      kindThrown(() => objectNameOf('f\xff')),
      'invalid-name',
    );
    assert.equal(
      kindThrown(() => objectNameOf('n'.repeat(1025))),
      'name-too-long',
    );
    assert.equal(displayName('a\n\xff'), 'a\\x0a\\xff');
  });

  it('a container is prefix-database in lower case', () => {
    assert.equal(containerName('Odoo', 'MyDB'), 'odoo-mydb');
    assert.equal(containerName('', 'prod'), 'prod');
    for (const bad of ['', '.', '..', 'a/b', 'a\nb', '\xff'])
      assert.equal(
        kindThrown(() => containerName('odoo', bad)),
        'invalid-name',
        bad,
      );
    assert.equal(
      kindThrown(() => containerName('odoo', 'n'.repeat(250))),
      'name-too-long',
    );
  });
});

describe('the registry of nodes', () => {
  const info = (metadata: Record<string, string>): Parameters<typeof otherLiveNodes>[0] => ({
    objectCount: 0,
    bytesUsed: 0,
    metadata,
    storagePolicy: undefined,
  });

  it('another machine counts for three minutes after it was last heard of, this one never', () => {
    const now = 10 ** 12;
    const metadata = {
      ...registration('aaaaaaaaaaaa', registrationValue('one', '111111111111-222222222222', now)),
      ...registration('bbbbbbbbbbbb', registrationValue('many', undefined, now - 100_000)),
    };
    assert.deepEqual(
      otherLiveNodes(info(metadata), 'aaaaaaaaaaaa', now).map((n) => n.mode),
      ['many'],
    );
    assert.deepEqual(otherLiveNodes(info(metadata), 'aaaaaaaaaaaa', now + 100_000), []);
    const { host, ...rest } = parseRegistration(metadata['osf-node-aaaaaaaaaaaa'] ?? '');
    assert.ok(!host.includes(' '));
    assert.deepEqual(rest, { seenAtMs: now, mode: 'one', life: '111111111111-222222222222' });
    assert.deepEqual(parseRegistration('1764106734 many old host'), {
      seenAtMs: 1764106734_000,
      mode: 'many',
      host: 'old host',
      life: undefined,
    });
  });

  it('a machine that is silent, or has left, is remembered for a week, and of many the sixteen that were heard of last', () => {
    const [now, day] = [10 ** 12, 24 * 3600_000];
    const [silent, left] = ['bbbbbbbbbbbb', 'cccccccccccc'];
    const metadata = {
      ...registration('aaaaaaaaaaaa', registrationValue('many', undefined, now)),
      [`osf-node-${silent}`]: `${(now - 2 * day) / 1000} many silent-host`,
      [`osf-left-${left}`]: `${(now - day) / 1000} left-host`,
    };
    assert.deepEqual(otherNodesThatMayKnow(info(metadata), 'aaaaaaaaaaaa', now), ['left-host', 'silent-host']);
    assert.deepEqual(forgottenNodes(info(metadata), now), {});
    assert.deepEqual(otherNodesThatMayKnow(info(metadata), 'aaaaaaaaaaaa', now + 5.5 * day), ['left-host']);
    assert.deepEqual(forgottenNodes(info(metadata), now + 5.5 * day), { [`osf-node-${silent}`]: '' });
    assert.deepEqual(Object.keys(departure(left, now)), [`osf-node-${left}`, `osf-left-${left}`]);
    assert.deepEqual(otherNodesThatMayKnow(info(departure(left, now)), 'aaaaaaaaaaaa', now), [hostname()]);
    const crowd: Record<string, string> = {};
    for (let i = 0; i < 30; i++) crowd[`osf-left-${String(i).padStart(12, '0')}`] = `${now / 1000 - i} host-${i}`;
    const forgotten = Object.keys(forgottenNodes(info(crowd), now));
    assert.deepEqual(
      forgotten.sort(),
      Array.from({ length: 14 }, (_, i) => `osf-left-${String(16 + i).padStart(12, '0')}`),
    );
  });
});

describe('content names being written', () => {
  it('who waits for a name is woken when a writer ends, by the signal, and by the time', async () => {
    const writers = new Writers();
    writers.begin('a');
    writers.begin('a');
    const never = new AbortController();
    const waiting = writers.untilOneEnds('a', 60_000, never.signal);
    writers.end('a');
    await waiting;
    assert.equal(writers.isWriting('a'), true);
    await writers.untilOneEnds('a', 5, never.signal);
    const given = new AbortController();
    const given2 = writers.untilOneEnds('a', 60_000, given.signal);
    given.abort();
    await given2;
    writers.end('a');
    assert.equal(writers.isWriting('a'), false);
    assert.equal(writers.size, 0);
  });
});

it('the containers of all databases are looked for by what their names begin with, or all of them', () => {
  assert.equal(containerNamesPrefix(''), '');
  assert.equal(containerNamesPrefix('Odoo'), 'odoo-');
});
