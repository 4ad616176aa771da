/** From the command to the answering mount, beside what Node itself takes to start. */
import { tempDir } from '../../test/helpers/temp-dir.js';
import path from 'node:path';
import type { Bench, Group } from '../lib/bench.js';
import { interleave } from '../lib/rounds.js';
import { startService } from '../lib/service.js';

export const start: Group = { name: 'start', measure };

async function measure({ client, swift, scale, add }: Bench): Promise<void> {
  const directory = tempDir('bench-start');
  const dirs = { spool: path.join(directory, 'spool'), cache: path.join(directory, 'cache') };
  const serve = async (): Promise<number> => {
    const before = performance.now();
    const mount = await startService({ swift, database: 'writes', dirs, args: ['--nodes', 'many'] });
    const took = performance.now() - before;
    await mount.stop();
    return took;
  };
  await serve();
  const samples = await interleave(Math.min(5, scale.rounds), [
    { name: 'node -e 0', run: () => client.command(process.execPath, ['-e', '0']).then(({ totalNs }) => totalNs / 1e6) },
    { name: 'to serving', run: serve },
  ]);
  const own = (samples[1]?.values ?? []).map((took, round) => took - (samples[0]?.values[round] ?? 0));
  add({
    id: 'start',
    title: 'start of the daemon until it serves',
    unit: 'ms',
    samples: [...samples, { name: "less Node's own", values: own }],
    goals: [{ of: "less Node's own", atMost: 1000 }],
  });
}
