/**
 * Options from clouds.yaml, as openstacksdk reads it (openstack/config/loader.py): the first clouds.yaml found in the working directory,
 * ~/.config/openstack and /etc/openstack (or OS_CLIENT_CONFIG_FILE), secure.yaml from the same places laid over it, `profile` from
 * clouds-public.yaml laid under it. Only a cloud that was named is read.
 */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { FilestoreError, messageOf } from '../base/errors.js';
import { didYouMean } from './did-you-mean.js';
import { interfaceOf, versionOf } from './environment-source.js';
import type { Host } from './host.js';
import { OPTIONS, type OptionKey } from './options.js';
import type { SetText, SourceTexts } from './source.js';
import { parseYamlText, valuesOf } from './yaml-text.js';

type Tree = Readonly<Record<string, unknown>>;
const TREE = z.record(z.string(), z.unknown());

/** Keys of a cloud's `auth` section and the option of each; the later of two names of one option gives way. */
const AUTH_KEYS: readonly (readonly [string, OptionKey])[] = [
  ['auth_url', 'authUrl'],
  ['username', 'username'],
  ['user_id', 'userId'],
  ['password', 'password'],
  ['user_domain_name', 'userDomainName'],
  ['user_domain_id', 'userDomainId'],
  ['project_name', 'projectName'],
  ['tenant_name', 'projectName'],
  ['project_id', 'projectId'],
  ['tenant_id', 'projectId'],
  ['project_domain_name', 'projectDomainName'],
  ['project_domain_id', 'projectDomainId'],
  ['application_credential_id', 'applicationCredentialId'],
  ['application_credential_name', 'applicationCredentialName'],
  ['application_credential_secret', 'applicationCredentialSecret'],
  ['token', 'token'],
];

/** What stands in where a domain has neither id nor name of its own, in this order; `default_domain` is an id, as in OS_DEFAULT_DOMAIN. */
const DOMAIN_STAND_INS: readonly (readonly [string, 'Id' | 'Name'])[] = [
  ['domain_id', 'Id'],
  ['domain_name', 'Name'],
  ['default_domain', 'Id'],
];

const CLOUD_KEYS: readonly (readonly [string, OptionKey])[] = [
  ['region_name', 'region'],
  ['cacert', 'caFile'],
  ['cert', 'clientCertificateFile'],
  ['key', 'clientKeyFile'],
  ['object_store_endpoint_override', 'storageUrl'],
];

/**
 * @param cloud what `os_cloud` or OS_CLOUD says, and where
 * @throws FilestoreError bad-config when no clouds.yaml has it
 */
export function cloudsSource(cloud: SetText, host: Host): SourceTexts {
  const file = findFile(host, 'clouds', 'OS_CLIENT_CONFIG_FILE');
  if (file === undefined) {
    throw new FilestoreError('bad-config', `${cloud.where}: cloud "${cloud.text}": no clouds.yaml in ${searchPath(host).join(', ')}`);
  }
  const clouds = branch(readTree(file), 'clouds');
  const own = branch(clouds, cloud.text);
  if (own === undefined) {
    const names = Object.keys(clouds ?? {});
    const hint = didYouMean(cloud.text, names);
    throw new FilestoreError(
      'bad-config',
      `${cloud.where}: ${file} has no cloud "${cloud.text}"${hint === '' ? `; it has: ${names.join(', ') || 'none'}` : hint}`,
    );
  }
  const secureFile = findFile(host, 'secure', 'OS_CLIENT_SECURE_FILE');
  const secure = secureFile === undefined ? undefined : branch(branch(readTree(secureFile), 'clouds'), cloud.text);
  const merged = overlay(overlay(profileOf(own, file, host), own), secure);
  return textsOf(merged, `cloud "${cloud.text}" in ${file}`);
}

