/** `undelete DB [--since TIME] [--name xx/sha] [--dry-run]`: brings back what was deleted while `delete_retention` was set. */
import { FilestoreError } from '../../base/errors.js';
import { fromUtf8 } from '../../base/names.js';
import { thisHost } from '../../config/host.js';
import { resolveSettings } from '../../config/resolve.js';
import { parseDurationMs } from '../../config/units.js';
import { containerName } from '../../filestore/container-name.js';
import { trashContainerOf } from '../../filestore/retention.js';
import { undelete, type UndeleteOutcome } from '../../filestore/undelete.js';
import { resolveInputOf, type ParsedFlags } from '../flags.js';
import { print, warn } from '../output.js';
import { settledDeletes } from '../settled-deletes.js';
import { withStore } from '../with-store.js';

/** @throws FilestoreError not-found when a name that was asked for cannot be brought back (the others are) */
export async function undeleteCommand(parsed: ParsedFlags): Promise<void> {
  const { settings } = resolveSettings(resolveInputOf(parsed), thisHost());
  const container = containerName(settings.containerPrefix, fromUtf8(String(parsed['db'])));
  const names = (Array.isArray(parsed['name']) ? parsed['name'] : []).map(String);
  const dryRun = parsed['dry-run'] === true;
  const sinceMs = typeof parsed['since'] === 'string' ? timeOf(parsed['since'], Date.now()) : undefined;
  const counts: Record<UndeleteOutcome, number> = { restored: 0, there: 0, 'too-late': 0, unknown: 0 };
  const owed = await settledDeletes(container);
  // Before all else: it may be why there is no trash yet.
  if (owed > 0) {
    const which = owed === 1 ? `a delete of ${container} has` : `${owed} deletes of ${container} have`;
    warn(
      `${which} still to reach Swift, so that what they took is not in the trash yet: run this again when odoo-swiftfs status shows none`,
    );
  }
  await withStore(settings, async (store) => {
    for await (const page of undelete(store, { container, names, sinceMs, dryRun })) {
      for (const { name, outcome } of page) {
        counts[outcome]++;
        print(`${name}: ${wordsFor(outcome, container, dryRun)}`);
      }
    }
  });
  print(summaryOf(counts, dryRun));
  if (names.length > 0 && counts['too-late'] + counts.unknown > 0) {
    throw new FilestoreError('not-found', `${counts['too-late'] + counts.unknown} of ${names.length} files could not be brought back`);
  }
}

/**
 * @param text a point in time as `Date` reads it (2026-03-01, 2026-03-01T14:00, with Z for UTC), or a duration, meaning so long ago
 * @returns ms since the epoch. @throws FilestoreError invalid-argument
 */
export function timeOf(text: string, nowMs: number): number {
  const agoMs = parseDurationMs(text);
  if (agoMs !== undefined) return nowMs - agoMs;
  const timeMs = /^\d{4}-/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(timeMs)) {
    throw new FilestoreError(
      'invalid-argument',
      `--since ${text}: give a time such as 2026-03-01T14:00, or how long ago, such as 2h or 3d`,
    );
  }
  return timeMs;
}

function wordsFor(outcome: UndeleteOutcome, container: string, dryRun: boolean): string {
  const trash = trashContainerOf(container);
  switch (outcome) {
    case 'restored':
      return dryRun ? 'can be brought back' : 'is back';
    case 'there':
      return 'is there, nothing to do';
    case 'too-late':
      return `too late: its time in ${trash} (delete_retention) is over, and Swift has removed it`;
    case 'unknown':
      return `not in ${trash}: it was not deleted while delete_retention was set, or it is too late for it`;
  }
}

function summaryOf(counts: Record<UndeleteOutcome, number>, dryRun: boolean): string {
  const missing = counts['too-late'] + counts.unknown;
  const parts = [
    `${counts.restored} ${dryRun ? 'can be brought back' : 'brought back'}`,
    `${counts.there} there already`,
    `${missing} too late or unknown`,
  ];
  return parts.join(', ');
}
