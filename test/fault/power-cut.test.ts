/**
 * A power cut, replayed over the whole filestore: every call that a life of the daemon makes to the disk under its spool and cache is recorded, with what
 * Swift held at each moment. The life is then cut at its syncs and answers, with the calls that no sync covers all there, all lost, or
 * there in part (recorded-disk.ts), and a new daemon starts on what is left. It must keep the promise: what was acknowledged reads back, what was
 * deleted more than 100 ms before stays deleted, nothing is served that was never written, and what is pending gets to Swift.
 *
 * It is cut right after each answer with nothing left that no sync covered, and `OSF_CUTS` times at moments that `OSF_SEED` chooses.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FilestoreSettings } from '../../src/filestore/filestore-options.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { blobOf, makeBlob } from '../helpers/blobs.js';
import { MemoryStore } from '../helpers/memory-store.js';
import { randomOf } from '../helpers/random.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import type { Machine } from '../model/machine.js';
import { LEAVINGS, RecordedDisk, type Leaving } from './recorded-disk.js';

const CUTS = Number(process.env['OSF_CUTS'] ?? 50);
const SEED = Number(process.env['OSF_SEED'] ?? 5);
const CONTAINER = 'odoo-db';
/** What was deleted longer ago stays deleted (docs/DURABILITY.md). */
const DELETE_BOUND_MS = 100;

/** What a call changes: names to their bytes then, undefined for "gone". */
type Change = Readonly<Record<string, Buffer | undefined>>;

interface Call {
  readonly change: Change;
}

type Note =
  { readonly what: 'begun' | 'acknowledged' | 'due'; readonly call: Call } | { readonly what: 'swift'; readonly store: MemoryStore };

/** Not loaded before the disk is recorded: modules take their functions of node:fs when they are loaded. */
async function startMachine(store: ObjectStore, directory: string, settings: Partial<FilestoreSettings>): Promise<Machine> {
  const { Machine } = await import('../model/machine.js');
  const machine = new Machine(store, directory, { writeTimeoutMs: 2_000, lookupWaitMs: 500, readTimeoutMs: 5_000, ...settings });
  await machine.start();
  return machine;
}

class Life {
  readonly #disk: RecordedDisk;
  readonly #store = new MemoryStore();
  readonly #directory: string;
  #machine: Machine | undefined;
  readonly #dues: Promise<void>[] = [];

  constructor(disk: RecordedDisk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  async live(): Promise<void> {
    this.#noteSwift();
    for (const writeMode of ['through', 'back'] as const) {
      this.#machine = await startMachine(this.#recordedStore(), this.#directory, { writeMode });
      await this.#work(writeMode === 'through' ? 0 : 100);
      await this.#machine.stop();
    }
    await Promise.all(this.#dues);
  }

  async #work(seed: number): Promise<void> {
    const { client } = this.#at();
    for (const directory of [
      'upload',
      'docs',
      ...new Set(Array.from({ length: 12 }, (_, n) => path.dirname(makeBlob(seed + n, 1500).name))),
    ])
      await client.mkdir(directory).catch(() => undefined);
    const blob = (n: number): { name: string; content: Buffer } => makeBlob(seed + n, 1500);
    const write = (n: number): Promise<void> => this.#write(blob(n).name, blob(n).content);
    await Promise.all([0, 1, 2, 3].map(write));
    await this.#write('docs/one', Buffer.from(`one ${seed}`));
    await this.#unlink(blob(0).name);
    await write(0);
    await this.#rename(blob(1).name, `${blob(1).name}.__gc`);
    await this.#unlink(`${blob(1).name}.__gc`, { [blob(1).name]: undefined });
    await this.#rename('docs/one', 'docs/two');
    await this.#write('docs/three', Buffer.from(`three ${seed}`));

    this.#store.down = true;
    await Promise.all([4, 5, 6].map(write));
    await this.#write('docs/two', Buffer.from(`one again ${seed}`));
    await this.#write('docs/two', Buffer.from(`and again ${seed}`));
    await Promise.all([this.#unlink(blob(4).name), this.#unlink(blob(2).name), write(7)]);
    await this.#write('upload/t', blob(8).content, {});
    await this.#rename('upload/t', blob(8).name, { [blob(8).name]: blob(8).content });
    await this.#rename('docs/two', 'docs/three');
    await write(4);
    await sleep(150);
    this.#store.down = false;
    await this.#at().drained();

    await Promise.all([write(9), this.#unlink(blob(5).name), this.#unlink(blob(8).name)]);
    await this.#write('docs/two', Buffer.from(`two ${seed}`));
    await this.#unlink('docs/three');
    await write(8);
    if (seed > 0) await this.#compact();
    await Promise.all([10, 11].map(write));
    await this.#at().drained();
    await sleep(150);
  }

  /** Enough dead records that the journal is written anew, while files are written. */
  async #compact(): Promise<void> {
    const { client } = this.#at();
    for (let n = 0; n < 2_100; n++) {
      await client.mkdir('docs/empty');
      await client.rmdir('docs/empty');
      if (n % 500 === 499) await this.#write('docs/four', Buffer.from(`four ${n}`));
    }
  }

  #write(name: string, content: Buffer, change: Change = { [name]: content }): Promise<void> {
    return this.#call(change, this.#at().client.writeFile(name, content));
  }

  #unlink(name: string, change: Change = { [name]: undefined }): Promise<void> {
    return this.#call(change, this.#at().client.unlink(name));
  }

  /** Of blobs renamed to `.__gc` nothing is looked at until their unlink. */
  async #rename(from: string, to: string, change?: Change): Promise<void> {
    if (to.endsWith('.__gc')) return this.#at().client.rename(from, to);
    const content = change === undefined ? await this.#at().client.readFile(from) : undefined;
    return this.#call(change ?? { [from]: undefined, [to]: content }, this.#at().client.rename(from, to));
  }

  async #call(change: Change, work: Promise<unknown>): Promise<void> {
    const call: Call = { change };
    this.#note({ what: 'begun', call });
    await work;
    this.#note({ what: 'acknowledged', call });
    const due = async (): Promise<void> => {
      await sleep(DELETE_BOUND_MS);
      // The disk may be slow: what was under way then counts.
      while (this.#disk.syncing > 0) await sleep(1);
      this.#note({ what: 'due', call });
    };
    this.#dues.push(due());
  }

  #note(note: Note): void {
    this.#disk.note(note);
  }