function textsOf(cloud: Tree, where: string): SourceTexts {
  const texts = new Map<OptionKey, SetText>();
  const add = (key: OptionKey, value: unknown): void => {
    if (typeof value === 'string' && value !== '' && !texts.has(key)) texts.set(key, { text: value, where });
  };
  const auth = branch(cloud, 'auth');
  for (const [name, key] of AUTH_KEYS) add(key, auth?.[name]);
  for (const domain of ['userDomain', 'projectDomain'] as const) {
    for (const [name, sort] of DOMAIN_STAND_INS) {
      if (!texts.has(`${domain}Id`) && !texts.has(`${domain}Name`)) add(`${domain}${sort}`, auth?.[name] ?? cloud[name]);
    }
  }
  for (const [name, key] of CLOUD_KEYS) add(key, cloud[name]);
  const version = cloud['identity_api_version'] ?? cloud['auth_version'];
  if (typeof version === 'string') add('authVersion', versionOf(version));
  const authType = cloud['auth_type'];
  if (authType === 'v1password') add('authVersion', '1');
  const side = cloud['interface'] ?? cloud['endpoint_type'];
  if (typeof side === 'string') add('interface', interfaceOf(side));
  const verify = cloud['verify'];
  if (typeof verify === 'string' && /^(false|no|off)$/i.test(verify)) add('insecure', 'true');
  return texts;
}

function profileOf(cloud: Tree, file: string, host: Host): Tree {
  const name = cloud['profile'] ?? cloud['cloud'];
  if (typeof name !== 'string') return {};
  if (/^https?:/.test(name)) {
    throw new FilestoreError('bad-config', `${file}: profile ${name} is a URL, which is not fetched; write its auth_url into the cloud`);
  }
  const profiles = findFile(host, 'clouds-public', undefined);
  const found = profiles === undefined ? undefined : branch(branch(readTree(profiles), 'public-clouds'), name);
  if (found === undefined) {
    throw new FilestoreError('bad-config', `${file}: profile ${name} stands in no clouds-public.yaml of ${searchPath(host).join(', ')}`);
  }
  return found;
}

function overlay(under: Tree, over: Tree | undefined): Tree {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over ?? {})) {
    const lower = TREE.safeParse(merged[key]);
    const upper = TREE.safeParse(value);
    merged[key] = lower.success && upper.success ? overlay(lower.data, upper.data) : value;
  }
  return merged;
}

function branch(tree: Tree | undefined, key: string): Tree | undefined {
  const parsed = TREE.safeParse(tree !== undefined && Object.hasOwn(tree, key) ? tree[key] : undefined);
  return parsed.success ? parsed.data : undefined;
}

function readTree(file: string): Tree {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    throw new FilestoreError('bad-config', `${file}: ${messageOf(error)}`, { cause: error });
  }
  const value = valuesOf(parseYamlText(content, file), file);
  const parsed = TREE.safeParse(value ?? {});
  if (!parsed.success) throw new FilestoreError('bad-config', `${file}: must be a YAML mapping`);
  return parsed.data;
}

function searchPath(host: Host): readonly string[] {
  const base = host.environment['XDG_CONFIG_HOME'];
  const configHome = base !== undefined && base.startsWith('/') ? base : `${host.home}/.config`;
  return [host.workingDirectory, `${configHome}/openstack`, '/etc/openstack'];
}

function findFile(host: Host, stem: string, variable: string | undefined): string | undefined {
  const named = variable === undefined ? undefined : host.environment[variable];
  if (named !== undefined && named !== '') return named;
  const candidates = searchPath(host).flatMap((directory) =>
    ['yaml', 'yml', 'json'].map((extension) => `${directory}/${stem}.${extension}`),
  );
  return candidates.find((file) => existsSync(file));
}

/** The options a cloud can fill, for the docs. */
export const CLOUD_OPTION_NAMES: readonly string[] = [...new Set([...AUTH_KEYS, ...CLOUD_KEYS].map(([, key]) => OPTIONS[key].name))];
