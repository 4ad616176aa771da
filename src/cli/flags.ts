/** Flags from the option table, and back: what the command line had, as texts by option name. */
import type { Argv, Options } from 'yargs';
import { FilestoreError } from '../base/errors.js';
import { flagOf, variableOf, type OptionGroup, type OptionSpec } from '../config/option.js';
import { OPTION_ENTRIES } from '../config/options.js';
import type { ResolveInput } from '../config/resolve.js';
import { wrapWords } from './output.js';

const SWIFT_GROUPS: readonly OptionGroup[] = ['login', 'connection to Swift'];

/** What a command that only talks to Swift has use for. */
export function isOfSwift({ group, name }: OptionSpec): boolean {
  return SWIFT_GROUPS.includes(group) || name === 'log_level';
}

/** Room for the text of a flag beside its name and type; yargs by itself breaks lines within words. */
const HELP_TEXT_COLUMNS = 64;

export type ParsedFlags = Readonly<Record<string, unknown>>;

/** @param isWanted default: all */
export function withOptionFlags(yargs: Argv, isWanted: (spec: OptionSpec) => boolean = () => true): Argv {
  let result = yargs.option('config', { type: 'string', describe: 'YAML file with options (also ODOO_SWIFTFS_CONFIG)', requiresArg: true });
  for (const [, spec] of OPTION_ENTRIES) {
    if (spec.secret === true || !isWanted(spec)) continue;
    result = result.option(flagOf(spec.name), flagDefinition(spec));
  }
  return result;
}

function flagDefinition(spec: OptionSpec): Options {
  const fallback = spec.fallbackText ?? (typeof spec.fallback === 'string' && spec.fallback !== '' ? spec.fallback : undefined);
  const facts = [...(spec.boolean === true ? [] : [spec.takes]), ...(fallback === undefined ? [] : [`default ${fallback}`])];
  return {
    group: `${spec.group}:`,
    describe: wrapWords(facts.length === 0 ? spec.help : `${spec.help} [${facts.join('; ')}]`, HELP_TEXT_COLUMNS),
    ...(spec.boolean === true ? { type: 'boolean' } : { type: 'string', requiresArg: true }),
  };
}

export function resolveInputOf(parsed: ParsedFlags): ResolveInput {
  const flags: Record<string, string> = {};
  for (const [, spec] of OPTION_ENTRIES) {
    const value = parsed[flagOf(spec.name)];
    if (Array.isArray(value)) throw new FilestoreError('bad-config', `--${flagOf(spec.name)} is given more than once; give it once`);
    if (typeof value === 'string' || typeof value === 'boolean') flags[spec.name] = String(value);
  }
  const configFile = parsed['config'];
  if (Array.isArray(configFile)) throw new FilestoreError('bad-config', '--config is given more than once; give one file');
  return { flags, ...(typeof configFile === 'string' ? { configFile } : {}) };
}

/** `ps` shows command lines to everybody, so a secret there is refused before anything is done with it. */
export function refuseSecretFlags(args: readonly string[]): void {
  for (const [, spec] of OPTION_ENTRIES) {
    if (spec.secret !== true) continue;
    const flag = `--${flagOf(spec.name)}`;
    if (!args.some((arg) => arg === flag || arg.startsWith(`${flag}=`))) continue;
    const variables = [...(spec.openstackVariables ?? []), variableOf(spec.name)];
    throw new FilestoreError(
      'bad-config',
      `${flag}: secrets are not taken from the command line, where everybody sees them; set ${variables[0] ?? ''} or put ${spec.name} into the config file`,
    );
  }
}
