/**
 * A power cut of a spool whose write-ahead log is so small that its segments are used again and again: every call of a life of seals, deletes and
 * publications to the disk is recorded, and cut at its syncs and answers (recorded-disk.ts). What was acknowledged must be pending with
 * its bytes, and nothing may pend that never was. What a start left is opened once more, as after a kill of that start.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { SILENT_LOG } from '../../src/base/log.js';
import type { Spool } from '../../src/spool/spool.js';
import { blobOf, makeBlob } from '../helpers/blobs.js';
import { randomOf } from '../helpers/random.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { LEAVINGS, RecordedDisk, type Leaving } from './recorded-disk.js';

const CUTS = Number(process.env['OSF_CUTS'] ?? 60);
const SEED = Number(process.env['OSF_SEED'] ?? 7);
const SEGMENT_BYTES = 64 << 10;
/** All but every fifth is small enough for the write-ahead log. */
const FILE_BYTES = [300, 2_000, 3_000, 4_000, 9_000] as const;
const PATHS = 12;
const WRITERS = 4;
const CALLS = 60;
/** The part of the calls that are seals which something overtakes. */
const OVERTAKEN = 0.15;

/** What a path comes to: the SHA-1 of what pends under it, undefined for nothing. */
interface Call {
  readonly path: string;
  readonly sha1: string | undefined;
}

interface Note {
  readonly what: 'begun' | 'sure';
  readonly call: Call;
}

/** Not loaded before the disk is recorded: modules take their functions of node:fs when they are loaded. */
async function open(directory: string): Promise<Spool> {
  const { openSpool } = await import('../../src/spool/open-spool.js');
  return openSpool({ directory, database: 'prod', log: SILENT_LOG, segmentBytes: SEGMENT_BYTES });
}

class Writer {
  readonly #spool: Spool;
  readonly #disk: RecordedDisk;
  readonly #random: () => number;

  constructor(spool: Spool, disk: RecordedDisk, random: () => number) {
    this.#spool = spool;
    this.#disk = disk;
    this.#random = random;
  }

  /** @param paths nobody else's */
  async live(paths: readonly string[], seed: number): Promise<void> {
    for (let number = 0; number < CALLS; number++) {
      const path = paths[Math.floor(this.#random() * paths.length)] ?? assert.fail();
      const pending = this.#spool.pending.get(path);
      const dice = this.#random();
      if (dice > 1 - OVERTAKEN) await this.#overtake(path, paths, seed * CALLS + number);
      else if (pending === undefined || dice < 0.5) await this.#seal(path, seed * CALLS + number, dice < 0.05);
      else if (dice < 0.8) await this.#end({ path, sha1: undefined }, () => this.#spool.markPublished(pending, { keepFile: false }));
      else await this.#end({ path, sha1: undefined }, () => void this.#spool.bury(path, { owedToSwift: true }));
    }
  }

  async #seal(path: string, seed: number, isGivenUp: boolean, isAlone = true): Promise<void> {
    const blob = makeBlob(seed, FILE_BYTES[seed % FILE_BYTES.length]);
    const staging = this.#spool.createStaging();
    const call = { path, sha1: blob.sha1 };
    try {
      staging.write(0, blob.content);
      const digest = await staging.digest();
      this.#note({ what: 'begun', call });
      if (isGivenUp) {
        await assert.rejects(this.#spool.seal(staging, path, digest, 1, onceWanted()), /another file/);
        // Nothing was synced if it went the long way; what came before it may not be durable.
        await this.#spool.sync();
        this.#note({ what: 'sure', call: { path, sha1: this.#spool.pending.get(path)?.sha1 } });
        return;
      }
      await this.#spool.seal(staging, path, digest, 1);
      if (isAlone) this.#note({ what: 'sure', call });
    } finally {
      await staging.discard();
    }
  }

  /** Something happens to the path while it is being sealed: the seal ends later, so it counts. */
  async #overtake(path: string, paths: readonly string[], seed: number): Promise<void> {
    const random = this.#random();
    const to = paths[(paths.indexOf(path) + 1) % paths.length] ?? assert.fail();
    const pending = this.#spool.pending.get(path);
    const sealing = this.#seal(path, seed, false, false);
    await setImmediate();
    if (pending === undefined || random < 0.4) {
      this.#note({ what: 'begun', call: { path, sha1: undefined } });
      this.#spool.bury(path, { owedToSwift: true });
      await this.#spool.sync();
    } else if (random < 0.7) {
      await this.#seal(path, seed + WRITERS * CALLS, false, false);
    } else if (this.#spool.pending.get(path) === pending) {
      for (const call of [
        { path, sha1: undefined },
        { path: to, sha1: pending.sha1 },
      ])
        this.#note({ what: 'begun', call });
      await this.#spool.renamePending(path, to, { bury: true });
      this.#note({ what: 'sure', call: { path: to, sha1: pending.sha1 } });
    }
    await sealing;
    this.#note({ what: 'sure', call: { path, sha1: this.#spool.pending.get(path)?.sha1 } });
  }

  /** Sure once it is synced; without waiting for that in most cases. */
  async #end(call: Call, work: () => unknown): Promise<void> {
    this.#note({ what: 'begun', call });
    await work();
    if (this.#random() < 0.5) return;
    await this.#spool.sync();
    this.#note({ what: 'sure', call });
  }

  #note(note: Note): void {
    this.#disk.note(note);
  }
}

