import assert from 'node:assert/strict';
import { existsSync, openSync, readFileSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Journal } from '../../../src/spool/journal.js';
import { GroupSync } from '../../../src/spool/group-sync.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { tempDir } from '../../helpers/temp-dir.js';

/** A journal of plain lines over whatever file is given; its memory is the list of lines. */
function journalOver(target: string, options: { log?: LogGuard } = {}): { journal: Journal; lines: string[]; path: string } {
  const path = join(tempDir('journal'), 'journal');
  const lines: string[] = [];
  if (target !== '') symlinkSync(target, path);
  const journal = new Journal({
    path,
    fd: openSync(path, 'a', 0o600),
    sizeBytes: 0,
    records: 0,
    snapshot: () => ({ records: lines.length, lines: [...lines] }),
    log: (options.log ?? new LogGuard()).log(),
  });
  return { journal, lines, path };
}

function add({ journal, lines }: { journal: Journal; lines: string[] }, line: string): void {
  journal.append(line);
  lines.push(line);
}

test('Who asks while a sync runs shares the next one with all others.', async () => {
  let runs = 0;
  const gates: (() => void)[] = [];
  const group = new GroupSync(() => {
    runs++;
    return new Promise<void>((resolve) => gates.push(resolve));
  });
  const first = group.request();
  const later = [group.request(), group.request(), group.request()];
  gates.shift()?.();
  await first;
  while (gates.length === 0) await new Promise((resolve) => setImmediate(resolve));
  gates.shift()?.();
  await Promise.all(later);
  assert.equal(runs, 2);
});

test('A failed sync fails only those who waited for it.', async () => {
  let runs = 0;
  const group = new GroupSync(() => (++runs === 1 ? Promise.reject(new Error('disk')) : Promise.resolve()));
  const [first, second] = await Promise.allSettled([group.request(), group.request()]);
  assert.equal(first?.status, 'rejected');
  assert.equal(second?.status, 'fulfilled');
});

test('A rewritten journal has its snapshot first and then, in order, all that was appended meanwhile.', async () => {
  const parts = journalOver('');
  for (let index = 0; index < 20_000; index++) add(parts, `before ${index} ${'x'.repeat(40)}\n`);
  const compacted = parts.journal.compact();
  for (let index = 0; index < 3000; index++) {
    add(parts, `during ${index}\n`);
    if (index % 100 === 0) await parts.journal.sync();
  }
  await compacted;
  add(parts, 'after\n');
  await parts.journal.sync();
  assert.equal(readFileSync(parts.path, 'utf8'), parts.lines.join(''));
  assert.equal(parts.journal.records, parts.lines.length);
  assert.ok(!existsSync(`${parts.path}.new`));
  await parts.journal.close();
});

test('A journal that is closed while it is rewritten ends in the new file, and closes no descriptor twice.', async () => {
  const parts = journalOver('');
  for (let index = 0; index < 20_000; index++) add(parts, `before ${index} ${'x'.repeat(40)}\n`);
  const compacted = parts.journal.compact();
  add(parts, 'during\n');
  await parts.journal.close();
  await compacted;
  assert.equal(readFileSync(parts.path, 'utf8'), parts.lines.join(''));
  assert.ok(!existsSync(`${parts.path}.new`));
});

test('A journal whose fsync failed is replaced by a new file before anybody hears "done" again.', async () => {
  const log = new LogGuard();
  log.expect(/spool\.journal-failed/);
  // fdatasync of /dev/null is EINVAL: a file that takes writes and cannot be synced.
  const parts = journalOver('/dev/null', { log });
  add(parts, 'one\n');
  await assert.rejects(parts.journal.sync(), { kind: 'unavailable' });
  assert.ok(log.has(/^ERROR spool\.journal-failed/));
  assert.equal(parts.journal.isFailing, true);
  add(parts, 'two\n');
  await parts.journal.sync();
  assert.equal(parts.journal.isFailing, false);
  assert.equal(readFileSync(parts.path, 'utf8'), 'one\ntwo\n');
  log.assertQuiet();
  await parts.journal.close();
});

test('A journal that was removed, or has another file in its place, is made anew before anybody hears "done".', async () => {
  const log = new LogGuard();
  log.expect(/^ERROR spool\.journal-failed .*reason="it was removed, or another file has its name"/);
  const parts = journalOver('', { log });
  for (const spoil of [
    () => unlinkSync(parts.path),
    () => renameSync(parts.path, `${parts.path}.old`),
    () => {
      writeFileSync(`${parts.path}.other`, 'other\n');
      renameSync(`${parts.path}.other`, parts.path);
    },
  ]) {
    add(parts, 'before\n');
    await parts.journal.sync();
    spoil();
    add(parts, 'after\n');
    assert.equal(parts.journal.takeLoose(), undefined, 'nothing else may be called durable on its strength');
    await parts.journal.sync();
    assert.equal(readFileSync(parts.path, 'utf8'), parts.lines.join(''));
    assert.equal(parts.journal.isFailing, false);
  }
  log.assertQuiet();
  await parts.journal.close();
});

test('A full disk is no-space, and the record counts for nothing.', async () => {
  const log = new LogGuard();
  log.expect(/spool\.journal-failed/);
  const parts = journalOver('/dev/full', { log });
  assert.throws(() => parts.journal.append('one\n'), { kind: 'no-space' });
  assert.equal(parts.journal.records, 0);
  await parts.journal.close();
});
