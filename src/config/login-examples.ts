/**
 * One example of a config file for each way to log in. They stand in docs/CONFIGURATION.md, and a test reads each as a config file and
 * logs in by it (test/unit/swift/login-examples.test.ts).
 */
export interface LoginExample {
  readonly title: string;
  /** As `login --check` names it. */
  readonly way: string;
  readonly remark: string;
  readonly yaml: string;
}

const KEYSTONE = 'https://keystone.example.org';

export const LOGIN_EXAMPLES: readonly LoginExample[] = [
  {
    title: 'Keystone v3, password',
    way: 'v3 password',
    remark:
      'Variables: `OS_AUTH_URL`, `OS_USERNAME`, `OS_PASSWORD`, `OS_USER_DOMAIN_NAME`, `OS_PROJECT_NAME`, `OS_PROJECT_DOMAIN_NAME`, `OS_REGION_NAME`.',
    yaml: `auth_url: ${KEYSTONE}/v3
username: odoo
password: secret
user_domain_name: Default
project_name: odoo
project_domain_name: Default
region: RegionOne`,
  },
  {
    title: 'Keystone v3, password, with ids',
    way: 'v3 password',
    remark: 'Ids need no domain. `interface` chooses among the catalog’s URLs: `public` (default), `internal` or `admin`.',
    yaml: `auth_url: ${KEYSTONE}/v3
user_id: 5b1c0f7e2d6a4c33
password: secret
project_id: 9d2e8a41c7f04b55
region: RegionOne
interface: public`,
  },
  {
    title: 'Keystone v3, application credential',
    way: 'v3 application credential',
    remark:
      'The best choice. It is bound to one project, so it takes none; it can be limited to a role, and revoked without touching the user. Made by `openstack application credential create`.',
    yaml: `auth_url: ${KEYSTONE}/v3
application_credential_id: 21dced0fd20347869b93710d2b98aae0
application_credential_secret: secret
region: RegionOne`,
  },
  {
    title: 'Keystone v3, application credential by name',
    way: 'v3 application credential',
    remark: 'A name is unique only among those of its user, who has to be named too.',
    yaml: `auth_url: ${KEYSTONE}/v3
application_credential_name: filestore
application_credential_secret: secret
username: odoo
user_domain_name: Default
region: RegionOne`,
  },
  {
    title: 'Keystone v3, token',
    way: 'v3 token',
    remark: 'It is exchanged for a token of the project, which cannot be renewed beyond the life of the first. For trying things out.',
    yaml: `auth_url: ${KEYSTONE}/v3
token: gAAAAABl
project_name: odoo
region: RegionOne`,
  },
  {
    title: 'Token and storage URL',
    way: 'ready token',
    remark: 'No login service is asked, and nothing can be renewed. `OS_AUTH_TOKEN` or `OS_TOKEN`, and `OS_STORAGE_URL`.',
    yaml: `token: gAAAAABl
storage_url: https://swift.example.org/v1/AUTH_9d2e8a41c7f04b55`,
  },
  {
    title: 'Version 1 (tempauth, swauth, Ceph’s gateway)',
    way: 'v1',
    remark: 'Variables: `ST_AUTH`, `ST_USER`, `ST_KEY`.',
    yaml: `auth_url: https://swift.example.org/auth/v1.0
username: test:tester
password: testing`,
  },
  {
    title: 'Keystone v2.0',
    way: 'v2 password',
    remark: 'For old clouds only: Keystone dropped it in 2018. The project is the tenant (`OS_TENANT_NAME`).',
    yaml: `auth_url: ${KEYSTONE}/v2.0
username: odoo
password: secret
project_name: odoo
region: RegionOne`,
  },
];
