/** What is wrong with a command line, and what was meant: yargs knows only that it does not understand. */
import { FilestoreError } from '../base/errors.js';
import { didYouMean } from '../config/did-you-mean.js';
import { flagOf } from '../config/option.js';
import { OPTION_ENTRIES } from '../config/options.js';
import { OF_COMMANDS } from './boolean-flags.js';
import { VERBS } from './swift-commands.js';

export const COMMANDS = ['mount', 'unmount', 'status', 'undelete', 'config', 'login', 'swift'];
const SUBCOMMANDS: Readonly<Record<string, readonly string[]>> = { config: ['show'], swift: VERBS };

/** What stands after a command's words, for the message that it is missing. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  mount: 'MOUNTPOINT',
  unmount: 'MOUNTPOINT',
  undelete: 'DB',
  'swift stat': 'CONTAINER [OBJECT]',
  'swift get': 'CONTAINER OBJECT [FILE]',
  'swift put': 'CONTAINER OBJECT FILE',
  'swift rm': 'CONTAINER [OBJECT]',
};

/** @param message in the words of yargs */
export function usageError(message: string, args: readonly string[]): FilestoreError {
  return new FilestoreError('invalid-argument', textOf(message, args));
}

function textOf(message: string, args: readonly string[]): string {
  const first = args.find((arg) => COMMANDS.includes(arg));
  if (args[0]?.startsWith('-') === true && first !== undefined)
    return `the command comes first: odoo-swiftfs ${first} …, and ${args[0]} behind it`;
  const command = commandOf(args);
  const help = `see odoo-swiftfs ${command === '' ? '' : `${command} `}--help`;
  const wanted = ARGUMENTS[command];
  if (message.startsWith('Not enough non-option arguments') && wanted !== undefined)
    return `missing argument; give: odoo-swiftfs ${command} ${wanted}`;
  const without = /^Not enough arguments following: (\S+)$/.exec(message)?.[1];
  if (without !== undefined) return `${asTyped(without, args)} needs a value; ${help}`;
  const unknown = /^Unknown arguments?: (\S+?)(?:,|$)/.exec(message)?.[1];
  if (unknown === undefined) return `${message}; ${help}`;
  const typed = asTyped(unknown, args);
  if (typed.startsWith('-')) return unknownFlag(typed, help);
  const group = unknown === args[1] ? SUBCOMMANDS[args[0] ?? ''] : undefined;
  if (group !== undefined) return `${args[0] ?? ''} has no command ${unknown}; there are: ${group.join(', ')}`;
  if (command !== '') return `unknown argument ${unknown}; ${help}`;
  // As near to `mount` is `umount`, which means its contrary.
  const near = didYouMean(unknown, ['unmount', ...COMMANDS]);
  return `unknown command ${unknown}${near === '' ? `; ${help}` : near}`;
}

function unknownFlag(typed: string, help: string): string {
  const names = OPTION_ENTRIES.filter(([, spec]) => spec.secret !== true).map(([, spec]) => flagOf(spec.name));
  const flags = [...names, ...OF_COMMANDS, 'config', 'since', 'name'].map((name) => `--${name}`);
  if (flags.includes(typed)) return `this command does not take ${typed}; ${help}`;
  const near = didYouMean(typed, flags);
  return `unknown flag ${typed}${near === '' ? `; ${help}` : near}`;
}

/** E.g. `mount`, `swift ls`; as far as its words are right. */
function commandOf([first = '', second = '']: readonly string[]): string {
  if (!COMMANDS.includes(first)) return '';
  return SUBCOMMANDS[first]?.includes(second) === true ? `${first} ${second}` : first;
}

/** yargs names a flag without its dashes. */
function asTyped(word: string, args: readonly string[]): string {
  if (args.some((arg) => arg === `--${word}` || arg.startsWith(`--${word}=`))) return `--${word}`;
  return word.length === 1 && args.some((arg) => /^-[^-]/.test(arg) && arg.includes(word)) ? `-${word}` : word;
}
