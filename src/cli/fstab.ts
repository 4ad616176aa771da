/**
 * mount(8) and fstab: `mount -t fuse.odoo-swiftfs SOURCE POINT -o …` runs mount.fuse3, which calls us as
 * `odoo-swiftfs SOURCE POINT -o OPTIONS` and waits until we return. POINT is `/dev/fd/N` when it opened the device for us
 * (drop_privileges). Source: util/mount.fuse.c of libfuse 3.14.
 */
import { FilestoreError } from '../base/errors.js';
import { didYouMean } from '../config/did-you-mean.js';
import { flagOf } from '../config/option.js';
import { OPTION_ENTRIES, optionNamed } from '../config/options.js';

/** Words of mount(8) that are its own or the kernel's; `_netdev`, `x-…` and `comment=` too. */
const NOT_OURS = new Set(
  'rw dev nodev suid nosuid exec noexec atime noatime diratime nodiratime relatime norelatime strictatime lazytime async dirsync auto noauto user nouser users owner group defaults nofail _netdev'.split(
    ' ',
  ),
);

/** @returns the same as our own command line; undefined when it is not mount.fuse3 that calls */
export function fstabArguments(args: readonly string[]): readonly string[] | undefined {
  // Somebody who types `mount POINT -o …` has no daemon in mind.
  if (args.length !== 4 || args[2] !== '-o' || args[0] === 'mount') return undefined;
  const [, mountPoint = '', , words = ''] = args;
  return ['mount', mountPoint, '--daemon', ...splitWords(words).flatMap(flagsOfWord)];
}

/** Commas part the words; `\,` is a comma in one (a path may have it). */
function splitWords(words: string): readonly string[] {
  return words
    .split(/(?<!\\),/)
    .map((word) => word.replaceAll('\\,', ','))
    .filter((word) => word !== '');
}

function flagsOfWord(word: string): readonly string[] {
  const [name = '', value] = [word.split('=', 1)[0] ?? '', word.includes('=') ? word.slice(word.indexOf('=') + 1) : undefined];
  if (NOT_OURS.has(name) || name.startsWith('x-') || name.startsWith('X-') || name === 'comment') return [];
  if (name === 'ro') throw new FilestoreError('bad-config', 'option ro: the mount is always writable; leave it out');
  if (name === 'config' && value !== undefined) return [`--config=${value}`];
  const spec = optionNamed(name);
  if (spec === undefined)
    throw new FilestoreError(
      'bad-config',
      `mount option ${name} is unknown${didYouMean(
        name,
        OPTION_ENTRIES.map(([, each]) => each.name),
      )}`,
    );
  if (spec.secret === true)
    throw new FilestoreError(
      'bad-config',
      `mount option ${name}: everybody sees secrets there; put it into a config file and name that by config=FILE`,
    );
  if (value === undefined && spec.boolean !== true)
    throw new FilestoreError('bad-config', `mount option ${name} needs a value: ${name}=${spec.takes}`);
  return [`--${flagOf(name)}=${value ?? 'true'}`];
}
