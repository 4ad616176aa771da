/**
 * A filestore in a process that kills itself with SIGKILL at a named step, the n-th time it comes there. Before that it checks what its
 * predecessors have acknowledged. Run by crash-steps.test.ts and crash-hundreds.test.ts with a {@link CrashPlan} as JSON; nothing of the product
 * is changed for it: the calls of node:fs and of the object store are wrapped before the product is loaded.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import type { Log } from '../../src/base/log.js';
import type { FilestoreSettings } from '../../src/filestore/filestore-options.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { filestoreSettings } from '../helpers/filestore-settings.js';

/** Each can be cut before it, and after it but before anybody learns of it. */
export const STEPS = [
  'make the staging file',
  'write the staging file',
  'rename to the sealed name',
  'write to the write-ahead log',
  'sync the write-ahead log',
  'sync the sealed file',
  'sync the directory of sealed files',
  'append to the journal',
  'sync the journal',
  'PUT',
  'adopt into the cache',
  'DELETE',
] as const;
export type Step = (typeof STEPS)[number];

export interface CrashPlan {
  readonly directory: string;
  /** Of a real Swift; undefined: the store is the parent's (store-over-ipc.ts). */
  readonly authUrl: string | undefined;
  readonly database: string;
  readonly manifest: string;
  readonly seed: number;
  readonly writeMode: 'through' | 'back';
  /** `any moment`: the parent kills. Undefined: check and drain, then end. */
  readonly step: Step | 'any moment' | undefined;
  readonly when: 'before' | 'after';
  readonly nth: number;
  /** Of what was acknowledged only the latest so many names are checked at the start, and as many others; the last life checks all. */
  readonly checkAtMost?: number;
}

/** Ends with this when the step did not come. */
export const STEP_NEVER_CAME = 3;
export const CHECK_FAILED = 4;
const MOST_WRITES = 80;
/** Steps of the files that are too large for the write-ahead log. */
const LONG_WAY: ReadonlySet<string | undefined> = new Set<Step>([
  'sync the sealed file',
  'sync the directory of sealed files',
  'sync the journal',
]);
const LARGE_BYTES = 270_000;
/** Steps that come only once the write-ahead log is made, which takes a moment. */
const SHORT_WAY: ReadonlySet<string | undefined> = new Set<Step>(['write to the write-ahead log', 'sync the write-ahead log']);
const WRITERS = 3;

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // the signal may take a moment, and nothing may go on meanwhile
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

class Fuse {
  readonly #plan: CrashPlan;
  #came = 0;
  /** Checking is over. */
  armed = false;
  readonly seen = new Set<Step>();

  constructor(plan: CrashPlan) {
    this.#plan = plan;
  }

  before(step: Step | undefined): void {
    if (step !== undefined) this.seen.add(step);
    if (!this.#is(step)) return;
    this.#came += 1;
    if (this.#plan.when === 'before' && this.#came >= this.#plan.nth) die();
  }

  after(step: Step | undefined): void {
    if (this.#is(step) && this.#plan.when === 'after' && this.#came >= this.#plan.nth) die();
  }

  #is(step: Step | undefined): boolean {
    return this.armed && step !== undefined && step === this.#plan.step;
  }
}

function pathOf(target: unknown): string {
  if (typeof target === 'number') {
    try {
      return fs.readlinkSync(`/proc/self/fd/${target}`);
    } catch {
      return '';
    }
  }
  return String(target);
}

type AnyFunction = (...args: unknown[]) => unknown;

function wrapDisk(fuse: Fuse): void {
  const isIn = (target: unknown, folder: string): boolean => path.basename(path.dirname(pathOf(target))) === folder;
  const isNamed = (target: unknown, name: string): boolean => path.basename(pathOf(target)) === name;
  const isAhead = (target: unknown): boolean => path.basename(pathOf(target)).startsWith('ahead.');
  const stepOf: Record<string, (args: unknown[]) => Step | undefined> = {
    openSync: ([file]) => (isIn(file, 'staging') ? 'make the staging file' : undefined),
    writeSync: ([fd]) => (isNamed(fd, 'journal') ? 'append to the journal' : isIn(fd, 'staging') ? 'write the staging file' : undefined),
    writevSync: ([fd]) => (isAhead(fd) ? 'write to the write-ahead log' : undefined),
    renameSync: ([, to]) =>
      isIn(to, 'sealed') ? 'rename to the sealed name' : String(to).includes('/cache/') ? 'adopt into the cache' : undefined,
    fsync: ([fd]) =>
      isNamed(fd, 'sealed') ? 'sync the directory of sealed files' : isIn(fd, 'sealed') ? 'sync the sealed file' : undefined,
    fdatasync: ([fd]) => (isNamed(fd, 'journal') ? 'sync the journal' : isAhead(fd) ? 'sync the write-ahead log' : undefined),
  };
  const table = fs as unknown as Record<string, AnyFunction>;
  for (const [name, of] of Object.entries(stepOf)) {
    const original = table[name];
    if (original === undefined) continue;
    table[name] = (...args: unknown[]): unknown => {
      const step = of(args);
      fuse.before(step);
      const done = args.at(-1);
      if (typeof done === 'function') {
        args[args.length - 1] = (...results: unknown[]): void => {
          fuse.after(step);
          (done as AnyFunction)(...results);
        };
        return original(...args);
      }
      const result = original(...args);
      fuse.after(step);
      return result;
    };
  }
  syncBuiltinESMExports();
}

function wrapStore(store: ObjectStore, fuse: Fuse): ObjectStore {
  const stepOf: Readonly<Record<string, Step>> = { put: 'PUT', delete: 'DELETE', deleteMany: 'DELETE' };
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      const bound = (value as AnyFunction).bind(target);
      const step = stepOf[String(name)];
      if (step === undefined) return bound;
      return async (...args: unknown[]): Promise<unknown> => {
        fuse.before(step);
        const result = await (bound(...args) as Promise<unknown>);
        fuse.after(step);
        return result;
      };
    },
  });
}

