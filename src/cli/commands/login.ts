/** `login --check`: whether the credentials are good, and what they reach. Writes nothing. */
import { checkLogin } from '../../config/check-login.js';
import { thisHost } from '../../config/host.js';
import { resolveSettings } from '../../config/resolve.js';
import { columns, print } from '../output.js';
import { resolveInputOf, type ParsedFlags } from '../flags.js';
import { withStore } from '../with-store.js';

export async function loginCommand(parsed: ParsedFlags): Promise<void> {
  const { settings } = resolveSettings(resolveInputOf(parsed), thisHost());
  checkLogin(settings);
  await withStore(settings, async (store) => {
    await store.probe();
    const names = await firstNames(store.listContainers(`${settings.containerPrefix}-`));
    const rows = [
      ['login', 'good'],
      ['storage', settings.storageUrl ?? `from the catalog of ${settings.authUrl ?? ''}${settings.region === undefined ? '' : `, region ${settings.region}`}`],
      [`containers ${settings.containerPrefix}-*`, names.length === 0 ? 'none yet' : names.join(', ')],
    ];
    print(columns(rows));
  });
}

const SHOWN = 20;

async function firstNames(pages: AsyncIterable<readonly string[]>): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const page of pages) {
    names.push(...page);
    if (names.length > SHOWN) return [...names.slice(0, SHOWN), '…'];
  }
  return names;
}
