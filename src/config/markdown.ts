/** docs/CONFIGURATION.md from the option table. `scripts/generate-docs.mjs` writes it; a test holds it against the table. */
import { CLOUD_OPTION_NAMES } from './clouds-source.js';
import { LOGIN_EXAMPLES, type LoginExample } from './login-examples.js';
import { flagOf, OPTION_GROUPS, variableOf, type OptionSpec } from './option.js';
import { OPTION_ENTRIES } from './options.js';

const HEAD = `# Configuration

<!-- Generated from src/config/options.ts by scripts/generate-docs.mjs; change the table, not this file. -->

- [Where options are set](#where-options-are-set), and which place wins
- [The file](#the-file)
- [Ways to log in](#ways-to-log-in), with an example of each
- [Options](#options): ${OPTION_GROUPS.map((group) => `[${group}](#${group.toLowerCase().replaceAll(' ', '-')})`).join(', ')}

Most installations set the login, \`uid\` and \`gid\`, \`cache_size\`, perhaps \`delete_retention\`, and with several machines \`nodes\`.

## Where options are set

The first of these that sets an option wins:

1. a flag: \`--cache-size 20GiB\` (secrets have none, since \`ps\` shows command lines to everybody)
2. the config file: \`--config FILE\`, or the variable \`ODOO_SWIFTFS_CONFIG\`
3. the environment: \`ODOO_SWIFTFS_CACHE_SIZE\`; then, for the login and the connection, the \`OS_*\` of the OpenStack tools and \`https_proxy\` and the like
4. \`ST_AUTH\`, \`ST_USER\`, \`ST_KEY\` of the \`swift\` command, if nothing above gives another login
5. \`clouds.yaml\`, when \`os_cloud\` or \`OS_CLOUD\` names a cloud
6. the default

The id and the name of the same thing count as one option here: \`project_id\` and \`project_name\`, and likewise for the user, the domains and the application
credential. The source that sets either wins, and what later sources say of the other is not used.

\`odoo-swiftfs config show\` prints the result, and where each value was set; secrets are masked.
An unknown option, a value without its unit or a missing credential is refused with the name of the option, where it was set and what to do.

## The file

One YAML mapping of options. Values are taken as they are written: \`umask: 022\` is octal, and a password \`0123\` keeps its zero.
A password with other signs than letters and digits belongs in single quotes: \`'a #b'\`, since \` #\` begins a comment. A quote in it is written twice.

\`\`\`yaml
auth_url: https://keystone.example.org/v3
username: odoo
password: secret
user_domain_name: Default
project_name: shop
project_domain_name: Default
region: RegionOne
database: prod
cache_size: 50GiB
\`\`\`

A file that holds a secret must be readable by its owner only (\`chmod 600\`), or it is refused.

| value | is written |
|---|---|
| duration | with \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`: \`400ms\`, \`14d\` |
| size | with \`B\`, \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\` (powers of 1,024) or \`kB\`, \`MB\`, \`GB\`, \`TB\` (powers of 1,000) |
| mode | in octal: \`022\` |

## Ways to log in

| way | options |
|---|---|
| v3 password | \`auth_url\`, \`username\` and \`user_domain_name\` (or \`user_id\`), \`password\`, \`project_name\` and \`project_domain_name\` (or \`project_id\`) |
| v3 application credential | \`auth_url\`, \`application_credential_id\`, \`application_credential_secret\`; or \`application_credential_name\` and the user |
| v3 token | \`auth_url\`, \`token\`, and the project |
| v2.0 | \`auth_url\` ending in \`/v2.0\`, \`username\`, \`password\`, \`project_name\` (\`OS_TENANT_NAME\`) |
| v1 | \`auth_url\` ending in \`/auth/v1.0\`, \`username\` as \`ACCOUNT:USER\`, \`password\`; or \`ST_AUTH\`, \`ST_USER\`, \`ST_KEY\` |
| no login | \`storage_url\`, \`token\` |

The ways are not mixed: the first source that gives a secret decides the way, and secrets of other ways in later sources are ignored.
\`odoo-swiftfs login --check\` tries the login and says what it reaches.

\`clouds.yaml\` is looked for in the working directory, \`~/.config/openstack\` and \`/etc/openstack\`, or is named by \`OS_CLIENT_CONFIG_FILE\`.
\`secure.yaml\` from the same places (or named by \`OS_CLIENT_SECURE_FILE\`) overrides it, and it overrides a \`profile\` of \`clouds-public.yaml\`. It can set: ${CLOUD_OPTION_NAMES.map((name) => `\`${name}\``).join(', ')}, \`auth_version\`, \`interface\`, \`insecure\`.

Each of these examples is read and carried out by a test. Versions, certificates, proxies, tokens, and what to do about error messages are in
[LOGIN.md](LOGIN.md).

${LOGIN_EXAMPLES.map(example).join('\n\n')}

## Options
`;

function example({ title, way, remark, yaml }: LoginExample): string {
  return `### ${title}\n\n${remark}\n\n\`\`\`yaml\n# way: ${way}\n${yaml}\n\`\`\``;
}

/** The whole document, ending in a newline. */
export function configurationMarkdown(): string {
  const sections = OPTION_GROUPS.map((group) => {
    const specs = OPTION_ENTRIES.map(([, spec]) => spec).filter((spec) => spec.group === group);
    return `### ${group[0]?.toUpperCase() ?? ''}${group.slice(1)}\n\n${specs.map(describe).join('\n\n')}\n`;
  });
  return `${HEAD}\n${sections.join('\n')}`;
}

function describe(spec: OptionSpec): string {
  const fallback = spec.fallbackText ?? (typeof spec.fallback === 'string' ? `\`${spec.fallback}\`` : undefined);
  const variables = [variableOf(spec.name), ...(spec.openstackVariables ?? [])].map((name) => `\`${name}\``);
  const facts = [
    spec.secret === true ? 'a secret: no flag' : `flag \`--${flagOf(spec.name)}\``,
    `${variables.length === 1 ? 'variable' : 'variables'} ${variables.join(', ')}`,
    fallback === undefined ? 'unset by default' : `default: ${fallback}`,
  ];
  return `**\`${spec.name}\`** \`${spec.takes}\`: ${spec.help}\n(${facts.join('; ')})`;
}