function settingsOf(plan: CrashPlan): FilestoreSettings {
  return filestoreSettings(path.join(plan.directory, 'spool'), {
    database: plan.database,
    writeMode: plan.writeMode,
    readTimeoutMs: 30_000,
    negativeTtlMs: 1_000,
    deleteBoundMs: 10_000,
  });
}

async function storeOf({ authUrl }: CrashPlan, log: Log): Promise<ObjectStore> {
  if (authUrl === undefined) return (await import('./store-over-ipc.js')).storeOfParent();
  const [{ createSwiftStore }, { tempauthSettings }] = await Promise.all([
    import('../../src/swift/swift-store.js'),
    import('../helpers/swift-settings.js'),
  ]);
  return createSwiftStore(tempauthSettings(authUrl), { log, userAgent: 'crash-child' });
}

/** Tells the parent that the checks are over, and waits for its word. */
async function checked(): Promise<void> {
  if (process.send === undefined) return;
  const go = new Promise<void>((resolve) => process.once('message', () => resolve()));
  process.send('checked');
  await go;
}

async function main(plan: CrashPlan): Promise<number> {
  const fuse = new Fuse(plan);
  wrapDisk(fuse);
  // only now: modules take their functions of node:fs when they are loaded
  const [{ createLog }, { openCache }, { openFilestore }, { createMemoryDriver }, { createVfs }] = await Promise.all([
    import('../../src/base/log.js'),
    import('../../src/cache/blob-cache.js'),
    import('../../src/filestore/open-filestore.js'),
    import('../helpers/memory-driver.js'),
    import('../../src/vfs/vfs.js'),
  ]);
  const [{ blobOf, bytesOf }, { differences, readManifest, someOf }] = await Promise.all([
    import('../helpers/blobs.js'),
    import('../helpers/manifest.js'),
  ]);
  const { kindOf } = await import('../../src/base/errors.js');

  const log = createLog('warn', (line) => {
    console.error(line);
  });
  const swift = await storeOf(plan, log);
  const cache = await openCache({ directory: path.join(plan.directory, 'cache'), budgetBytes: 1 << 30, floorBytes: 0, log });
  const filestore = await openFilestore(settingsOf(plan), { store: wrapStore(swift, fuse), cache, origin: undefined, log });
  const vfs = createVfs(filestore, { uid: 0, gid: 0, log });
  const mount = await createMemoryDriver().mount(vfs);
  vfs.attach(mount);
  const { client } = mount;

  const wrong = await differences(someOf(readManifest(plan.manifest), plan.checkAtMost ?? Infinity), (name) =>
    client.readFile(name).catch((error: unknown) => {
      if (kindOf(error) === 'not-found') return undefined;
      throw error;
    }),
  );
  if (wrong.length > 0) {
    console.error(wrong.join('\n'));
    return CHECK_FAILED;
  }

  if (plan.step !== undefined) {
    await checked();
    const manifest = fs.openSync(plan.manifest, 'a', 0o600);
    const tell = (word: string, name: string): void => {
      fs.writeSync(manifest, `${word} ${name}\n`);
      process.send?.('told');
    };
    for (let number = 0; SHORT_WAY.has(plan.step) && !fuse.seen.has('write to the write-ahead log'); number += 1) {
      const { name, content } = blobOf(bytesOf(plan.seed * 1000 + 500 + number, 700));
      await client.mkdir(name.slice(0, 2)).catch(() => undefined);
      await client.writeFile(name, content);
      tell('W', name);
    }
    fuse.armed = true;
    const writer = async (index: number): Promise<void> => {
      const mine: string[] = [];
      for (let round = 0; round < MOST_WRITES / WRITERS; round += 1) {
        const sizeBytes = index === 0 && LONG_WAY.has(plan.step) ? LARGE_BYTES : 600 + ((round * 7919) % 40_000);
        const { name, content } = blobOf(bytesOf(plan.seed * 1000 + round * WRITERS + index, sizeBytes));
        await client.mkdir(name.slice(0, 2)).catch(() => undefined);
        await client.writeFile(name, content);
        tell('W', name);
        mine.push(name);
        if (round % 2 === 0) continue;
        const victim = mine.shift() ?? '';
        tell('B', victim);
        await client.unlink(victim);
        tell('D', victim);
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, (_, index) => writer(index)));
  }
  const isDrained = await filestore.drain(60_000);
  await mount.unmount('clean');
  await filestore.close();
  await cache.close();
  await swift.close();
  if (plan.step !== undefined) return STEP_NEVER_CAME;
  return isDrained ? 0 : CHECK_FAILED;
}

const plan = process.argv[2];
if (plan !== undefined && process.argv[1] === import.meta.filename) process.exit(await main(JSON.parse(plan) as CrashPlan));
