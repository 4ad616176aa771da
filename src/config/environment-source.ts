/**
 * Options from the environment, a source each: `ODOO_SWIFTFS_<NAME>` for every option, then the variables of the OpenStack tools (python-openstackclient's
 * `OS_*`), and apart from them the v1 variables of python-swiftclient (`ST_AUTH`, `ST_USER`, `ST_KEY`).
 * A variable that is set but empty counts as unset, as those tools have it.
 */
import { FilestoreError } from '../base/errors.js';
import { didYouMean } from './did-you-mean.js';
import type { Host } from './host.js';
import { variableOf } from './option.js';
import { OPTION_ENTRIES, type OptionKey } from './options.js';
import type { SetText, SourceTexts } from './source.js';

/** Names the config file; not an option, since it says where options are. */
export const CONFIG_FILE_VARIABLE = 'ODOO_SWIFTFS_CONFIG';

const DEFAULT_DOMAIN_VARIABLE = 'OS_DEFAULT_DOMAIN';
const DOMAINS = [
  ['userDomainId', 'userDomainName'],
  ['projectDomainId', 'projectDomainName'],
] as const satisfies readonly (readonly OptionKey[])[];

export function ownVariableSource(host: Host): SourceTexts {
  refuseUnknownVariables(host);
  const texts = new Map<OptionKey, SetText>();
  for (const [key, spec] of OPTION_ENTRIES) {
    const set = firstSet(host, [variableOf(spec.name)]);
    if (set !== undefined) texts.set(key, set);
  }
  return texts;
}

export function openstackVariableSource(host: Host): SourceTexts {
  const texts = new Map<OptionKey, SetText>();
  for (const [key, spec] of OPTION_ENTRIES) {
    const set = firstSet(host, spec.openstackVariables ?? []);
    if (set !== undefined) texts.set(key, set);
  }
  // As the openstack command has it: an id, which stands in where no domain is named.
  for (const [id, name] of DOMAINS) if (texts.has(name) && texts.get(id)?.where === DEFAULT_DOMAIN_VARIABLE) texts.delete(id);
  addTranslated(texts, host, 'authVersion', ['OS_IDENTITY_API_VERSION', 'OS_AUTH_VERSION'], versionOf);
  addTranslated(texts, host, 'interface', ['OS_INTERFACE', 'OS_ENDPOINT_TYPE'], interfaceOf);
  return texts;
}

export function swiftVariableSource(host: Host): SourceTexts {
  const texts = new Map<OptionKey, SetText>();
  const rows: readonly (readonly [OptionKey, string])[] = [
    ['authUrl', 'ST_AUTH'],
    ['username', 'ST_USER'],
    ['password', 'ST_KEY'],
  ];
  for (const [key, variable] of rows) {
    const set = firstSet(host, [variable]);
    if (set !== undefined) texts.set(key, set);
  }
  addTranslated(texts, host, 'authVersion', ['ST_AUTH_VERSION'], versionOf);
  return texts;
}

/** `publicURL`, as old tools write it, is `public`. */
export function interfaceOf(text: string): string {
  return text.replace(/url$/i, '').toLowerCase();
}

/** `2.0`, `v3`, `3.8` become `2`, `3`, `3`. */
export function versionOf(text: string): string {
  return /^v?([123])(?:\.\d+)?$/i.exec(text)?.[1] ?? text;
}

function firstSet(host: Host, variables: readonly string[]): SetText | undefined {
  for (const variable of variables) {
    const text = host.environment[variable];
    if (text !== undefined && text !== '') return { text, where: variable };
  }
  return undefined;
}

function addTranslated(
  texts: Map<OptionKey, SetText>,
  host: Host,
  key: OptionKey,
  variables: readonly string[],
  translate: (text: string) => string,
): void {
  if (texts.has(key)) return;
  const set = firstSet(host, variables);
  if (set !== undefined) texts.set(key, { text: translate(set.text), where: set.where });
}

function refuseUnknownVariables(host: Host): void {
  const known = new Set([CONFIG_FILE_VARIABLE, ...OPTION_ENTRIES.map(([, spec]) => variableOf(spec.name))]);
  for (const variable of Object.keys(host.environment)) {
    if (!variable.startsWith('ODOO_SWIFTFS_') || known.has(variable)) continue;
    throw new FilestoreError('bad-config', `${variable}: no option has this variable${didYouMean(variable, known)}`);
  }
}
