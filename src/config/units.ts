/** How durations, sizes and modes are written in options. A bare number is refused where a unit is needed: nobody guesses seconds from ms. */

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

function parseWithUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = '', unit = ''] = match;
  if (unit === '') return Number(digits) === 0 ? 0 : undefined;
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (factor === undefined) return undefined;
  const value = Number(digits) * factor;
  return Number.isSafeInteger(Math.round(value)) ? Math.round(value) : undefined;
}

/** @returns milliseconds of `400ms`, `10s`, `5m`, `2h`, `14d` or `0`; undefined when it is none of these */
export function parseDurationMs(text: string): number | undefined {
  return parseWithUnit(text, DURATION_MS);
}

/** @returns bytes of `64MiB`, `10GB`, `512KiB`, `100B` or `0`; undefined when it is none of these */
export function parseSizeBytes(text: string): number | undefined {
  return parseWithUnit(text, SIZE_BYTES);
}

/** @returns permission bits of an octal text: `022`, `0644`, `0o755`; undefined when it is not octal or above 0777 */
export function parseMode(text: string): number | undefined {
  const match = /^(?:0o?)?([0-7]{1,3})$/.exec(text.trim());
  return match === null ? undefined : Number.parseInt(match[1] ?? '', 8);
}

/** For people: one decimal of the largest binary unit that is not above the value, e.g. `1.5 GiB`. */
export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const factor = SIZE_BYTES[unit] ?? 1;
    if (bytes >= factor) return `${(bytes / factor).toFixed(1).replace(/\.0$/, '')} ${unit}`;
  }
  return `${bytes} B`;
}
