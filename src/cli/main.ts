/** The program. Its bin is `odoo-swiftfs.cts`, which sets the size of the thread pool first. */
import { exitCodeOf } from './exit-codes.js';
import { describeError } from './output.js';
import { runProgram } from './program.js';

try {
  await runProgram(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`odoo-swiftfs: ${describeError(error)}\n`);
  process.exitCode = exitCodeOf(error);
}
