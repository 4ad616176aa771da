/**
 * The ways in which the mount of a long run is served, as words put together by `+`: `many+back+small`. What is not said is the default.
 *
 *   one many               `nodes`                    through back strict    `write_mode`
 *   small                  a cache of 2 MiB           device pure native     `driver`, else the kernel's by the addon
 *   calm                   Swift is well all the time
 */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  one: [],
  many: ['--nodes', 'many', '--gc-grace', '2s'],
  through: [],
  back: ['--write-mode', 'back'],
  strict: ['--write-mode', 'strict'],
  small: ['--cache-size', '2MiB'],
  device: ['--driver', 'kernel-device'],
  pure: ['--driver', 'kernel-pure'],
  native: ['--driver', 'fuse-native'],
  calm: [],
};

/** Each write mode with one node and with many, with an ordinary and with a small cache, then the other drivers, and Swift well. */
const ALL: readonly string[] = [
  ...['one', 'many'].flatMap((nodes) => ['through', 'back', 'strict'].flatMap((mode) => [`${nodes}+${mode}`, `${nodes}+${mode}+small`])),
  'one+through+device',
  'many+back+pure',
  'one+through+calm',
  'many+through+calm',
];

export interface Way {
  readonly name: string;
  readonly flags: readonly string[];
  /** Swift is never troubled. */
  readonly isCalm: boolean;
  /** A daemon that is stopped while files are open ends by a signal. */
  readonly endsBySignal: boolean;
  /** A close() may fail. */
  readonly isStrict: boolean;
  /** What was closed is not in Swift yet. */
  readonly isBehind: boolean;
  /** With several nodes. */
  readonly isShared: boolean;
}

function wayOf(name: string): Way {
  const words = name.split('+');
  const flags = words.flatMap((word) => {
    const those = FLAGS[word];
    if (those === undefined) throw new Error(`"${word}" is no part of a way; those are ${Object.keys(FLAGS).join(', ')}`);
    return those;
  });
  const has = (word: string): boolean => words.includes(word);
  return {
    name,
    flags,
    isCalm: has('calm'),
    endsBySignal: has('pure'),
    isStrict: has('strict'),
    isBehind: has('back'),
    isShared: has('many'),
  };
}

/** @param names none: all. @throws Error for a word that is none */
export function waysOf(names: readonly string[], all = ALL): Way[] {
  return (names.length > 0 ? names : all).map(wayOf);
}
