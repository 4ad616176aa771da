import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../../src/config/did-you-mean.js';
import { OPTION_ENTRIES } from '../../../src/config/options.js';
import { hostWith } from './host.js';

test('every option has a name of its own and a default that its own check accepts', () => {
  const names = OPTION_ENTRIES.map(([, spec]) => spec.name);
  assert.equal(new Set(names).size, names.length);
  for (const [, spec] of OPTION_ENTRIES) {
    assert.match(spec.name, /^[a-z]+(_[a-z]+)*$/);
    if (spec.fallback === undefined) continue;
    const fallback = typeof spec.fallback === 'string' ? spec.fallback : spec.fallback(hostWith());
    assert.ok(spec.schema.safeParse(fallback).success, spec.name);
  }
});

test('a slip of the fingers finds its word, and a strange word finds none', () => {
  const words = ['cache_dir', 'cache_size', 'region', 'uid', 'gid'];
  assert.equal(nearest('cache-dri', words), 'cache_dir');
  assert.equal(nearest('regoin', words), 'region');
  assert.equal(nearest('udi', words), 'uid');
  assert.equal(nearest('zzzzzzzz', words), undefined);
});
