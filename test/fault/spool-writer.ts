/** A process that is to be killed: seals and buries without end, and prints a line when the spool has answered. Run by spool-kill.test. */
import { writeSync } from 'node:fs';
import { SILENT_LOG } from '../../src/base/log.js';
import { openSpool } from '../../src/spool/open-spool.js';
import { blobOf } from '../helpers/blobs.js';
import { sealBlob } from '../unit/spool/spools.js';

const [directory = '', life = ''] = process.argv.slice(2);
const spool = await openSpool({ directory, database: 'prod', log: SILENT_LOG });
const say = (line: string): void => void writeSync(1, `${line}\n`);

async function write(writer: number): Promise<void> {
  for (let round = 0; ; round++) {
    const blob = blobOf(`${life} ${writer} ${round} ${'x'.repeat((round % 7) * 1000)}`);
    await sealBlob(spool, blob);
    say(`sealed ${blob.name}`);
    if (round % 3 !== 0) continue;
    // The two lines stand round the delete: killed in between, either answer is right.
    say(`burying ${blob.name}`);
    spool.bury(blob.name, { owedToSwift: true });
    say(`buried ${blob.name}`);
  }
}

await Promise.all([0, 1, 2, 3].map(write));
