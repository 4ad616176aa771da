/** `login --check`: whether the credentials are good, what they reach, and whether they may write. Changes nothing. */
import { messageOf } from '../../base/errors.js';
import { fromUtf8 } from '../../base/names.js';
import { withoutPassword } from '../../base/shown-url.js';
import { thisHost } from '../../config/host.js';
import type { Settings } from '../../config/options.js';
import { resolveSettings } from '../../config/resolve.js';
import { containerName, containerNamesPrefix } from '../../filestore/container-name.js';
import { resolveInputOf, type ParsedFlags } from '../flags.js';
import type { SwiftStore } from '../../swift/swift-store.js';
import { columns, print } from '../output.js';
import { withStore } from '../with-store.js';

export async function loginCommand(parsed: ParsedFlags): Promise<void> {
  const { settings } = resolveSettings(resolveInputOf(parsed), thisHost());
  await withStore(settings, async (store) => {
    const prefix = containerNamesPrefix(settings.containerPrefix);
    const report = await store.login();
    // A login may be good and its role may still not reach Swift; a listing is what a mount needs first.
    const names = await firstNames(store.listContainers(prefix));
    const rights = await rightsIn(store, toWriteIn(settings, names));
    const rows: (readonly [string, string | undefined])[] = [
      ['login', `good (${report.way})`],
      ['auth URL', report.authUrl],
      ['user', report.user],
      ['project', report.project],
      ['roles', report.roles.join(', ') || undefined],
      ['regions', report.regions.join(', ') || undefined],
      ['storage URL', withoutPassword(report.storageUrl)],
      ['token ends', report.expiresAtMs === undefined ? undefined : new Date(report.expiresAtMs).toISOString()],
      ['rights', rights],
      [`containers ${prefix}*`, names.join(', ') || 'none yet'],
    ];
    print(columns(rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))));
  });
}

const SHOWN = 20;

/** A container the mount would write in: its own, one of those there are, or one it would make. */
function toWriteIn({ database, containerPrefix }: Settings, names: readonly string[]): string {
  if (database !== undefined) return containerName(containerPrefix, fromUtf8(database));
  return names[0] ?? containerName(containerPrefix, 'any');
}

/** Who may only read is no failure: a login may be meant for that. */
async function rightsIn(store: SwiftStore, container: string): Promise<string> {
  try {
    const refusal = await store.writeRefusal(container);
    return refusal === undefined ? 'reads and writes' : `reads only: writing is ${refusal}`;
  } catch (error) {
    return `reads; whether it may write could not be told: ${messageOf(error)}`;
  }
}

async function firstNames(pages: AsyncIterable<readonly string[]>): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const page of pages) {
    names.push(...page);
    if (names.length > SHOWN) return [...names.slice(0, SHOWN), '…'];
  }
  return names;
}
