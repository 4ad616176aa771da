/**
 * The one table of options. Flags, variables, the file, their checks, `--help`, `config show` and docs/CONFIGURATION.md all come from it.
 * The key of a row is the name of the value in code (with its unit); `name` is what users write.
 */
import { dataDirectory, isRoot } from './host.js';
import { anyText, duration, flag, mode, oneOf, option, path, size, sizeFrom, text, url, wholeNumber, type OptionSpec } from './option.js';

const MAX_ID = 4_294_967_294;

export const OPTIONS = {
  database: option(text, {
    name: 'database',
    group: 'what is mounted',
    takes: 'NAME',
    help: 'Mount the directory of this one database. Unset: the whole filestore directory, in which each first-level directory is a database.',
  }),
  containerPrefix: option(anyText, {
    name: 'container_prefix',
    group: 'what is mounted',
    takes: 'TEXT',
    fallback: 'odoo',
    help: 'The container of a database is PREFIX-DATABASE in lower case; with an empty prefix, the database alone.',
  }),
  origin: option(path, {
    name: 'origin',
    group: 'what is mounted',
    takes: 'DIRECTORY',
    help: 'The original directory, which is read where Swift lacks a file and is never written. It may be the mount point itself.',
  }),
  nodes: option(oneOf('one', 'many'), {
    name: 'nodes',
    group: 'what is mounted',
    takes: 'one|many',
    fallback: 'one',
    help: 'Whether other machines mount the same containers. A second machine is refused until all say many.',
  }),
  acceptNewContainer: option(flag, {
    name: 'accept_new_container',
    group: 'what is mounted',
    takes: 'true|false',
    boolean: true,
    fallback: 'false',
    help: 'Go on although a container that was served from here is missing, or the account is another one. What was known to be in it is forgotten; writes that wait are stored in the container of that name that is there now, or is made. For one start, after you have looked why.',
  }),

  cacheDirectory: option(path, {
    name: 'cache_dir',
    group: 'local disk',
    takes: 'DIRECTORY',
    fallback: (host) => dataDirectory(host, 'cache'),
    fallbackText: '/var/cache/odoo-swiftfs for root, else ~/.cache/odoo-swiftfs',
    help: 'Where verified copies of what was read are kept. May be lost at any time; so make it another directory than spool_dir.',
  }),
  cacheBudgetBytes: option(size, {
    name: 'cache_size',
    group: 'local disk',
    takes: 'SIZE',
    fallback: '10GiB',
    help: 'The most the cache may use.',
  }),
  cacheFloorBytes: option(size, {
    name: 'cache_floor',
    group: 'local disk',
    takes: 'SIZE',
    fallback: '1GiB',
    help: 'Free space the cache leaves on its disk.',
  }),
  spoolDirectory: option(path, {
    name: 'spool_dir',
    group: 'local disk',
    takes: 'DIRECTORY',
    fallback: (host) => dataDirectory(host, 'spool'),
    fallbackText: '/var/lib/odoo-swiftfs for root, else ~/.local/share/odoo-swiftfs',
    help: 'Where writes wait that Swift does not have yet. Must survive a restart; one mount only.',
  }),
  spoolFloorBytes: option(size, {
    name: 'spool_floor',
    group: 'local disk',
    takes: 'SIZE',
    fallback: '256MiB',
    help: 'Free space the spool leaves on its disk; past it a write gets ENOSPC.',
  }),
  maxPendingBytes: option(size, {
    name: 'max_pending',
    group: 'local disk',
    takes: 'SIZE',
    fallback: '10GiB',
    help: 'Writes slow down when this much waits for Swift, and get ENOSPC at twice as much.',
  }),

  writeMode: option(oneOf('through', 'back', 'strict'), {
    name: 'write_mode',
    group: 'writes and reads',
    takes: 'through|back|strict',
    fallback: 'through',
    help: 'When close() answers. through: when Swift has the file, or after write_timeout when the spool has it; back: when the spool has it; strict: only when Swift has it.',
  }),
  writeTimeoutMs: option(duration, {
    name: 'write_timeout',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '10s',
    help: 'How long close() waits for Swift.',
  }),
  lookupWaitMs: option(duration, {
    name: 'lookup_wait',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '400ms',
    help: 'How long a lookup waits for Swift. Other work in the same directory waits behind it.',
  }),
  readTimeoutMs: option(duration, {
    name: 'read_timeout',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '30s',
    help: 'How long a read waits, while no bytes come from Swift, before EIO.',
  }),
  negativeTtlMs: option(duration, {
    name: 'negative_ttl',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '1s',
    help: 'How long a "no" of Swift is believed.',
  }),
  deleteBoundMs: option(duration, {
    name: 'delete_bound',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '10s',
    help: 'With nodes: many, how late a delete on another machine may be noticed.',
  }),
  gcGraceMs: option(duration, {
    name: 'gc_grace',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '30m',
    help: "With nodes: many, how long the delete of a file that Odoo's newest garbage collector renamed to .__gc waits, and is then checked again. Odoo's own half hour is the least that is safe beside other machines.",
  }),
  deleteRetentionMs: option(duration, {
    name: 'delete_retention',
    group: 'writes and reads',
    takes: 'DURATION',
    help: 'How long deleted files can be brought back by odoo-swiftfs undelete. They are kept in the container CONTAINER_trash, where Swift removes them by itself. Unset: deleted is deleted.',
  }),
  streamAboveBytes: option(size, {
    name: 'stream_above',
    group: 'writes and reads',
    takes: 'SIZE',
    fallback: '32MiB',
    help: 'Files above this are served while they download, before their hash is known.',
  }),
  drainTimeoutMs: option(duration, {
    name: 'drain_timeout',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '20s',
    help: 'How long a stop waits for what is pending; the rest stays in the spool for the next start.',
  }),

  uid: option(wholeNumber(0, MAX_ID), {
    name: 'uid',
    group: 'mount',
    takes: 'NUMBER',
    help: 'Owner of all files on the mount. Unset: the owner of the mount point, so that a directory made for Odoo stays Odoo’s.',
  }),
  gid: option(wholeNumber(0, MAX_ID), {
    name: 'gid',
    group: 'mount',
    takes: 'NUMBER',
    help: 'Group of all files on the mount. Unset: the group of the mount point.',
  }),
  umask: option(mode, {
    name: 'umask',
    group: 'mount',
    takes: 'MODE',
    fallback: '022',
    help: 'Permission bits that files and directories do not have.',
  }),
  allowOther: option(flag, {
    name: 'allow_other',
    group: 'mount',
    takes: 'true|false',
    boolean: true,
    fallback: (host) => String(isRoot(host)),
    fallbackText: 'true for root, else false',
    help: 'Let other users in. An ordinary user needs user_allow_other in /etc/fuse.conf for it.',
  }),
  defaultPermissions: option(flag, {
    name: 'default_permissions',
    group: 'mount',
    takes: 'true|false',
    boolean: true,
    fallback: 'true',
    help: 'Let the kernel check owner and mode.',
  }),
  driver: option(oneOf('kernel', 'kernel-pure', 'fuse-native'), {
    name: 'driver',
    group: 'mount',
    takes: 'kernel|kernel-pure|fuse-native',
    fallback: 'kernel',
    help: 'What speaks to the kernel. kernel: the native addon, or plain Node where it cannot be loaded; kernel-pure: plain Node; fuse-native: the npm package of that name, installed by you.',
  }),
  requestDeadlineMs: option(duration, {
    name: 'request_deadline',
    group: 'mount',
    takes: 'DURATION',
    fallback: '120s',
    help: 'Every request of the kernel is answered within this time, if need be with EIO. At least 5s longer than write_timeout.',
  }),

  logLevel: option(oneOf('debug', 'info', 'warn', 'error'), {
    name: 'log_level',
    group: 'log',
    takes: 'debug|info|warn|error',
    fallback: 'info',
    help: 'The least level that is logged.',
  }),
  logFile: option(path, {
    name: 'log_file',
    group: 'log',
    takes: 'FILE',
    help: 'Where the log of mount --daemon goes. Unset: daemon.log in spool_dir. In the foreground the log goes to standard error.',
  }),

  authUrl: option(url, {
    name: 'auth_url',
    group: 'login',
    takes: 'URL',
    openstackVariables: ['OS_AUTH_URL'],
    help: 'Keystone (its root, …/v3 or …/v2.0), or the v1 service of Swift (…/auth/v1.0).',
  }),
  authVersion: option(oneOf('1', '2', '3'), {
    name: 'auth_version',
    group: 'login',
    takes: '1|2|3',
    help: 'Unset: found from the URL, the credentials, or by asking. OS_IDENTITY_API_VERSION and ST_AUTH_VERSION are understood.',
  }),
  username: option(text, {
    name: 'username',
    group: 'login',
    takes: 'NAME',
    openstackVariables: ['OS_USERNAME'],
    help: 'User name; for v1 ACCOUNT:USER.',
  }),
  userId: option(text, {
    name: 'user_id',
    group: 'login',
    takes: 'ID',
    openstackVariables: ['OS_USER_ID'],
    help: 'Instead of the user name and its domain.',
  }),
  password: option(text, {
    name: 'password',
    group: 'login',
    takes: 'SECRET',
    secret: true,
    openstackVariables: ['OS_PASSWORD'],
    help: 'Password of the user; for v1 its key.',
  }),
  userDomainName: option(text, {
    name: 'user_domain_name',
    group: 'login',
    takes: 'NAME',
    openstackVariables: ['OS_USER_DOMAIN_NAME'],
    help: 'Domain of the user (v3).',
  }),
  userDomainId: option(text, {
    name: 'user_domain_id',
    group: 'login',
    takes: 'ID',
    openstackVariables: ['OS_USER_DOMAIN_ID', 'OS_DEFAULT_DOMAIN'],
    help: 'Domain of the user by id (v3).',
  }),
  projectName: option(text, {
    name: 'project_name',
    group: 'login',
    takes: 'NAME',
    openstackVariables: ['OS_PROJECT_NAME', 'OS_TENANT_NAME'],
    help: 'Project (v2: tenant) whose Swift account is used.',
  }),
  projectId: option(text, {
    name: 'project_id',
    group: 'login',
    takes: 'ID',
    openstackVariables: ['OS_PROJECT_ID', 'OS_TENANT_ID'],
    help: 'Project by id.',
  }),
  projectDomainName: option(text, {
    name: 'project_domain_name',
    group: 'login',
    takes: 'NAME',
    openstackVariables: ['OS_PROJECT_DOMAIN_NAME'],
    help: 'Domain of the project (v3).',
  }),
  projectDomainId: option(text, {
    name: 'project_domain_id',
    group: 'login',
    takes: 'ID',
    openstackVariables: ['OS_PROJECT_DOMAIN_ID', 'OS_DEFAULT_DOMAIN'],
    help: 'Domain of the project by id (v3).',
  }),
  applicationCredentialId: option(text, {
    name: 'application_credential_id',
    group: 'login',
    takes: 'ID',
    openstackVariables: ['OS_APPLICATION_CREDENTIAL_ID'],
    help: 'Application credential by id (v3).',
  }),
  applicationCredentialName: option(text, {
    name: 'application_credential_name',
    group: 'login',
    takes: 'NAME',
    openstackVariables: ['OS_APPLICATION_CREDENTIAL_NAME'],
    help: 'Application credential by name; needs the user too (v3).',
  }),
  applicationCredentialSecret: option(text, {
    name: 'application_credential_secret',
    group: 'login',
    takes: 'SECRET',
    secret: true,
    openstackVariables: ['OS_APPLICATION_CREDENTIAL_SECRET'],
    help: 'Secret of the application credential.',
  }),
  token: option(text, {
    name: 'token',
    group: 'login',
    takes: 'SECRET',
    secret: true,
    openstackVariables: ['OS_AUTH_TOKEN', 'OS_TOKEN'],
    help: 'A token: with storage_url used as it is, else exchanged for one of the project (v3). It is not renewed.',
  }),
  storageUrl: option(url, {
    name: 'storage_url',
    group: 'login',
    takes: 'URL',
    openstackVariables: ['OS_STORAGE_URL'],
    help: 'URL of the Swift account; overrides the one the login finds.',
  }),
  region: option(text, {
    name: 'region',
    group: 'login',
    takes: 'NAME',
    openstackVariables: ['OS_REGION_NAME'],
    help: 'Region of the catalog.',
  }),
  interface: option(oneOf('public', 'internal', 'admin'), {
    name: 'interface',
    group: 'login',
    takes: 'public|internal|admin',
    fallback: 'public',
    help: 'Which endpoint of the catalog. OS_INTERFACE and OS_ENDPOINT_TYPE are understood.',
  }),
  osCloud: option(text, {
    name: 'os_cloud',
    group: 'login',
    takes: 'NAME',
    openstackVariables: ['OS_CLOUD'],
    help: 'Name of a cloud in clouds.yaml, which then fills in what is not set elsewhere.',
  }),

  caFile: option(path, {
    name: 'ca_file',
    group: 'connection to Swift',
    takes: 'FILE',
    openstackVariables: ['OS_CACERT'],
    help: 'Certificate authorities to trust (PEM).',
  }),
  clientCertificateFile: option(path, {
    name: 'client_cert',
    group: 'connection to Swift',
    takes: 'FILE',
    openstackVariables: ['OS_CERT'],
    help: 'Certificate to show (PEM). Its key is in the same file, or in client_key.',
  }),
  clientKeyFile: option(path, {
    name: 'client_key',
    group: 'connection to Swift',
    takes: 'FILE',
    openstackVariables: ['OS_KEY'],
    help: 'Key of client_cert (PEM).',
  }),
  insecure: option(flag, {
    name: 'insecure',
    group: 'connection to Swift',
    takes: 'true|false',
    boolean: true,
    fallback: 'false',
    openstackVariables: ['OS_INSECURE'],
    help: 'Do not check certificates.',
  }),
  connectTimeoutMs: option(duration, {
    name: 'connect_timeout',
    group: 'connection to Swift',
    takes: 'DURATION',
    fallback: '5s',
    help: 'Time to reach a server.',
  }),
  headersTimeoutMs: option(duration, {
    name: 'headers_timeout',
    group: 'connection to Swift',
    takes: 'DURATION',
    fallback: '20s',
    help: "Time until an answer begins. Keep it above Swift's own 10 s.",
  }),
  stallTimeoutMs: option(duration, {
    name: 'stall_timeout',
    group: 'connection to Swift',
    takes: 'DURATION',
    fallback: '20s',
    help: 'Longest silence within a body.',
  }),
  requestTimeoutMs: option(duration, {
    name: 'request_timeout',
    group: 'connection to Swift',
    takes: 'DURATION',
    fallback: '60s',
    help: 'The whole time of one call with all its retries.',
  }),
  connections: option(wholeNumber(1, 1024), {
    name: 'connections',
    group: 'connection to Swift',
    takes: 'NUMBER',
    fallback: '16',
    help: 'Connections to Swift at once.',
  }),
  storagePolicy: option(text, {
    name: 'storage_policy',
    group: 'connection to Swift',
    takes: 'NAME',
    help: "Storage policy of new containers. Unset: the cluster's default.",
  }),
  segmentBytes: option(sizeFrom('1MiB'), {
    name: 'segment_size',
    group: 'connection to Swift',
    takes: 'SIZE',
    fallback: '1GiB',
    help: "Size of the segments of files above the cluster's max_file_size; 1MiB at the least.",
  }),
  httpProxy: option(url, {
    name: 'http_proxy',
    group: 'connection to Swift',
    takes: 'URL',
    secret: true,
    openstackVariables: ['http_proxy', 'HTTP_PROXY'],
    help: 'Proxy for http:// URLs. Its URL may hold a password, so it is kept as a secret is.',
  }),
  httpsProxy: option(url, {
    name: 'https_proxy',
    group: 'connection to Swift',
    takes: 'URL',
    secret: true,
    openstackVariables: ['https_proxy', 'HTTPS_PROXY'],
    help: 'Proxy for https:// URLs.',
  }),
  noProxy: option(text, {
    name: 'no_proxy',
    group: 'connection to Swift',
    takes: 'LIST',
    openstackVariables: ['no_proxy', 'NO_PROXY'],
    help: 'Hosts that are reached without a proxy, by commas. A name stands for what is below it too; a name or an address may have a :PORT; 10.0.0.0/8 or fd00::/8 is a block of addresses, for hosts that are named by their address; * is every host.',
  }),
} as const;

export type OptionKey = keyof typeof OPTIONS;

type ValueOf<K extends OptionKey> = (typeof OPTIONS)[K] extends { readonly schema: { readonly _zod: { readonly output: infer T } } }
  ? T
  : never;
type KeyWithDefault = { [K in OptionKey]: (typeof OPTIONS)[K] extends { readonly fallback: unknown } ? K : never }[OptionKey];

/** Every option's value: durations in ms, sizes in bytes, modes as numbers. Fits `SwiftSettings` and most of `FilestoreSettings` as it is. */
export type Settings = { readonly [K in KeyWithDefault]: ValueOf<K> } & { readonly [K in Exclude<OptionKey, KeyWithDefault>]?: ValueOf<K> };

export const OPTION_ENTRIES: readonly (readonly [OptionKey, OptionSpec])[] = Object.entries(OPTIONS) as [OptionKey, OptionSpec][];

export function optionNamed(name: string): OptionSpec | undefined {
  return OPTION_ENTRIES.find(([, spec]) => spec.name === name)?.[1];
}
