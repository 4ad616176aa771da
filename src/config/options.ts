/**
 * The one table of options, with the rows of `swift-options.ts`. Flags, variables, the file, their checks, `--help`, `config show` and
 * docs/CONFIGURATION.md all come from it.
 * The key of a row is the name of the value in code (with its unit); `name` is what users write.
 */
import { dataDirectory, isRoot } from './host.js';
import { anyText, duration, flag, oneOf, option, path, size, sizeFrom, text, umask, wholeNumber, type OptionSpec } from './option.js';
import { SWIFT_OPTIONS } from './swift-options.js';

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
    help: 'Start although a container that was served from here is missing, or the login is for another account. What was known to be in it is forgotten, and writes that wait go to the container of that name that is there now, or is made. For one start only, once you know why.',
  }),

  cacheDirectory: option(path, {
    name: 'cache_dir',
    group: 'local disk',
    takes: 'DIRECTORY',
    fallback: (host) => dataDirectory(host, 'cache'),
    fallbackText: '/var/cache/odoo-swiftfs for root, else ~/.cache/odoo-swiftfs',
    help: 'Where verified copies of files are kept. It may be emptied at any time, so it must not be spool_dir, nor hold it.',
  }),
  cacheBudgetBytes: option(size, {
    name: 'cache_size',
    group: 'local disk',
    takes: 'SIZE',
    fallback: '10GiB',
    help: 'The most disk space that the cache uses.',
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
    help: 'Where writes wait until Swift has them. It must survive a reboot, and belongs to one mount only.',
  }),
  spoolFloorBytes: option(size, {
    name: 'spool_floor',
    group: 'local disk',
    takes: 'SIZE',
    fallback: '256MiB',
    help: 'Free space the spool leaves on its disk; past it, a write that Swift does not take at once gets ENOSPC.',
  }),
  maxPendingBytes: option(sizeFrom('1MiB'), {
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
    help: 'When close() answers. through: when Swift has the file, or after write_timeout when the spool has it; back: when the spool has it; strict: only when Swift has it, else EIO (which Odoo up to 18 does not notice: the document is lost).',
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
    help: 'How patient a lookup is with Swift; other work in the same directory waits behind it. Swift counts as away when it has sent nothing for twice as long; a single slow answer is waited for ten times as long.',
  }),
  readTimeoutMs: option(duration, {
    name: 'read_timeout',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '30s',
    help: 'How long a read waits without a byte from Swift before it fails with EIO.',
  }),
  negativeTtlMs: option(duration, {
    name: 'negative_ttl',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '1s',
    help: 'How long it is believed when Swift says that a name is not there.',
  }),
  deleteBoundMs: option(duration, {
    name: 'delete_bound',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '10s',
    help: 'With nodes: many, how long it may take until a delete on another machine is noticed here, and until its new files are in listings.',
  }),
  gcGraceMs: option(duration, {
    name: 'gc_grace',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '30m',
    help: "With nodes: many, how long the delete of a file that Odoo's newest garbage collector renamed to .__gc waits; then it is checked again and done. Less than Odoo's own half hour is not safe beside other machines.",
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
    help: 'Files larger than this are served while they download, before their hash is known.',
  }),
  drainTimeoutMs: option(duration, {
    name: 'drain_timeout',
    group: 'writes and reads',
    takes: 'DURATION',
    fallback: '20s',
    help: 'How long a stop goes on sending what is pending to Swift; the rest stays in the spool for the next start.',
  }),

  uid: option(wholeNumber(0, MAX_ID, ' (id -u odoo prints it)'), {
    name: 'uid',
    group: 'mount',
    takes: 'NUMBER',
    help: 'Owner of all files on the mount. Unset: the owner of the mount point, so that a directory made for Odoo stays Odoo’s.',
  }),
  gid: option(wholeNumber(0, MAX_ID, ' (id -g odoo prints it)'), {
    name: 'gid',
    group: 'mount',
    takes: 'NUMBER',
    help: 'Group of all files on the mount. Unset: the group of the mount point.',
  }),
  umask: option(umask, {
    name: 'umask',
    group: 'mount',
    takes: 'MODE',
    fallback: '022',
    help: 'Permission bits that files and directories do not have. Those of the owner cannot be taken away.',
  }),
  allowOther: option(flag, {
    name: 'allow_other',
    group: 'mount',
    takes: 'true|false',
    boolean: true,
    fallback: (host) => String(isRoot(host)),
    fallbackText: 'true for root, else false',
    help: 'Let users other than the one who mounted use the mount. An ordinary user needs user_allow_other in /etc/fuse.conf for it.',
  }),
  defaultPermissions: option(flag, {
    name: 'default_permissions',
    group: 'mount',
    takes: 'true|false',
    boolean: true,
    fallback: 'true',
    help: 'Let the kernel check owner and mode.',
  }),
  driver: option(oneOf('kernel', 'kernel-device', 'kernel-pure', 'fuse-native'), {
    name: 'driver',
    group: 'mount',
    takes: 'kernel|kernel-device|kernel-pure|fuse-native',
    fallback: 'kernel',
    help: 'What talks to the kernel. kernel: the native addon, by io_uring where Linux offers it (6.18; from 6.14 with fuse.enable_uring), or plain Node if the addon cannot be loaded; kernel-device: the addon without io_uring; kernel-pure: plain Node; fuse-native: the npm package of that name, which you install.',
  }),
  keepsAwake: option(flag, {
    name: 'keep_awake',
    group: 'mount',
    takes: 'true|false',
    boolean: true,
    fallback: 'true',
    help: 'While many requests come, keep the processors of this machine from sleeping between them (PM QoS, /dev/cpu_dma_latency), if the daemon may. In a virtual machine this halves the time of a small read; it costs power as long as it lasts. Only with io_uring.',
  }),
  requestDeadlineMs: option(duration, {
    name: 'request_deadline',
    group: 'mount',
    takes: 'DURATION',
    fallback: '120s',
    help: 'Every request of a program is answered within this time, if need be with EIO. At least 5s longer than write_timeout.',
  }),

  logLevel: option(oneOf('debug', 'info', 'warn', 'error'), {
    name: 'log_level',
    group: 'log',
    takes: 'debug|info|warn|error',
    fallback: 'info',
    help: 'The lowest level that is logged.',
  }),
  logFile: option(path, {
    name: 'log_file',
    group: 'log',
    takes: 'FILE',
    help: 'Where the log of mount --daemon goes. Unset: daemon.log in spool_dir. In the foreground the log goes to standard error.',
  }),

  ...SWIFT_OPTIONS,
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