/** Wanted when its seal begins, and no more when it is recorded. */
function onceWanted(): () => boolean {
  let asked = 0;
  return () => asked++ === 0;
}

/** For each path what it may be after a cut: the last that is sure, and what was begun after it. */
function allowedAt(disk: RecordedDisk, moment: number): Map<string, (string | undefined)[]> {
  const allowed = new Map<string, (string | undefined)[]>();
  for (const entry of disk.log.slice(0, moment)) {
    if (entry.kind !== 'note') continue;
    const { what, call } = entry.note as Note;
    const before = allowed.get(call.path) ?? [undefined];
    // The writer of a path does one thing after the other, so what is sure is the last that was begun.
    allowed.set(call.path, what === 'begun' ? [...before, call.sha1] : [call.sha1]);
  }
  return allowed;
}

async function recover(disk: RecordedDisk, moment: number, leaving: Leaving, seed: number): Promise<void> {
  const directory = tempDir('ahead-after');
  const title = `seed ${seed}: cut at ${moment} of ${disk.log.length}, unsynced calls: ${leaving}`;
  try {
    disk.cut(moment, leaving, randomOf(seed), directory);
    const allowed = allowedAt(disk, moment);
    let before: string | undefined;
    for (const time of ['first', 'second']) {
      const spool = await open(directory);
      for (const [path, choices] of allowed) {
        const sha1 = spool.pending.get(path)?.sha1;
        assert.ok(choices.includes(sha1), `${title}: at the ${time} start ${path} is ${sha1}, may be ${choices.join(' or ')}`);
      }
      for (const { path, file, sha1 } of spool.pending.values()) {
        assert.ok(allowed.has(path), `${title}: ${path} was never written`);
        assert.equal(blobOf(fs.readFileSync(file)).sha1, sha1, `${title}: at the ${time} start the bytes of ${path}`);
      }
      const state = JSON.stringify([...spool.pending].sort());
      if (before !== undefined) assert.equal(state, before, `${title}: a second start makes another thing of it`);
      before = state;
      await spool.close();
    }
  } finally {
    removeDir(directory);
  }
}

test(
  'After a power cut at any moment what the write-ahead log holds is pending with its bytes, in the order in which it came.',
  { timeout: 300_000 },
  async (t) => {
    const directory = tempDir('ahead');
    fs.mkdirSync(directory, { recursive: true });
    try {
      const disk = new RecordedDisk(directory);
      disk.install();
      const random = randomOf(SEED);
      const spool = await open(directory);
      const paths = Array.from({ length: PATHS }, (_, number) => `docs/${number}`);
      await Promise.all(
        Array.from({ length: WRITERS }, (_, writer) =>
          new Writer(spool, disk, random).live(
            paths.filter((_, number) => number % WRITERS === writer),
            writer,
          ),
        ),
      );
      await spool.close();
      const moments = disk.moments();
      const cuts: { readonly moment: number; readonly leaving: Leaving }[] = disk.log
        .flatMap((entry, index) => (entry.kind === 'note' && (entry.note as Note).what === 'sure' ? [index + 1] : []))
        .filter(() => random() < CUTS / 180)
        .map((moment) => ({ moment, leaving: 'none' }));
      for (let cut = 0; cut < CUTS; cut++) {
        const moment = moments[Math.floor(((cut + random()) / CUTS) * moments.length)] ?? 0;
        cuts.push({ moment, leaving: LEAVINGS[cut % LEAVINGS.length] ?? 'all' });
      }
      for (const [number, { moment, leaving }] of cuts.entries()) await recover(disk, moment, leaving, SEED * 1_000_003 + number);
      t.diagnostic(`${cuts.length} cuts of ${disk.log.length} calls, seed ${SEED}`);
    } finally {
      removeDir(directory);
    }
  },
);