  #noteSwift(): void {
    this.#note({ what: 'swift', store: this.#store.clone() });
  }

  #recordedStore(): ObjectStore {
    const store: ObjectStore = this.#store;
    const changing = /^(put|copy|delete|create|update)/;
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        const bound = (value as (...args: unknown[]) => unknown).bind(target);
        if (!changing.test(String(name))) return bound;
        return async (...args: unknown[]): Promise<unknown> => {
          try {
            return await bound(...args);
          } finally {
            this.#noteSwift();
          }
        };
      },
    });
  }

  #at(): Machine {
    assert.ok(this.#machine !== undefined);
    return this.#machine;
  }
}

/** What may stand under each name at a moment, and what Swift held. */
class Expected {
  readonly #calls = new Map<string, Call[]>();
  readonly #sure = new Map<string, number>();
  store = new MemoryStore();

  constructor(disk: RecordedDisk, moment: number) {
    for (const entry of disk.log.slice(0, moment)) {
      if (entry.kind === 'note') this.#heed(entry.note as Note);
    }
  }

  get names(): IterableIterator<string> {
    return this.#calls.keys();
  }

  /** The last that is sure, and what came after it and may or may not have happened. */
  allowed(name: string): (Buffer | undefined)[] {
    const calls = this.#calls.get(name) ?? [];
    const sure = this.#sure.get(name) ?? -1;
    const later = calls.slice(Math.max(sure, 0)).map(({ change }) => change[name]);
    return sure < 0 ? [undefined, ...later] : later;
  }

  /** Files that a rename may have left under either of two names, never under none. */
  *moved(): Generator<readonly [string, string, Buffer]> {
    for (const [from, calls] of this.#calls) {
      const last = calls.at(-1)?.change;
      const [to, content] = Object.entries(last ?? {}).find(([name]) => name !== from) ?? [];
      if (
        to !== undefined &&
        content !== undefined &&
        last !== undefined &&
        last[from] === undefined &&
        this.#calls.get(to)?.at(-1)?.change === last
      )
        yield [from, to, content];
    }
  }

  #heed(note: Note): void {
    if (note.what === 'swift') {
      this.store = note.store;
      return;
    }
    for (const [name, content] of Object.entries(note.call.change)) {
      const calls = this.#calls.get(name) ?? [];
      this.#calls.set(name, calls);
      if (note.what === 'begun') calls.push(note.call);
      // A delete is sure a little later than its answer.
      if (note.what === 'due' || (note.what === 'acknowledged' && content !== undefined))
        this.#sure.set(name, Math.max(this.#sure.get(name) ?? -1, calls.indexOf(note.call)));
    }
  }
}

