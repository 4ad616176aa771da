/** `--flag=VALUE` of a flag that is true or false. yargs takes each VALUE but `true` for false: `--allow-other=yes` would shut everybody out. */
import { FilestoreError } from '../base/errors.js';
import { flag, flagOf } from '../config/option.js';
import { OPTION_ENTRIES } from '../config/options.js';

/** Those that stand in no config file. */
export const OF_COMMANDS = ['daemon', 'detach', 'json', 'check', 'dry-run', 'long', 'segments'];

/** @returns the command line with `=true` or `=false` for what a config file may say too. @throws FilestoreError bad-config */
export function readBooleanFlags(args: readonly string[]): readonly string[] {
  const names = [...OPTION_ENTRIES.filter(([, spec]) => spec.boolean === true).map(([, spec]) => flagOf(spec.name)), ...OF_COMMANDS];
  const end = args.indexOf('--');
  return args.map((arg, index) => {
    const [, name = '', value = ''] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (!names.includes(name) || (end >= 0 && index > end)) return arg;
    const read = flag.safeParse(value);
    if (!read.success) throw new FilestoreError('bad-config', `--${name} must be true or false, not ${JSON.stringify(value)}`);
    return `--${name}=${String(read.data)}`;
  });
}
