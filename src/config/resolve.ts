/**
 * From the sources to settings: flags, then the config file, then ODOO_SWIFTFS_* and OS_*, then ST_*, then clouds.yaml, then defaults.
 * Options are taken one by one, but the ways to log in are not mixed: the first source that brings a secret decides which way it is, and
 * the secrets of other ways in later sources are left out (a stray OS_PASSWORD does not spoil an application credential in the file). Nor is
 * an id of a later source mixed with the name an earlier one gives for the same thing (twins.ts).
 */
import type { z } from 'zod';
import { FilestoreError } from '../base/errors.js';
import { withoutPassword } from '../base/shown-url.js';
import { cloudsSource } from './clouds-source.js';
import { CONFIG_FILE_VARIABLE, openstackVariableSource, ownVariableSource, swiftVariableSource } from './environment-source.js';
import { fileSource } from './file-source.js';
import type { Host } from './host.js';
import { flagOf, type OptionSpec } from './option.js';
import { OPTION_ENTRIES, type OptionKey, type Settings } from './options.js';
import type { SetText, SourceTexts } from './source.js';
import { dropLowerTwins } from './twins.js';

export interface Resolved {
  readonly settings: Settings;
  /** Where each option that has a value was set; `default` for defaults. */
  readonly texts: ReadonlyMap<OptionKey, SetText>;
}

export interface ResolveInput {
  /** Texts of flags by option name (`cache_dir`), as the command line had them. */
  readonly flags: Readonly<Record<string, string>>;
  readonly configFile?: string;
}

/** @throws FilestoreError bad-config: names the key, where it was set, and the remedy */
export function resolveSettings(input: ResolveInput, host: Host): Resolved {
  const configFile = input.configFile ?? (host.environment[CONFIG_FILE_VARIABLE] || undefined);
  const sources: SourceTexts[] = [
    flagSource(input.flags),
    configFile === undefined ? new Map() : fileSource(configFile),
    ownVariableSource(host),
    openstackVariableSource(host),
  ];
  // ST_* belong together and speak of another login than OS_*: they count only where no other login is told of.
  if (!hasSecret(sources) && !namesService(sources.slice(2))) sources.push(swiftVariableSource(host));
  const cloud = sources.map((source) => source.get('osCloud')).find((set) => set !== undefined);
  if (cloud !== undefined) sources.push(cloudsSource(cloud, host));
  return settle(dropLowerTwins(oneWayToLogIn(sources)), host);
}

function flagSource(flags: Readonly<Record<string, string>>): SourceTexts {
  const texts = new Map<OptionKey, SetText>();
  for (const [key, spec] of OPTION_ENTRIES) {
    const text = flags[spec.name];
    if (text !== undefined) texts.set(key, { text, where: `--${flagOf(spec.name)}` });
  }
  return texts;
}

const WAYS: readonly (readonly OptionKey[])[] = [
  ['applicationCredentialSecret', 'applicationCredentialId', 'applicationCredentialName'],
  ['token'],
  ['password'],
];

function hasSecret(sources: readonly SourceTexts[]): boolean {
  return sources.some((source) => WAYS.some((way) => way.some((key) => source.has(key))));
}

function namesService(variables: readonly SourceTexts[]): boolean {
  return variables.some((source) => source.has('authUrl') || source.has('storageUrl'));
}

function oneWayToLogIn(sources: readonly SourceTexts[]): readonly SourceTexts[] {
  const deciding = sources.findIndex((source) => WAYS.some((way) => way.some((key) => source.has(key))));
  if (deciding < 0) return sources;
  const decided = WAYS.filter((way) => way.some((key) => sources[deciding]?.has(key)));
  const dropped = new Set(WAYS.filter((way) => !decided.includes(way)).flat());
  return sources.map((source) => new Map([...source].filter(([key]) => !dropped.has(key))));
}

function settle(sources: readonly SourceTexts[], host: Host): Resolved {
  const values: Record<string, unknown> = {};
  const texts = new Map<OptionKey, SetText>();
  for (const [key, spec] of OPTION_ENTRIES) {
    const set = sources.map((source) => source.get(key)).find((found) => found !== undefined) ?? defaultOf(spec, host);
    if (set === undefined) continue;
    values[key] = readText(spec, set);
    texts.set(key, set);
  }
  // Built row by row from the table that the type is made of: every row with a default has a value.
  const settings = values as unknown as Settings;
  assertCloseInTime(settings, texts);
  return { settings, texts };
}

/** What a close() needs beside its wait for Swift: the seal, and a slow disk. */
const SEAL_TIME_MS = 5_000;

/** A close() that the deadline cuts off is EIO and stores nothing, where the spool would have had the file; Odoo up to 18 does not notice. */
function assertCloseInTime({ requestDeadlineMs, writeTimeoutMs }: Settings, texts: ReadonlyMap<OptionKey, SetText>): void {
  if (requestDeadlineMs >= writeTimeoutMs + SEAL_TIME_MS) return;
  const said = (key: OptionKey): string => `"${texts.get(key)?.text ?? ''}" (set by ${texts.get(key)?.where ?? 'default'})`;
  throw new FilestoreError(
    'bad-config',
    `request_deadline must be at least ${SEAL_TIME_MS / 1000}s longer than write_timeout, which is ${said('writeTimeoutMs')}, not ${said('requestDeadlineMs')}: a write would fail instead of going to the spool`,
  );
}

function defaultOf(spec: OptionSpec, host: Host): SetText | undefined {
  if (spec.fallback === undefined) return undefined;
  return { text: typeof spec.fallback === 'string' ? spec.fallback : spec.fallback(host), where: 'default' };
}

function readText(spec: OptionSpec, set: SetText): unknown {
  const result: z.ZodSafeParseResult<unknown> = spec.schema.safeParse(set.text);
  if (result.success) return result.data;
  const shown = spec.secret === true ? '(secret)' : withoutPassword(JSON.stringify(set.text));
  throw new FilestoreError(
    'bad-config',
    `${spec.name} ${result.error.issues[0]?.message ?? 'is wrong'}, not ${shown} (set by ${set.where})`,
  );
}