async function recover(disk: RecordedDisk, moment: number, leaving: Leaving, seed: number): Promise<number> {
  const directory = tempDir('power-cut-after');
  const expected = new Expected(disk, moment);
  const title = `seed ${seed}: cut at ${moment} of ${disk.log.length}, unsynced calls: ${leaving}`;
  let machine: Machine | undefined;
  try {
    disk.cut(moment, leaving, randomOf(seed), directory);
    const store = expected.store.clone();
    machine = await startMachine(store, directory, { writeMode: 'through' });
    const pending = machine.pendingWrites;
    const found = new Map<string, Buffer | undefined>();
    for (const name of expected.names) {
      const bytes = await readOrAbsent(machine, name);
      const allowed = expected.allowed(name);
      const fits = allowed.some((one) => (one === undefined ? bytes === undefined : bytes !== undefined && one.equals(bytes)));
      assert.ok(fits, `${title}: ${name} is ${shown(bytes)}, may be ${allowed.map(shown).join(' or ')}`);
      found.set(name, bytes);
    }
    for (const [from, to, content] of expected.moved()) {
      assert.ok(
        [from, to].some((name) => found.get(name)?.equals(content) === true),
        `${title}: ${from} is lost, renamed to ${to}`,
      );
    }
    await machine.drained();
    for (const [name, bytes] of found) {
      // Behind its `.__gc` a blob is hidden, and goes with the unlink of that only.
      if (await machine.client.exists(`${name}.__gc`)) continue;
      assert.equal(shown(store.peek(CONTAINER, name)), shown(bytes), `${title}: ${name} in Swift in the end`);
    }
    return pending;
  } finally {
    await machine?.stop();
    removeDir(directory);
  }
}

/** All calls were recorded: what they lead to is what is there. */
function assertComplete(disk: RecordedDisk, directory: string): void {
  const replayed = tempDir('power-cut-all');
  try {
    disk.cut(disk.log.length, 'all', Math.random, replayed);
    const files = (root: string): [string, string][] =>
      fs
        .readdirSync(root, { recursive: true, encoding: 'utf8' })
        .sort()
        .filter((name) => fs.statSync(path.join(root, name)).isFile())
        .map((name) => [name, blobOf(fs.readFileSync(path.join(root, name))).sha1]);
    assert.deepEqual(files(replayed), files(directory), 'a call to the disk was not recorded');
  } finally {
    removeDir(replayed);
  }
}

async function readOrAbsent(machine: Machine, name: string): Promise<Buffer | undefined> {
  const { kindOf } = await import('../../src/base/errors.js');
  try {
    return await machine.client.readFile(name);
  } catch (error) {
    if (kindOf(error) === 'not-found') return undefined;
    throw error;
  }
}

function shown(bytes: Buffer | undefined): string {
  return bytes === undefined ? 'absent' : bytes.length < 40 ? `"${bytes.toString()}"` : blobOf(bytes).sha1;
}

test(
  'After a power cut at any moment what was acknowledged reads back, what was deleted stays deleted, and nothing torn is served.',
  { timeout: 600_000 },
  async (t) => {
    const awake = setInterval(() => undefined, 1000);
    const directory = tempDir('power-cut');
    fs.mkdirSync(directory, { recursive: true });
    try {
      const disk = new RecordedDisk(directory);
      disk.install();
      await new Life(disk, directory).live();
      assertComplete(disk, directory);
      const moments = disk.moments();
      const random = randomOf(SEED);
      const cuts: { readonly moment: number; readonly leaving: Leaving }[] = [];
      for (const [index, entry] of disk.log.entries()) {
        if (entry.kind === 'note' && (entry.note as Note).what === 'acknowledged') cuts.push({ moment: index + 1, leaving: 'none' });
      }
      // Spread over the whole life.
      for (let cut = 0; cut < CUTS; cut++) {
        const moment = moments[Math.floor(((cut + random()) / CUTS) * moments.length)] ?? 0;
        cuts.push({ moment, leaving: LEAVINGS[cut % LEAVINGS.length] ?? 'all' });
      }
      let withPending = 0;
      for (const [number, { moment, leaving }] of cuts.entries()) {
        if ((await recover(disk, moment, leaving, SEED * 1_000_003 + number)) > 0) withPending++;
      }
      t.diagnostic(
        `${cuts.length} cuts of ${disk.log.length} calls, ${withPending} with something pending; ${moments.length} moments, seed ${SEED}`,
      );
      assert.ok(withPending > cuts.length / 8, `something was pending at only ${withPending} of ${cuts.length} cuts`);
    } finally {
      clearInterval(awake);
      removeDir(directory);
    }
  },
);
