#!/usr/bin/env node
// Writes docs/CONFIGURATION.md from the compiled option table (`npm run build` first). With --check it only says whether it is up to date.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const built = process.argv.find((arg) => arg.startsWith('--built='))?.slice('--built='.length) ?? path.join(root, 'dist');
const { configurationMarkdown } = await import(path.join(built, 'src/config/markdown.js'));
const file = path.join(root, 'docs/CONFIGURATION.md');
const wanted = configurationMarkdown();

if (process.argv.includes('--check')) {
  const found = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  if (found !== wanted) {
    console.error('docs/CONFIGURATION.md is not what the option table says; run: npm run build && node scripts/generate-docs.mjs');
    process.exitCode = 1;
  }
} else {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, wanted);
}
