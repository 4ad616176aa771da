/**
 * `npm run soak -- differential [MINUTES [WAY…]]` (default 2): differential.py makes the same random calls on the mount and on a local directory and compares
 * the answers, while Swift fails by turns and the daemon is ended and killed. In the end Swift's contents are the local directory's.
 * Each way (ways.ts) is gone for so long, and without one all of them. The seed is printed; `OSF_SEED=n` repeats the calls and the order of the troubles.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually, run } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';
import { randomOf } from '../helpers/random.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import { Caller } from './caller.js';
import { TROUBLES } from './troubles.js';
import { type Way, waysOf } from './ways.js';

const SCRIPT = path.join(projectRoot, 'test/soak/differential.py');
const ARGS = '--write-timeout 2s --lookup-wait 200ms --read-timeout 10s --headers-timeout 3s --stall-timeout 3s'.split(' ');
const CALM_LIMIT_MS = 180_000;
const LOG_TAIL = 400;

class Run {
  readonly #random: () => number;
  readonly #proxy: FaultProxy;
  readonly #mount: Mount;
  readonly #caller: Caller;
  readonly #troubleFile: string;
  readonly count = { troubles: 0, restarts: 0, kills: 0 };
  /** When the next trouble begins or ends, and when the daemon is ended next. */
  #troubleAtMs = Date.now() + 1_000;
  #isTroubled = false;
  readonly #way: Way;
  #endAtMs = Date.now() + 6_000;

  constructor(random: () => number, proxy: FaultProxy, mount: Mount, caller: Caller, troubleFile: string, way: Way) {
    if (way.isCalm) this.#troubleAtMs = Infinity;
    this.#way = way;
    this.#random = random;
    this.#proxy = proxy;
    this.#mount = mount;
    this.#caller = caller;
    this.#troubleFile = troubleFile;
  }

  /** @returns what the caller said last */
  async untilDone(): Promise<string> {
    for (;;) {
      const line = this.#caller.heard();
      if (line !== undefined) {
        if (line.startsWith('done') || line.startsWith('wrong')) return line;
        await this.#answer(line);
        continue;
      }
      if (this.#caller.isOver) {
        await sleep(100);
        return this.#caller.heard() ?? `wrong: the caller ended with ${String(this.#caller.child.exitCode)}`;
      }
      if (Date.now() >= this.#troubleAtMs) await this.#turnTrouble();
      else if (Date.now() >= this.#endAtMs) await this.#end();
      else await sleep(20);
    }
  }

  async calm(): Promise<void> {
    this.#proxy.clear();
    await this.#proxy.up();
    this.#proxy.resetCounts();
    if (this.#isTroubled) fs.writeFileSync(this.#troubleFile, '');
    this.#isTroubled = false;
    if (!this.#way.isCalm) this.#troubleAtMs = Date.now() + 500 + this.#random() * 3_000;
    await eventually('Swift is well', async () => (await this.#mount.status()).databases[0]?.state === 'serving', CALM_LIMIT_MS);
  }

  async #answer(line: string): Promise<void> {
    if (line === 'dead') throw new Error('the mount died by itself');
    assert.equal(line, 'calm?');
    await this.calm();
    this.#caller.tell('calm');
    await this.#settled();
  }

  /** Nothing is troubled while the caller looks what became of a call; the end of the run is such a time too. */
  async #settled(): Promise<void> {
    const line = await this.#caller.next(CALM_LIMIT_MS);
    if (line !== 'settled') throw new Error(line);
    this.#endAtMs = Math.max(this.#endAtMs, Date.now() + 500);
  }

  async #turnTrouble(): Promise<void> {
    if (this.#isTroubled) {
      this.#proxy.clear();
      await this.#proxy.up();
      this.#proxy.resetCounts();
      fs.writeFileSync(this.#troubleFile, '');
      this.#troubleAtMs = Date.now() + 500 + this.#random() * 4_000;
    } else {
      const trouble = TROUBLES[Math.floor(this.#random() * TROUBLES.length)] ?? 'down';
      fs.rmSync(this.#troubleFile, { force: true });
      this.count.troubles += 1;
      this.#troubleAtMs = Date.now() + 300 + this.#random() * 3_000;
      if (trouble === 'down') await this.#proxy.down();
      else this.#proxy.add(trouble);
    }
    this.#isTroubled = !this.#isTroubled;
  }

  async #end(): Promise<void> {
    const isKill = this.#way.endsBySignal || this.#random() < 0.6;
    this.#caller.tell(isKill ? 'kill' : 'stop');
    if (isKill) {
      this.count.kills += 1;
      await sleep(this.#random() * 150);
      await this.#mount.kill9();
    } else {
      this.count.restarts += 1;
      // A "calm?" that crossed our word is answered by the restart, and by the "calm" that follows.
      while ((await this.#saidInTrouble()) !== 'stopped');
    }
    // It may start while Swift is troubled; what became of the calls is then looked at in calm.
    await this.#mount.restart();
    await this.calm();
    this.#caller.tell('up');
    let line = await this.#caller.next(CALM_LIMIT_MS);
    // What it said before it heard us.
    while (line === 'dead' || line === 'calm?') line = await this.#caller.next(CALM_LIMIT_MS);
    if (line !== 'settled') throw new Error(line);
    this.#endAtMs = Date.now() + 1_000 + this.#random() * 12_000;
  }

  /** What the caller says next. It may be in a call that waits for the end of a trouble. */
  async #saidInTrouble(): Promise<string> {
    for (;;) {
      const line = this.#caller.heard() ?? (this.#caller.isOver ? 'over' : undefined);
      if (line === 'over' || line?.startsWith('wrong') === true) throw new Error(line);
      if (line !== undefined) return line;
      if (Date.now() >= this.#troubleAtMs) await this.#turnTrouble();
      else await sleep(20);
    }
  }
}

async function compare(mount: string, local: string, what: 'all' | 'swift'): Promise<void> {
  const { code, stdout, stderr } = await run('python3', ['-B', SCRIPT, 'compare', mount, local, what]);
  assert.equal(code, 0, `the mount (${what}) is not the local directory:\n${stdout}${stderr}`);
}

/** @param names of ways; none: all of them */
export async function differential(minutes: number, names: readonly string[]): Promise<void> {
  for (const way of waysOf(names)) await goOneWay(minutes, way);
}

async function goOneWay(minutes: number, way: Way): Promise<void> {
  const seed = Number(process.env['OSF_SEED'] ?? Date.now() % 1_000_000);
  const random = randomOf(seed);
  console.log(`differential: ${minutes} minutes, ${way.name}, seed ${seed}`);
  const swift = await withSwift();
  const proxy = await FaultProxy.start(swift.url);
  const login = { swift: { ...swift, authUrl: proxy.authUrl }, database: 'fuzz' };
  const mount = await startMount({ ...login, args: [...ARGS, ...way.flags] });
  mount.log.expect(/^WARN /);
  const dir = tempDir('differential');
  const local = path.join(dir, 'local');
  fs.mkdirSync(local);
  const troubleFile = path.join(dir, 'calm-since');
  fs.writeFileSync(troubleFile, '');
  fs.utimesSync(troubleFile, 0, 0);
  const caller = new Caller(SCRIPT, [
    'fuzz',
    mount.path,
    local,
    String(seed),
    String(minutes * 60),
    troubleFile,
    way.isStrict ? 'strict' : '',
  ]);
  try {
    const fuzz = new Run(random, proxy, mount, caller, troubleFile, way);
    const line = await fuzz.untilDone();
    if (!line.startsWith('done')) throw new Error(line);
    await fuzz.calm();
    await mount.drained(CALM_LIMIT_MS);
    await eventually('all deletes are told', async () => (await mount.status()).databases[0]?.pendingDeletes === 0, CALM_LIMIT_MS);
    await mount.restart();
    await compare(mount.path, local, 'all');
    assert.equal(await mount.terminate(), 0);
    const fresh = await startMount({ ...login, args: [...ARGS, ...way.flags] });
    fresh.log.expect(/^WARN /);
    try {
      await compare(fresh.path, local, 'swift');
    } finally {
      await fresh.stop();
    }
    const { troubles, restarts, kills } = fuzz.count;
    console.log(`differential: passed, ${way.name}, seed ${seed}: ${line}; ${troubles} troubles, ${restarts} restarts, ${kills} kills`);
  } catch (error) {
    // Before the servers are stopped, whose own failure would take its place.
    console.error(
      `differential: failed, ${way.name}, seed ${seed}:`,
      error,
      `\n${caller.complaint}\n${mount.log.lines.slice(-LOG_TAIL).join('\n')}`,
    );
    throw error;
  } finally {
    caller.child.kill('SIGKILL');
    proxy.clear();
    await proxy.up();
    await mount.stop();
    await proxy.close();
    await swift.stop();
    removeDir(dir);
  }
}
