/** `login --check`: whether the credentials are good, and what they reach. Writes nothing. */
import { withoutPassword } from '../../base/shown-url.js';
import { thisHost } from '../../config/host.js';
import { resolveSettings } from '../../config/resolve.js';
import { containerNamesPrefix } from '../../filestore/container-name.js';
import { resolveInputOf, type ParsedFlags } from '../flags.js';
import { columns, print } from '../output.js';
import { withStore } from '../with-store.js';

export async function loginCommand(parsed: ParsedFlags): Promise<void> {
  const { settings } = resolveSettings(resolveInputOf(parsed), thisHost());
  await withStore(settings, async (store) => {
    const prefix = containerNamesPrefix(settings.containerPrefix);
    const report = await store.login();
    // A login may be good and its role may still not reach Swift; a listing is what a mount needs first.
    const names = await firstNames(store.listContainers(prefix));
    const rows: (readonly [string, string | undefined])[] = [
      ['login', `good (${report.way})`],
      ['auth URL', report.authUrl],
      ['user', report.user],
      ['project', report.project],
      ['roles', report.roles.join(', ') || undefined],
      ['regions', report.regions.join(', ') || undefined],
      ['storage URL', withoutPassword(report.storageUrl)],
      ['token ends', report.expiresAtMs === undefined ? undefined : new Date(report.expiresAtMs).toISOString()],
      [`containers ${prefix}*`, names.join(', ') || 'none yet'],
    ];
    print(columns(rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))));
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
