/** Whether the settings can log in at all: what is lacking is said before anything is asked of a server. */
import { FilestoreError } from '../base/errors.js';
import { OPTIONS, type OptionKey, type Settings } from './options.js';
import type { OptionSpec } from './option.js';

const SOURCES =
  'Set it in the config file, by the variables of the OpenStack tools (OS_*), by ST_AUTH, ST_USER and ST_KEY (which count only while OS_AUTH_URL, OS_PASSWORD and the like are unset), or name a cloud of clouds.yaml (os_cloud)';

/** @throws FilestoreError bad-config naming the option that lacks and where to set it */
export function checkLogin(settings: Settings): void {
  if (settings.token !== undefined && settings.storageUrl !== undefined) return;
  if (settings.authUrl === undefined) throw missing('authUrl', 'there is no URL to log in at');
  if (settings.token !== undefined) return;
  if (settings.applicationCredentialId !== undefined || settings.applicationCredentialName !== undefined) {
    if (settings.applicationCredentialSecret === undefined)
      throw missing('applicationCredentialSecret', 'the application credential has no secret');
    if (settings.applicationCredentialId === undefined && settings.username === undefined && settings.userId === undefined) {
      throw missing('username', 'an application credential given by name needs its user');
    }
    return;
  }
  if (settings.applicationCredentialSecret !== undefined)
    throw missing('applicationCredentialId', 'the secret is of no application credential');
  if (settings.username === undefined && settings.userId === undefined) throw missing('username', 'there is no user to log in as');
  if (settings.password === undefined) throw missing('password', 'there is no password');
}

function missing(key: OptionKey, why: string): FilestoreError {
  const spec: OptionSpec = OPTIONS[key];
  const variable = spec.openstackVariables?.[0];
  const names = variable === undefined ? spec.name : `${spec.name} (${variable})`;
  return new FilestoreError('bad-config', `missing ${names}: ${why}. ${SOURCES}.`);
}
