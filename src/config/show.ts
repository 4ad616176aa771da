/** `config show`: every option that has a value, as text, with where it was set. Secrets are never shown. */
import { OPTIONS, type OptionKey } from './options.js';
import type { OptionSpec } from './option.js';
import type { Resolved } from './resolve.js';

export interface ShownOption {
  readonly name: string;
  readonly value: string;
  readonly setBy: string;
}

export const MASK = '********';

export function shownOptions(resolved: Resolved): readonly ShownOption[] {
  return [...resolved.texts].map(([key, set]) => ({ name: specOf(key).name, value: shownText(key, set.text), setBy: set.where }));
}

function shownText(key: OptionKey, text: string): string {
  if (specOf(key).secret === true) return MASK;
  return URL.canParse(text) ? withoutPassword(text) : text;
}

/** A URL may carry a password of its own (`https://user:pw@proxy`). */
function withoutPassword(text: string): string {
  const url = new URL(text);
  if (url.password === '') return text;
  url.password = MASK;
  return url.href;
}

function specOf(key: OptionKey): OptionSpec {
  return OPTIONS[key];
}
