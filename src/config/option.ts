/** What an option is. The table itself stands in `options.ts`. */
import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import type { Host } from './host.js';
import { parseDurationMs, parseMode, parseSizeBytes } from './units.js';

/** A schema that reads the text of a flag, a variable or a line of the file. */
type TextSchema<T> = z.ZodType<T, string>;

export const OPTION_GROUPS = ['what is mounted', 'local disk', 'writes and reads', 'mount', 'log', 'login', 'connection to Swift'] as const;
export type OptionGroup = (typeof OPTION_GROUPS)[number];

export interface OptionSpec {
  /** As written in the file; the flag has dashes instead, the variable is `ODOO_SWIFTFS_` + upper case. */
  readonly name: string;
  readonly group: OptionGroup;
  readonly schema: TextSchema<unknown>;
  /** Shown in help: what sort of value. */
  readonly takes: string;
  readonly help: string;
  /** Default, in the words a user would write; absent: the option is unset unless somebody sets it. */
  readonly fallback?: string | ((host: Host) => string);
  /** How the default is described where it depends on the host. */
  readonly fallbackText?: string;
  /** Further variables of the OpenStack tools, in order, after `ODOO_SWIFTFS_…`. */
  readonly openstackVariables?: readonly string[];
  /** Never a flag (`ps` shows those), never printed; makes a config file that others can read refused. */
  readonly secret?: true;
  /** `--flag` alone means true. */
  readonly boolean?: true;
}

function textSchema<T>(parse: (text: string) => T | undefined, expected: string): TextSchema<T> {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `must be ${expected}` });
    return z.NEVER;
  });
}

export const duration = textSchema(parseDurationMs, 'a duration with its unit, such as 400ms, 10s, 5m, 2h or 14d');
export const size = textSchema(parseSizeBytes, 'a size with its unit, such as 64MiB, 10GB or 512KiB');

/** @param least as a user would write it */
export function durationFrom(least: string): TextSchema<number> {
  return textSchema(atLeast(parseDurationMs, least), `a duration of at least ${least}, with its unit, such as 400ms or 10s`);
}

/** @param least as a user would write it */
export function sizeFrom(least: string): TextSchema<number> {
  return textSchema(atLeast(parseSizeBytes, least), `a size of at least ${least}, with its unit, such as 64MiB`);
}

function atLeast(parse: (text: string) => number | undefined, least: string): (text: string) => number | undefined {
  const smallest = parse(least) ?? 0;
  return (text) => {
    const value = parse(text);
    return value !== undefined && value >= smallest ? value : undefined;
  };
}

/** What the owner may not do, Odoo may not: each of its writes would be refused, which versions up to 18 do not notice. */
export const umask = textSchema((value) => {
  const mask = parseMode(value);
  return mask !== undefined && (mask & 0o700) === 0 ? mask : undefined;
}, 'an octal mask that leaves the owner every right, such as 022 or 077');
export const text = textSchema((value) => (value === '' ? undefined : value), 'a text that is not empty');
export const anyText = textSchema((value) => value, 'a text');
export const flag = textSchema(
  (value) => ({ true: true, yes: true, '1': true, false: false, no: false, '0': false })[value.toLowerCase()],
  'true or false',
);
export const path = textSchema((value) => {
  if (value === '' || value.includes('\0')) return undefined;
  return isAbsolute(value) ? value : resolve(value);
}, 'a path');
export const url = textSchema((value) => {
  const parsed = URL.canParse(value) ? new URL(value) : undefined;
  return parsed !== undefined && /^https?:$/.test(parsed.protocol) ? value : undefined;
}, 'a URL that starts with http:// or https://');

/** @param remark further words of the message */
export function wholeNumber(least: number, most: number, remark = ''): TextSchema<number> {
  return textSchema((value) => {
    const number = /^\d{1,15}$/.test(value.trim()) ? Number(value) : undefined;
    return number !== undefined && number >= least && number <= most ? number : undefined;
  }, `a whole number from ${least} to ${most}${remark}`);
}

export function oneOf<const T extends string>(...words: readonly T[]): TextSchema<T> {
  return textSchema((value) => words.find((word) => word === value), `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`);
}

type Row = Omit<OptionSpec, 'schema'>;

/** Keeps the literal type of a row, so that the table yields the type of the settings. */
export function option<T, S extends Row>(schema: TextSchema<T>, row: S): S & { readonly schema: TextSchema<T> } {
  return { ...row, schema };
}

export function flagOf(name: string): string {
  return name.replaceAll('_', '-');
}

export function variableOf(name: string): string {
  return `ODOO_SWIFTFS_${name.toUpperCase()}`;
}
