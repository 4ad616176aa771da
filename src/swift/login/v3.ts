/** Login v3: password, application credential or token, scoped to a project (docs.openstack.org/api-ref/identity/v3). */
import { FilestoreError } from '../../base/errors.js';
import { header } from '../requests/wire.js';
import type { SwiftSettings } from '../swift-settings.js';
import { chooseEndpoint, endpointsOfV3, regionsOf } from './catalog.js';
import { askLogin, field, listField, parseJson, refusalOf, textField, type LoginContext } from './login-request.js';
import type { LoginReport, Session } from './session.js';
import { endByOurClock, timeOf } from './token-life.js';

/** The domain every Keystone has, where none is named. */
const DEFAULT_DOMAIN = { id: 'default' } as const;

type V3Way = Extract<LoginReport['way'], `v3 ${string}`>;

interface V3Request {
  readonly way: V3Way;
  readonly identity: Readonly<Record<string, unknown>>;
  readonly scope: Readonly<Record<string, unknown>> | undefined;
  readonly hint: string;
}

/** @param base URL up to and with /v3. @throws FilestoreError bad-credentials, bad-config, unavailable */
export async function loginV3(context: LoginContext, settings: SwiftSettings, base: string): Promise<Session> {
  const url = `${base}/auth/tokens`;
  const { way, identity, scope, hint } = requestOf(settings);
  const answer = await askLogin(context, 'POST', url, {}, { auth: { identity, ...(scope === undefined ? {} : { scope }) } });
  if (answer.status !== 201 && answer.status !== 200) throw refusalOf(answer, url, hint, 'Keystone');
  const body = field(parseJson(answer.text), 'token');
  const token = header(answer.headers, 'x-subject-token');
  if (token === undefined || body === undefined) {
    throw new FilestoreError('bad-config', `${url} answered without a token: it is no v3 login; check auth_url`);
  }
  const endpoints = endpointsOfV3(body);
  if (settings.storageUrl === undefined && endpoints.length === 0 && field(body, 'project') === undefined) {
    const remedy = 'set project_name or project_id (OS_PROJECT_NAME, OS_PROJECT_ID)';
    throw new FilestoreError('bad-config', `the token is not scoped to a project, so it has no catalog: ${remedy}`);
  }
  const storageUrl = (settings.storageUrl ?? chooseEndpoint(endpoints, settings, context.lastUrl)).replace(/\/+$/, '');
  const times = { expires: textField(body, 'expires_at'), issued: textField(body, 'issued_at') };
  const nowMs = context.clock.nowMs();
  return {
    storageUrl,
    token,
    issuedMs: nowMs,
    expiresAtMs: endByOurClock(times, answer.headers, nowMs),
    owner: textField(field(body, 'project'), 'id'),
    report: {
      way,
      authUrl: base,
      storageUrl,
      expiresAtMs: timeOf(times.expires),
      user: textField(field(body, 'user'), 'name'),
      project: textField(field(body, 'project'), 'name'),
      roles: listField(body, 'roles').flatMap((role) => textField(role, 'name') ?? []),
      regions: regionsOf(endpoints),
    },
  };
}

function requestOf(settings: SwiftSettings): V3Request {
  if (settings.applicationCredentialId !== undefined || settings.applicationCredentialName !== undefined) return byCredential(settings);
  if (settings.token !== undefined) {
    const hint = 'the token has expired or is not known there (token, OS_TOKEN)';
    return { way: 'v3 token', identity: { methods: ['token'], token: { id: settings.token } }, scope: scopeOf(settings), hint };
  }
  const user = userOf(settings);
  if (user === undefined || settings.password === undefined) {
    const ways = 'username and password, or an application credential (OS_USERNAME, OS_PASSWORD, OS_APPLICATION_CREDENTIAL_ID)';
    throw new FilestoreError('bad-config', `login v3 needs ${ways}`);
  }
  return {
    way: 'v3 password',
    identity: { methods: ['password'], password: { user: { ...user, password: settings.password } } },
    scope: scopeOf(settings),
    hint: 'user, password, user domain, project or project domain is wrong (username, password, user_domain_name, project_name, project_domain_name)',
  };
}

/** An application credential carries its project: Keystone answers 401 to one with a scope. */
function byCredential(settings: SwiftSettings): V3Request {
  const { applicationCredentialId: id, applicationCredentialName: name, applicationCredentialSecret: secret } = settings;
  if (secret === undefined) {
    const remedy = 'set application_credential_secret (OS_APPLICATION_CREDENTIAL_SECRET)';
    throw new FilestoreError('bad-config', `the application credential has no secret: ${remedy}`);
  }
  const user = id === undefined ? userOf(settings) : undefined;
  if (id === undefined && user === undefined) {
    throw new FilestoreError(
      'bad-config',
      'an application credential by name needs its user: set username and user_domain_name, or use its id',
    );
  }
  const credential = id === undefined ? { name, secret, user } : { id, secret };
  return {
    way: 'v3 application credential',
    identity: { methods: ['application_credential'], application_credential: credential },
    scope: undefined,
    hint: 'the application credential or its secret is wrong, expired or revoked',
  };
}

function userOf(settings: SwiftSettings): Readonly<Record<string, unknown>> | undefined {
  if (settings.userId !== undefined) return { id: settings.userId };
  if (settings.username === undefined) return undefined;
  return { name: settings.username, domain: domainOf(settings.userDomainId, settings.userDomainName) ?? DEFAULT_DOMAIN };
}

function scopeOf(settings: SwiftSettings): Readonly<Record<string, unknown>> | undefined {
  if (settings.projectId !== undefined) return { project: { id: settings.projectId } };
  if (settings.projectName === undefined) return undefined;
  const domain =
    domainOf(settings.projectDomainId, settings.projectDomainName) ??
    domainOf(settings.userDomainId, settings.userDomainName) ??
    DEFAULT_DOMAIN;
  return { project: { name: settings.projectName, domain } };
}

function domainOf(id: string | undefined, name: string | undefined): Readonly<Record<string, string>> | undefined {
  if (id !== undefined) return { id };
  return name === undefined ? undefined : { name };
}
