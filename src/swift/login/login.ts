/** One login by whichever way the settings describe. */
import { FilestoreError, unreachable } from '../../base/errors.js';
import { withoutPassword } from '../../base/shown-url.js';
import type { SwiftSettings } from '../swift-settings.js';
import { findLoginService } from './discovery.js';
import { parseUrl, type LoginContext } from './login-request.js';
import type { Session } from './session.js';
import { loginV1 } from './v1.js';
import { loginV2 } from './v2.js';
import { loginV3 } from './v3.js';

/** @throws FilestoreError bad-credentials, bad-config; LoginUnavailable */
export async function login(context: LoginContext, settings: SwiftSettings): Promise<Session> {
  if (settings.storageUrl !== undefined) checkAccount(settings.storageUrl);
  const session = (await readyToken(context, settings)) ?? (await loginByVersion(context, settings));
  parseUrl(session.storageUrl);
  return session;
}

/** Below such a URL Swift answers 404 to everything. Ceph's gateway may have its account at the bare …/swift/v1. */
function checkAccount(storageUrl: string): void {
  const path = parseUrl(storageUrl).pathname.replace(/\/+$/, '');
  if (path !== '' && !/^\/v1(\.0)?$/.test(path)) return;
  throw new FilestoreError(
    'bad-config',
    `storage_url ${withoutPassword(storageUrl)} names no account: it must end in /v1/AUTH_… (the account)`,
  );
}

async function loginByVersion(context: LoginContext, settings: SwiftSettings): Promise<Session> {
  const { version, base } = await findLoginService(context, settings);
  switch (version) {
    case '1':
      return loginV1(context, settings, base);
    case '2':
      return loginV2(context, settings, base);
    case '3':
      return loginV3(context, settings, base);
    default:
      return unreachable(version);
  }
}

function readyToken(context: LoginContext, settings: SwiftSettings): Promise<Session | undefined> {
  const { token, storageUrl } = settings;
  if (token === undefined) return Promise.resolve(undefined);
  if (storageUrl === undefined) {
    if (settings.authUrl !== undefined) return Promise.resolve(undefined);
    throw new FilestoreError(
      'bad-config',
      'a token alone does not say where the account is: set storage_url (OS_STORAGE_URL), or auth_url',
    );
  }
  const url = storageUrl.replace(/\/+$/, '');
  const report = {
    way: 'ready token',
    authUrl: undefined,
    storageUrl: url,
    expiresAtMs: undefined,
    user: undefined,
    project: undefined,
    roles: [],
    regions: [],
  } as const;
  return Promise.resolve({ storageUrl: url, token, issuedMs: context.clock.nowMs(), expiresAtMs: undefined, owner: undefined, report });
}
