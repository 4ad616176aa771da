/** The commands. Each is loaded when it is called, so that none pays for another's modules. */
import yargs, { type Argv } from 'yargs';
import { packageVersion } from '../config/version.js';
import { readBooleanFlags } from './boolean-flags.js';
import { markDashedWords, unmarkDashedWords } from './dashed-words.js';
import { isOfSwift, refuseSecretFlags, withOptionFlags } from './flags.js';
import { fstabArguments } from './fstab.js';
import { addSwiftCommands } from './swift-commands.js';
import { COMMANDS, usageError } from './usage-error.js';
import { refuseOtherThanUtf8 } from './utf8-words.js';

/**
 * Runs one command line to its end; `mount` in the foreground ends with the mount.
 * @throws what the command throws; FilestoreError invalid-argument or bad-config for a command line that is not understood
 */
export async function runProgram(args: readonly string[]): Promise<void> {
  refuseSecretFlags(args);
  refuseOtherThanUtf8(args);
  await createProgram(readBooleanFlags(fstabArguments(args) ?? args)).parseAsync();
}

function createProgram(args: readonly string[]): Argv {
  return yargs(markDashedWords(args))
    .scriptName('odoo-swiftfs')
    .locale('en')
    .parserConfiguration({
      'camel-case-expansion': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'dot-notation': false,
    })
    .middleware(unmarkDashedWords)
    .usage("$0 COMMAND\n\nMounts OpenStack Swift containers at Odoo's filestore path.")
    .command('mount <mountpoint>', 'mount and serve, in the foreground', mountOptions, async (parsed) => {
      const { mountCommand } = await import('./commands/mount.js');
      await mountCommand(parsed, args);
    })
    .command('unmount <mountpoint>', 'publish what is pending, then unmount', unmountOptions, async (parsed) => {
      const { unmountCommand } = await import('./commands/unmount.js');
      await unmountCommand(String(parsed['mountpoint']), parsed['detach'] === true);
    })
    .command('status [mountpoint]', 'what is mounted, what is pending, whether this machine may be lost', statusOptions, async (parsed) => {
      const { statusCommand } = await import('./commands/status.js');
      const mountPoint = parsed['mountpoint'];
      await statusCommand(typeof mountPoint === 'string' ? mountPoint : undefined, parsed['json'] === true);
    })
    .command('undelete <db>', 'bring deleted files of a database back (delete_retention)', undeleteOptions, async (parsed) => {
      const { undeleteCommand } = await import('./commands/undelete.js');
      await undeleteCommand(parsed);
    })
    .command('config', 'options', (config) =>
      config
        .command('show', 'every option, its value and where it was set; secrets are masked', showOptions, async (parsed) => {
          const { configShowCommand } = await import('./commands/config-show.js');
          configShowCommand(parsed);
        })
        .demandCommand(1, 'config needs a command: show'),
    )
    .command('login', 'log in, and say what the credentials reach', loginOptions, async (parsed) => {
      const { loginCommand } = await import('./commands/login.js');
      await loginCommand(parsed);
    })
    .command('swift', 'look at containers and objects', (swift) => addSwiftCommands(swift))
    .demandCommand(1, `a command is needed: ${COMMANDS.join(', ')}`)
    .strict()
    .version(packageVersion())
    .help()
    .alias('help', 'h')
    .wrap(null)
    .fail((message: string | null, error: Error | undefined) => {
      // yargs' own errors are about the command line; all others are a command's, and are told as they are.
      if (error !== undefined && error.name !== 'YError') throw error;
      throw usageError(message ?? error?.message ?? 'not understood', args);
    });
}

function mountOptions(command: Argv): Argv {
  return withOptionFlags(
    command
      .positional('mountpoint', { type: 'string', describe: 'an existing directory' })
      .option('daemon', { type: 'boolean', default: false, describe: 'serve in the background; returns when the mount answers' }),
  );
}

function unmountOptions(command: Argv): Argv {
  return command
    .positional('mountpoint', { type: 'string' })
    .option('detach', { type: 'boolean', default: false, describe: 'also while files are open; they end by themselves' });
}

function statusOptions(command: Argv): Argv {
  return command
    .positional('mountpoint', { type: 'string', describe: 'unset: all mounts of this user' })
    .option('json', { type: 'boolean', default: false, describe: 'for programs' });
}

function undeleteOptions(command: Argv): Argv {
  return withOptionFlags(
    command
      .positional('db', { type: 'string', describe: 'name of the database' })
      .option('since', {
        type: 'string',
        requiresArg: true,
        describe: 'only what was deleted since: 2026-03-01T14:00, or 2h for two hours ago',
      })
      .option('name', { type: 'string', array: true, requiresArg: true, describe: 'only this file, as in store_fname; may be given again' })
      .option('dry-run', { type: 'boolean', default: false, describe: 'only say what would be done' }),
    (spec) => spec.name === 'container_prefix' || isOfSwift(spec),
  );
}

function showOptions(command: Argv): Argv {
  return withOptionFlags(command.option('json', { type: 'boolean', default: false, describe: 'for programs' }));
}

function loginOptions(command: Argv): Argv {
  return withOptionFlags(
    command.option('check', { type: 'boolean', default: true, describe: 'only check the credentials; nothing is written anywhere' }),
    // Which container is meant: whether the user may write is asked of it.
    (spec) => isOfSwift(spec) || spec.name === 'database' || spec.name === 'container_prefix',
  );
}
