/** What the model test of a filestore does: calls, and what may befall them, as fast-check draws them. */
import path from 'node:path';
import fc from 'fast-check';
import { makeBlobs } from '../helpers/blobs.js';
import type { StoreMethod } from '../helpers/store-faults.js';
import { isTemporary } from './reference-filestore.js';

const BLOBS = makeBlobs(4, 3000);
const CONTENT = BLOBS.map(({ name }) => name);
/** Odoo 7 and a module of 2016 named blobs so. */
const ODD = BLOBS.slice(0, 2).map(({ sha1 }, index) => (index === 0 ? `${sha1.slice(0, 3)}/${sha1}` : sha1));
const PLAIN = ['notes.txt', 'docs/one', 'docs/two', 'more/one'];
const TEMPORARY = ['upload/t1', 'fresh.__new'];
const ALIASES = CONTENT.slice(0, 2).map((name) => `${name}.__gc`);
const DIRECTORIES = ['docs', 'more', 'empty', ...CONTENT.slice(0, 2).map((name) => path.dirname(name))];

const machine = fc.constantFrom(0, 1);
const content = fc.nat({ max: BLOBS.length + 1 });
const directory = fc.constantFrom(...DIRECTORIES);
const anyName = fc.constantFrom(...CONTENT, ...ODD, ...PLAIN, ...TEMPORARY, ...ALIASES);
/** Not in the whole of a run's names alone: few names meet more often. */
const writable = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...CONTENT) },
  { weight: 1, arbitrary: fc.constantFrom(...ODD) },
  { weight: 4, arbitrary: fc.constantFrom(...PLAIN) },
  { weight: 2, arbitrary: fc.constantFrom(...TEMPORARY) },
);
const plain = fc.constantFrom(...PLAIN);
/** Pairs that mean something, besides any two names. */
const renaming = fc.oneof(
  fc.tuple(anyName, anyName),
  fc.tuple(plain, plain),
  fc.tuple(fc.constantFrom(...TEMPORARY), fc.constantFrom(...CONTENT)),
  fc.nat({ max: 1 }).map((n): [string, string] => [CONTENT[n] ?? '', ALIASES[n] ?? '']),
  fc.nat({ max: 1 }).map((n): [string, string] => [ALIASES[n] ?? '', CONTENT[n] ?? '']),
);

export type Call =
  | { op: 'write' | 'torn'; machine: number; name: string; content: number }
  | { op: 'read' | 'exists' | 'unlink' | 'unlink-open'; machine: number; name: string }
  | { op: 'rename' | 'rename-open'; machine: number; names: [string, string]; noReplace: boolean }
  | { op: 'truncate'; machine: number; name: string; size: number }
  | { op: 'list' | 'mkdir' | 'rmdir'; machine: number; directory: string }
  | { op: 'rename-directory'; machine: number; directory: string; to: string }
  | { op: 'restart'; machine: number };
export type Operation =
  | Call
  | { op: 'two-open'; machine: number; other: number; name: string; sizes: [number, number]; firstClosesLast: boolean }
  | { op: 'outage'; machine: number; calls: Call[] }
  | { op: 'fault'; method: StoreMethod; how: 'refused' | 'answer lost'; call: Call }
  | { op: 'together'; names: string[]; machines: number[]; unlink: boolean[] };

const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('write' as const), machine, name: writable, content }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('torn' as const), machine, name: fc.constantFrom(...CONTENT, ...ODD), content }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constantFrom('read' as const, 'exists' as const), machine, name: anyName }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('unlink' as const), machine, name: anyName }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('unlink-open' as const), machine, name: plain }) },
  { weight: 7, arbitrary: fc.record({ op: fc.constant('rename' as const), machine, names: renaming, noReplace: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('rename-open' as const),
      machine,
      names: fc.tuple(plain, plain),
      noReplace: fc.constant(false),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('truncate' as const), machine, name: writable, size: fc.nat({ max: 4000 }) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('list' as const, 'mkdir' as const, 'rmdir' as const), machine, directory }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('rename-directory' as const), machine, directory, to: directory }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('restart' as const), machine }) },
);
const FAULTY = ['put', 'head', 'get', 'copy', 'delete', 'list'] as const;
export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 30, arbitrary: call },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('two-open' as const),
      machine,
      other: machine,
      name: plain,
      sizes: fc.tuple(fc.nat({ max: 3000 }), fc.nat({ max: 3000 })),
      firstClosesLast: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('outage' as const), machine, calls: fc.array(call, { minLength: 1, maxLength: 6 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('fault' as const),
      method: fc.constantFrom(...FAULTY),
      how: fc.constantFrom('refused' as const, 'answer lost' as const),
      call,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('together' as const),
      names: fc.uniqueArray(fc.constantFrom(...CONTENT, ...PLAIN), { minLength: 2, maxLength: 6 }),
      machines: fc.array(machine, { minLength: 6, maxLength: 6 }),
      unlink: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    }),
  },
);

/** A content name has its own bytes; others one of the blobs', so that they can be renamed onto its name, or others. */
export function bytesFor(name: string, index: number): Buffer {
  const own = BLOBS.find(({ sha1 }) => name.endsWith(sha1));
  if (own !== undefined && !isTemporary(name)) return own.content;
  return BLOBS[index]?.content ?? Buffer.alloc(index * 300, name);
}
