/** `config show`: what the other commands would be told, and by whom. */
import { thisHost } from '../../config/host.js';
import { resolveSettings } from '../../config/resolve.js';
import { shownOptions } from '../../config/show.js';
import { resolveInputOf, type ParsedFlags } from '../flags.js';
import { columns, print } from '../output.js';

export function configShowCommand(parsed: ParsedFlags): void {
  const shown = shownOptions(resolveSettings(resolveInputOf(parsed), thisHost()));
  if (parsed['json'] === true) {
    print(JSON.stringify(Object.fromEntries(shown.map(({ name, value, setBy }) => [name, { value, setBy }])), undefined, 2));
    return;
  }
  print(columns([['OPTION', 'VALUE', 'SET BY'], ...shown.map(({ name, value, setBy }) => [name, value, setBy])]));
}
