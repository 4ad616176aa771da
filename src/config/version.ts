/** The version of the package, from its package.json. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const PACKAGE = z.object({ name: z.literal('odoo-swiftfs'), version: z.string() });

/** @returns e.g. `0.1.0`; `unknown` when no package.json of ours is above this file */
export function packageVersion(): string {
  for (const above of ['../../package.json', '../../../package.json']) {
    try {
      const parsed = PACKAGE.safeParse(JSON.parse(readFileSync(new URL(above, import.meta.url), 'utf8')));
      if (parsed.success) return parsed.data.version;
    } catch {
      // Not there: the compiled tree is one level deeper than the sources.
    }
  }
  return 'unknown';
}
