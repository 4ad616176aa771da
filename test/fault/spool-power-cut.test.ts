/**
 * A power cut, replayed: the journal of a life with every kind of record is cut at every byte. What is left must be exactly the state
 * after the last whole record: nothing acknowledged is lost, nothing comes back that a record of that journal had ended.
 */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { kindOf } from '../../src/base/errors.js';
import { replayJournal } from '../../src/spool/replay.js';
import { RecordedState } from '../../src/spool/spool-state.js';
import type { Spool } from '../../src/spool/spool.js';
import { blobOf, makeBlob } from '../helpers/blobs.js';
import { tempDir } from '../helpers/temp-dir.js';
import { open, rootOf, sealBlob, stateOf } from '../unit/spool/spools.js';

interface Moment {
  /** Length of the journal when it was synced. */
  readonly bytes: number;
  readonly state: unknown;
}

/** Each step is one record. Sealed files are kept, as a power cut may leave them. */
const STEPS: readonly ((spool: Spool) => Promise<unknown> | void)[] = [
  (spool) => spool.addDirectory('ab', 1),
  (spool) => sealBlob(spool, makeBlob(1, 2000)),
  (spool) => sealBlob(spool, blobOf('old'), 'web/logo'),
  (spool) => sealBlob(spool, blobOf('new'), 'web/logo'),
  (spool) => void spool.bury('gone', { owedToSwift: true }),
  (spool) => void spool.bury('web/logo', { owedToSwift: true }),
  (spool) => sealBlob(spool, blobOf('newest'), 'web/logo'),
  (spool) => sealBlob(spool, makeBlob(2, 2000), 'a.__new'),
  (spool) => spool.renamePending('a.__new', 'a', { bury: false }),
  (spool) => sealBlob(spool, makeBlob(3, 2000), 'b'),
  (spool) => spool.renamePending('b', 'c', { bury: true }),
  (spool) => spool.addAlias('x.__gc', 'x'),
  (spool) => spool.markPublished(spool.pending.get('a') ?? assert.fail(), { keepFile: true }),
  (spool) => void spool.markDeleted(spool.tombstones.get('gone') ?? assert.fail(), { keep: true }),
  (spool) => spool.renameDirectory('ab', 'cd'),
  (spool) => spool.exhume('gone'),
  (spool) => spool.removeAlias('x.__gc'),
  (spool) => spool.removeDirectory('cd'),
  (spool) => void spool.bury('\xff\n', { owedToSwift: false }),
];

async function live(directory: string): Promise<Moment[]> {
  const journal = join(rootOf(directory), 'journal');
  const spool = await open(directory);
  const moments: Moment[] = [{ bytes: statSync(journal).size, state: stateOf(spool) }];
  for (const step of STEPS) {
    await step(spool);
    moments.push({ bytes: statSync(journal).size, state: stateOf(spool) });
  }
  await spool.close();
  return moments;
}

test('A journal cut at any byte says what was so after its last whole record, no more and no less.', async () => {
  const directory = tempDir('power');
  const moments = await live(directory);
  const content = readFileSync(join(rootOf(directory), 'journal'));
  assert.equal(moments.at(-1)?.bytes, content.length);
  for (let cut = moments[0]?.bytes ?? 0; cut <= content.length; cut++) {
    const state = new RecordedState(join(rootOf(directory), 'sealed'));
    replayJournal(content.subarray(0, cut), (record) => state.apply(record));
    const moment = moments.findLast(({ bytes }) => bytes <= cut);
    assert.deepEqual(stateOf(state), moment?.state, `cut at byte ${cut}`);
  }
});

test('A tail that the disk wrote in parts, zeros among it, is cut off like any other.', async () => {
  const directory = tempDir('power');
  const moments = await live(directory);
  const content = readFileSync(join(rootOf(directory), 'journal'));
  for (const moment of moments) {
    const torn = Buffer.concat([content.subarray(0, moment.bytes), Buffer.alloc(4096), Buffer.from('\n')]);
    const state = new RecordedState(join(rootOf(directory), 'sealed'));
    const replay = replayJournal(torn, (record) => state.apply(record));
    assert.deepEqual(stateOf(state), moment.state);
    assert.equal(replay.wholeBytes, moment.bytes);
  }
});

/** What a sync has ended is unlinked behind it: a file may go while it is being copied. */
function copyAsItIs(from: string, to: string): void {
  for (;;) {
    try {
      cpSync(from, to, { recursive: true });
      return;
    } catch (error) {
      if (kindOf(error) !== 'not-found') throw error;
      rmSync(to, { recursive: true, force: true });
    }
  }
}

test('Power lost right after any answer: the spool opens with everything answered so far, byte for byte, and goes on.', async () => {
  const directory = tempDir('power');
  const copies = tempDir('power-copies');
  const spool = await open(directory);
  for (const [index, step] of STEPS.entries()) {
    await step(spool);
    await spool.sync();
    const copy = join(copies, String(index));
    copyAsItIs(directory, copy);
    // Part of a next record may have got out.
    if (index % 2 === 0) appendFileSync(join(rootOf(copy), 'journal'), '1234abcd {"type":"seal","path":"ne');
    const answered = answeredOf(spool);
    const after = await open(copy);
    assert.deepEqual(answeredOf(after), answered, `step ${index}`);
    for (const { file, sha1 } of after.pending.values()) assert.equal(blobOf(readFileSync(file)).sha1, sha1);
    await sealBlob(after, blobOf('after'), 'after');
    await after.close();
    const last = await open(copy);
    assert.equal(last.pending.get('after')?.sha1, blobOf('after').sha1);
    await last.close();
  }
  await spool.close();
});

/** The state without the folder it lies in. */
function answeredOf(spool: Spool): unknown {
  const pending = [...spool.pending.values()].map((object) => ({ ...object, file: basename(object.file) }));
  return { pending, tombstones: [...spool.tombstones], directories: [...spool.directories], aliases: [...spool.aliases] };
}
