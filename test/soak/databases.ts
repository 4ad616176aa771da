/**
 * `npm run soak -- databases [MINUTES [WAY…]]` (default 2): databases.py does with whole databases what Odoo does with them, on one mount or on two over
 * the same containers, and tells us when Swift is to fail one of them, and when a daemon is to be ended. `OSF_SEED=n` repeats the order of it all.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';
import { randomOf } from '../helpers/random.js';
import { startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';
import { Caller } from './caller.js';
import { TROUBLES } from './troubles.js';
import { type Way, waysOf } from './ways.js';

const SCRIPT = path.join(projectRoot, 'test/soak/databases.py');
const PREFIX = 'dbs';
const BOUND_S = 2;
const NEGATIVE_S = 0.5;
const ARGS = [
  ...'--write-timeout 2s --lookup-wait 200ms --read-timeout 10s --headers-timeout 3s --stall-timeout 3s --drain-timeout 5s'.split(' '),
  ...`--delete-bound ${BOUND_S}s --negative-ttl ${NEGATIVE_S}s`.split(' '),
];
/** A drop is noticed within `delete_bound`; what waits for the publisher, and a loaded machine, come on top. */
const DROP_S = 2;
const LOAD_S = 0.5;
const BEHIND_S = 2;
const LIMIT_MS = 120_000;
const LOG_TAIL = 150;
const ALL = ['one+through', 'many+through+calm', 'many+through', 'many+back', 'many+strict', 'one+back', 'one+strict'];

interface Node {
  readonly proxy: FaultProxy;
  readonly mount: Mount;
}

class Run {
  readonly #random: () => number;
  readonly #nodes: readonly Node[];
  readonly #swift: Swift;
  readonly #caller: Caller;

  constructor(random: () => number, nodes: readonly Node[], swift: Swift, caller: Caller) {
    this.#random = random;
    this.#nodes = nodes;
    this.#swift = swift;
    this.#caller = caller;
  }

  /** @returns what the caller said last */
  async untilDone(): Promise<string> {
    for (;;) {
      const line = await this.#caller.next(10 * LIMIT_MS);
      const [word = '', what = '', index = ''] = line.split(' ');
      if (word === 'there') await this.#assertContainers(line.split(' ').slice(1));
      else if (word !== 'do') return line;
      else await this.#do(what, this.#nodes[Number(index)] ?? assert.fail(line));
      this.#caller.tell('ok');
    }
  }

  async #do(what: string, { proxy, mount }: Node): Promise<void> {
    switch (what) {
      case 'kill':
        await mount.kill9();
        await mount.restart();
        return;
      case 'restart':
        await mount.restart();
        return;
      case 'trouble': {
        const trouble = TROUBLES[Math.floor(this.#random() * TROUBLES.length)] ?? 'down';
        if (trouble === 'down') await proxy.down();
        else proxy.add(trouble);
        return;
      }
      case 'calm':
        proxy.clear();
        await proxy.up();
        proxy.resetCounts();
        await eventually('Swift is well', async () => (await mount.status()).databases.every(({ state }) => state === 'serving'), LIMIT_MS);
        return;
      case 'drained':
        await mount.drained(LIMIT_MS);
        await eventually(
          'all deletes are told',
          async () => (await mount.status()).databases.every(({ pendingDeletes }) => pendingDeletes === 0),
          LIMIT_MS,
        );
        return;
      default:
        throw new Error(`"${what}" is nothing that can be done`);
    }
  }

  /** What was dropped leaves no container. */
  async #assertContainers(databases: readonly string[]): Promise<void> {
    const expected = databases.map((name) => `${PREFIX}-${name.toLowerCase()}`).sort();
    const client = await this.#swift.client();
    let found: string[] = [];
    await eventually('the containers are those of the databases', async () => {
      found = (await client.containers()).sort();
      return found.join() === expected.join();
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}: there are ${found.join(', ')}, and not ${expected.join(', ')}`);
    });
  }
}

/** @param names of ways; none: those that matter here */
export async function databases(minutes: number, names: readonly string[]): Promise<void> {
  for (const way of waysOf(names, ALL)) await goOneWay(minutes, way);
}

async function startNode(swift: Swift, way: Way): Promise<Node> {
  const proxy = await FaultProxy.start(swift.url);
  const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, containerPrefix: PREFIX, args: [...ARGS, ...way.flags] });
  mount.log.expect(/^WARN /);
  return { proxy, mount };
}

async function goOneWay(minutes: number, way: Way): Promise<void> {
  const seed = Number(process.env['OSF_SEED'] ?? Date.now() % 1_000_000);
  console.log(`databases: ${minutes} minutes, ${way.name}, seed ${seed}`);
  const swift = await withSwift();
  const nodes = [await startNode(swift, way)];
  if (way.isShared) nodes.push(await startNode(swift, way));
  const lag = BOUND_S + DROP_S + LOAD_S + (way.isBehind ? BEHIND_S : 0);
  const caller = new Caller(SCRIPT, [
    ...[seed, minutes * 60, lag, NEGATIVE_S].map(String),
    way.name,
    ...nodes.map(({ mount }) => mount.path),
  ]);
  try {
    const line = await new Run(randomOf(seed), nodes, swift, caller).untilDone();
    if (!line.startsWith('done')) throw new Error(line);
    console.log(`databases: passed, ${way.name}, seed ${seed}: ${line}`);
  } catch (error) {
    const logs = nodes.map(({ mount }, index) => `--- ${'AB'[index] ?? ''}\n${mount.log.lines.slice(-LOG_TAIL).join('\n')}`);
    // Before the servers are stopped, whose own failure would take its place.
    console.error(`databases: failed, ${way.name}, seed ${seed}:`, error, `\n${caller.complaint}\n${logs.join('\n')}`);
    throw error;
  } finally {
    caller.child.kill('SIGKILL');
    for (const { proxy, mount } of nodes) {
      proxy.clear();
      await proxy.up();
      await mount.stop();
      await proxy.close();
    }
    await swift.stop();
  }
}
