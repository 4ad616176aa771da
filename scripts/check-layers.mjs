#!/usr/bin/env node
// Imports point down. Each room of src/ names the rooms it may import; a package lives in one room only; no module needs one that needs it
// (types aside). Says every breach with its line and exits 1. The picture is in docs/DESIGN.md; change both together.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const source = path.join(root, 'src');

/** room -> rooms whose modules it may import (its own always). `*` is the composition root's licence. */
const MAY_IMPORT = {
  base: [],
  config: ['base', 'filestore', 'swift', 'store'],
  store: ['base'],
  swift: ['base', 'store'],
  cache: ['base', 'store'],
  spool: ['base', 'store'],
  origins: ['base', 'store', 'cache'],
  filestore: ['base', 'store', 'cache', 'spool', 'origins'],
  fuse: ['base'],
  vfs: ['base', 'fuse', 'filestore', 'store'],
  control: ['base', 'config', 'filestore'],
  daemon: '*',
  cli: ['base', 'config', 'control', 'daemon', 'store', 'swift', 'filestore'],
};
/** Of a room that may not be imported whole, the modules that hold only types (ports) or names, open to the rooms listed. */
const PORTS_ONLY = {
  'origins -> cache': ['cache.ts'],
  'vfs -> fuse': ['file-system.ts', 'driver.ts'],
  'config -> filestore': ['filestore-options.ts', 'container-name.ts'],
  'config -> swift': ['swift-settings.ts'],
};
/** package -> the rooms that may import it. What is not listed may not be imported from src/ at all. */
const PACKAGES = {
  undici: ['swift'],
  'lru-cache': ['cache'],
  yargs: ['cli'],
  zod: ['config', 'control'],
  yaml: ['config'],
  'fuse-native': ['fuse'],
};
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s*['"]([^'"]+)['"]|(?:^|[^.\w])import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g;

/** Comments may quote an import; only real ones count. */
function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, (c) => c.replace(/[^\n]/g, ' ')).replace(/(^|\s)\/\/[^\n]*/g, '$1');
}

/** Whether nothing of it is left when the program runs. */
function isOfTypesOnly(statement) {
  const names = /^\s*(?:import|export)\s*\{([^}]*)\}/.exec(statement)?.[1];
  return /^\s*(?:import|export)\s+type\s/.test(statement) || names?.split(',').every((name) => /^\s*(?:type\s|$)/.test(name)) === true;
}

/** @param needs module -> modules. @returns the first circle that is met, its start at both ends */
function circleIn(needs) {
  const done = new Set();
  const visit = (module, way) => {
    if (way.includes(module)) return [...way.slice(way.indexOf(module)), module];
    if (done.has(module)) return undefined;
    for (const other of needs.get(module) ?? []) {
      const circle = visit(other, [...way, module]);
      if (circle !== undefined) return circle;
    }
    done.add(module);
    return undefined;
  };
  for (const module of needs.keys()) {
    const circle = visit(module, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

const breaches = [];
const needs = new Map();
let modules = 0;
for (const entry of fs.readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts') || entry.name.endsWith('.d.ts')) continue;
  const file = path.join(entry.parentPath, entry.name);
  const relative = path.relative(source, file);
  const room = relative.split(path.sep)[0];
  const allowed = MAY_IMPORT[room];
  modules += 1;
  if (allowed === undefined) {
    breaches.push(`src/${relative}: "${room}" is no room of the plan; add it to scripts/check-layers.mjs and docs/DESIGN.md`);
    continue;
  }
  const text = withoutComments(fs.readFileSync(file, 'utf8'));
  for (const match of text.matchAll(IMPORT)) {
    const target = match[1] ?? match[2] ?? match[3];
    const line = text.slice(0, match.index + match[0].indexOf(target)).split('\n').length;
    const say = (why) => breaches.push(`src/${relative}:${line}: imports ${target}: ${why}`);
    if (target.startsWith('node:')) continue;
    if (!target.startsWith('.')) {
      const name = target.startsWith('@') ? target.split('/').slice(0, 2).join('/') : target.split('/')[0];
      const rooms = PACKAGES[name];
      if (rooms === undefined) say('this package is not one of ours');
      else if (!rooms.includes(room)) say(`${name} belongs in ${rooms.map((r) => `src/${r}`).join(' or ')}`);
      continue;
    }
    if (!target.endsWith('.js') && !target.endsWith('.json')) say('relative imports end in .js');
    const resolved = path.relative(source, path.resolve(path.dirname(file), target));
    if (resolved.startsWith('..')) {
      if (!/package\.json$/.test(target)) say('leaves src/');
      continue;
    }
    if (!isOfTypesOnly(match[0].trimStart()) && match[2] === undefined) {
      needs.set(relative, [...(needs.get(relative) ?? []), resolved.replace(/\.js$/, '.ts')]);
    }
    const other = resolved.split(path.sep)[0];
    if (other === room) continue;
    if (other === 'cli') say('nobody imports the command line');
    else if (allowed !== '*' && !allowed.includes(other)) say(`${room} may import only ${allowed.join(', ') || 'nothing'}`);
    const ports = PORTS_ONLY[`${room} -> ${other}`];
    if (ports !== undefined && !ports.includes(path.basename(resolved).replace(/\.js$/, '.ts'))) {
      say(`${room} may use only the ports of ${other}: ${ports.join(', ')}`);
    }
  }
}
const circle = circleIn(needs);
if (circle !== undefined) breaches.push(`modules that need each other: ${circle.join(' -> ')}`);
for (const breach of breaches) console.error(breach);
console.log(`layers: ${modules} modules, ${breaches.length} breaches`);
process.exit(breaches.length === 0 ? 0 : 1);
