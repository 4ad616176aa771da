/** `config show`: every option that has a value, as text, with where it was set. Secrets are never shown. */
import { MASK, withoutPassword } from '../base/shown-url.js';
import { OPTIONS, type OptionKey } from './options.js';
import type { OptionSpec } from './option.js';
import type { Resolved } from './resolve.js';

interface ShownOption {
  readonly name: string;
  readonly value: string;
  readonly setBy: string;
}

export function shownOptions(resolved: Resolved): readonly ShownOption[] {
  return [...resolved.texts].map(([key, set]) => ({ name: specOf(key).name, value: shownText(key, set.text), setBy: set.where }));
}

function shownText(key: OptionKey, text: string): string {
  if (specOf(key).secret === true) return MASK;
  return withoutPassword(text);
}

function specOf(key: OptionKey): OptionSpec {
  return OPTIONS[key];
}
