/** The program. Its bin is `odoo-swiftfs.cts`, which sets the size of the thread pool first. */
import { EXIT_BROKEN_PIPE, EXIT_IO, exitCodeOf } from './exit-codes.js';
import { describeError, warn } from './output.js';
import { runProgram } from './program.js';

// Whoever reads our output may stop in the midst (`| head`): that ends a program as SIGPIPE does, in silence.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT_BROKEN_PIPE);
  warn(`standard output: ${describeError(error)}`);
  process.exit(EXIT_IO);
});

try {
  await runProgram(process.argv.slice(2));
} catch (error) {
  warn(describeError(error));
  process.exitCode = exitCodeOf(error);
}
