/** Login v1, as tempauth, swauth and Ceph's gateway have it: two headers out, URL and token back (docs.openstack.org/swift, "Auth v1"). */
import { FilestoreError } from '../../base/errors.js';
import { header } from '../requests/wire.js';
import type { SwiftSettings } from '../swift-settings.js';
import { askLogin, refusalOf, type LoginContext } from './login-request.js';
import type { Session } from './session.js';

/** @throws FilestoreError bad-credentials, bad-config, unavailable */
export async function loginV1(context: LoginContext, settings: SwiftSettings, authUrl: string): Promise<Session> {
  const { username, password, projectName } = settings;
  if (username === undefined || password === undefined) {
    throw new FilestoreError('bad-config', 'login v1 needs a user and a key: set username and password (ST_USER, ST_KEY)');
  }
  const user = username.includes(':') || projectName === undefined ? username : `${projectName}:${username}`;
  const answer = await askLogin(context, 'GET', authUrl, { 'x-auth-user': user, 'x-auth-key': password });
  if (answer.status < 200 || answer.status > 299) {
    throw refusalOf(answer, authUrl, 'user or key is wrong (username, password; ST_USER is often account:user)', 'v1');
  }
  const storageUrl = settings.storageUrl ?? header(answer.headers, 'x-storage-url');
  const token = header(answer.headers, 'x-auth-token') ?? header(answer.headers, 'x-storage-token');
  if (storageUrl === undefined || token === undefined) {
    throw new FilestoreError(
      'bad-config',
      `${authUrl} answered without X-Storage-Url and X-Auth-Token: it is no v1 login; check auth_url and auth_version`,
    );
  }
  const nowMs = context.clock.nowMs();
  const seconds = Number(header(answer.headers, 'x-auth-token-expires') ?? NaN);
  const expiresAtMs = Number.isFinite(seconds) ? nowMs + seconds * 1000 : undefined;
  const url = storageUrl.replace(/\/+$/, '');
  return {
    storageUrl: url,
    token,
    issuedMs: nowMs,
    expiresAtMs,
    owner: user.split(':')[0],
    report: { way: 'v1', authUrl, storageUrl: url, expiresAtMs, user, project: undefined, roles: [], regions: [] },
  };
}
