import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { configurationMarkdown } from '../../../src/config/markdown.js';
import { OPTION_ENTRIES } from '../../../src/config/options.js';
import { projectRoot } from '../../helpers/project.js';

test('docs/CONFIGURATION.md says what the option table says', () => {
  const written = readFileSync(`${projectRoot}/docs/CONFIGURATION.md`, 'utf8');
  assert.ok(written === configurationMarkdown(), 'run: npm run build && node scripts/generate-docs.mjs');
  for (const [, spec] of OPTION_ENTRIES) assert.ok(written.includes(`**\`${spec.name}\`**`), spec.name);
});
