/**
 * Which version of login a URL means: what the settings say, else the URL's end, else what the service's root lists (Keystone answers
 * GET on its root with 300 and the versions). The links in that list often hold a name only the cloud's inside knows, so the path is
 * put after the URL we were given.
 */
import { FilestoreError } from '../../base/errors.js';
import { withoutPassword } from '../../base/shown-url.js';
import type { SwiftSettings } from '../swift-settings.js';
import { askLogin, field, listField, parseJson, refusalOf, textField, type LoginContext } from './login-request.js';

interface LoginService {
  readonly version: '1' | '2' | '3';
  /** Of v1 the whole URL; of v2 and v3 up to and with `/v2.0`, `/v3`. */
  readonly base: string;
}

const V2_OR_V3 = /\/v(2\.0|3)$/;
/** Ceph's gateway has it at /auth, and below that at anything; its documents say /auth/1.0. */
const V1 = /\/(auth(\/1\.0)?|v1(\.0)?)$/;

/** @throws FilestoreError bad-config when no version can be found; LoginUnavailable */
export async function findLoginService(context: LoginContext, settings: SwiftSettings): Promise<LoginService> {
  if (settings.authUrl === undefined) {
    throw new FilestoreError('bad-config', 'no place to log in: set auth_url (OS_AUTH_URL or ST_AUTH), or token and storage_url');
  }
  const told = toldService(settings);
  if (told !== undefined) return told;
  const url = cleanUrl(settings.authUrl);
  const listed = await listedVersions(context, url);
  const wantsV3 = settings.applicationCredentialId !== undefined || settings.applicationCredentialName !== undefined;
  if (listed.includes('3') || (listed.length === 0 && (wantsV3 || hasDomain(settings)))) return serviceOf('3', url);
  if (listed.includes('2')) return serviceOf('2', url);
  const remedy = 'end auth_url in /v3, /v2.0 or /auth/v1.0, or set auth_version (OS_IDENTITY_API_VERSION)';
  throw new FilestoreError('bad-config', `${url} does not say which login versions it has; ${remedy}`);
}

/** @returns undefined where neither the settings nor the URL say it, so that the service has to be asked: it is not v1 then */
export function toldService({ authUrl, authVersion }: SwiftSettings): LoginService | undefined {
  if (authUrl === undefined) return undefined;
  const url = cleanUrl(authUrl);
  if (authVersion !== undefined) return serviceOf(authVersion, url);
  const ending = V2_OR_V3.exec(url)?.[1];
  if (ending !== undefined) return serviceOf(ending === '3' ? '3' : '2', url);
  return V1.test(url) ? serviceOf('1', url) : undefined;
}

/** Its user and password are sent to nobody, and every message names this URL. */
function cleanUrl(authUrl: string): string {
  return withoutPassword(authUrl)
    .replace(/\/+$/, '')
    .replace(/(\/v3)?\/auth\/tokens$/, '$1');
}

function serviceOf(version: '1' | '2' | '3', url: string): LoginService {
  if (version === '1') return { version, base: url };
  return { version, base: `${url.replace(V2_OR_V3, '')}/${version === '3' ? 'v3' : 'v2.0'}` };
}

function hasDomain(s: SwiftSettings): boolean {
  return [s.userDomainId, s.userDomainName, s.projectDomainId, s.projectDomainName].some((value) => value !== undefined);
}

/** @returns '2' and '3' as far as the root lists them; none when it lists nothing */
async function listedVersions(context: LoginContext, url: string): Promise<readonly string[]> {
  const answer = await askLogin(context, 'GET', `${url}/`, {});
  // 300 is Keystone's own, and names its versions.
  if (answer.status > 300 && answer.status < 400) throw refusalOf(answer, url, 'check auth_url', 'Keystone');
  const body = parseJson(answer.text);
  const versions = field(body, 'versions');
  const values = Array.isArray(versions) ? (versions as readonly unknown[]) : listField(versions, 'values');
  return values.flatMap((v) => /^v([23])\b/.exec(textField(v, 'id') ?? '')?.[1] ?? []);
}
