/**
 * Login v2.0. Keystone removed it in 2018 (Queens); clouds older than that have it, and the settings of the 2016 Odoo module were
 * written for it. No server of today can be asked, so the tests hold it against a stub of our own.
 */
import { FilestoreError } from '../../base/errors.js';
import type { SwiftSettings } from '../swift-settings.js';
import { chooseEndpoint, endpointsOfV2, regionsOf } from './catalog.js';
import { askLogin, field, listField, parseJson, refusalOf, textField, type LoginContext } from './login-request.js';
import type { Session } from './session.js';
import { endByOurClock, timeOf } from './token-life.js';

/** @param base URL up to and with /v2.0. @throws FilestoreError bad-credentials, bad-config, unavailable */
export async function loginV2(context: LoginContext, settings: SwiftSettings, base: string): Promise<Session> {
  const url = `${base}/tokens`;
  const answer = await askLogin(context, 'POST', url, {}, { auth: requestOf(settings) });
  if (answer.status !== 200 && answer.status !== 203) {
    throw refusalOf(answer, url, 'user, password or project is wrong (username, password, project_name)', 'Keystone');
  }
  const access = field(parseJson(answer.text), 'access');
  const token = field(access, 'token');
  const id = textField(token, 'id');
  if (id === undefined) throw new FilestoreError('bad-config', `${url} answered without a token: it is no v2.0 login; check auth_url`);
  const endpoints = endpointsOfV2(access);
  if (settings.storageUrl === undefined && endpoints.length === 0 && field(token, 'tenant') === undefined) {
    throw new FilestoreError(
      'bad-config',
      'the token is not scoped to a project, so it has no catalog: set project_name (OS_PROJECT_NAME)',
    );
  }
  const storageUrl = (settings.storageUrl ?? chooseEndpoint(endpoints, settings, context.lastUrl)).replace(/\/+$/, '');
  const times = { expires: textField(token, 'expires'), issued: textField(token, 'issued_at') };
  const nowMs = context.clock.nowMs();
  const user = field(access, 'user');
  return {
    storageUrl,
    token: id,
    issuedMs: nowMs,
    expiresAtMs: endByOurClock(times, answer.headers, nowMs),
    owner: textField(field(token, 'tenant'), 'id'),
    report: {
      way: settings.token === undefined ? 'v2 password' : 'v2 token',
      authUrl: base,
      storageUrl,
      expiresAtMs: timeOf(times.expires),
      user: textField(user, 'username') ?? textField(user, 'name'),
      project: textField(field(token, 'tenant'), 'name'),
      roles: listField(user, 'roles').flatMap((role) => textField(role, 'name') ?? []),
      regions: regionsOf(endpoints),
    },
  };
}

function requestOf(settings: SwiftSettings): Record<string, unknown> {
  const { username, password, token, projectName, projectId } = settings;
  const scope = projectId !== undefined ? { tenantId: projectId } : projectName !== undefined ? { tenantName: projectName } : {};
  if (token !== undefined) return { token: { id: token }, ...scope };
  if (username === undefined || password === undefined) {
    throw new FilestoreError('bad-config', 'login v2.0 needs a user and a password: set username and password (OS_USERNAME, OS_PASSWORD)');
  }
  return { passwordCredentials: { username, password }, ...scope };
}
