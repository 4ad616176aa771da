import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { FilestoreError, StoreAnswered, StoreNotAsked } from '../../../src/base/errors.js';
import { SILENT_LOG } from '../../../src/base/log.js';
import { StoreHealth } from '../../../src/filestore/store-health.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';

void describe('health of the store', () => {
  void test('a Swift that goes and comes many times within a second is asked by one, once a second', async () => {
    const store = new MemoryStore();
    const health = new StoreHealth(store, 60_000, SILENT_LOG);
    try {
      for (let i = 0; i < 20; i++) {
        await assert.rejects(health.watch(Promise.reject(new FilestoreError('unavailable', 'a reset'))));
        assert.equal(health.isAway, true);
        if (i < 19) await health.watch(Promise.resolve());
      }
      await eventually('the probe has found it', () => !health.isAway, 20_000);
      assert.equal(store.counts.probe, 1);
    } finally {
      health.close();
    }
  });

  void test('a rate limit, and a container that is missing, are no outage', async () => {
    const health = new StoreHealth(new MemoryStore(), 60_000, SILENT_LOG);
    try {
      await assert.rejects(health.watch(Promise.reject(new StoreAnswered('answered 429'))), { kind: 'unavailable' });
      assert.equal(health.isAway, false);
      await assert.rejects(health.watch(Promise.reject(new FilestoreError('unavailable', 'a reset'))));
      await assert.rejects(health.watch(Promise.reject(new StoreAnswered('answered 429'))));
      assert.equal(health.isAway, false);
    } finally {
      health.close();
    }
  });

  void test('a question that found no free connection says nothing, neither of an outage nor of its end', async () => {
    const health = new StoreHealth(new MemoryStore(), 60_000, SILENT_LOG);
    try {
      await assert.rejects(health.watch(Promise.reject(new StoreNotAsked('all at work'))), { kind: 'unavailable' });
      assert.equal(health.isAway, false);
      await assert.rejects(health.watch(Promise.reject(new FilestoreError('unavailable', 'a reset'))));
      await assert.rejects(health.watch(Promise.reject(new StoreNotAsked('all at work'))));
      assert.equal(health.isAway, true);
    } finally {
      health.close();
    }
  });

  void test('silence is seen by who waits, and watched for by nobody else', async () => {
    const store = new MemoryStore();
    const health = new StoreHealth(store, 300, SILENT_LOG);
    const [started, ended] = [mock.method(globalThis, 'setInterval').mock, mock.method(globalThis, 'clearInterval').mock];
    const awake = setInterval(() => undefined, 1000);
    try {
      store.pause();
      await assert.rejects(
        health.answerOrAway(() => store.head('c', 'a')),
        /no answer for/,
      );
      assert.equal(health.isAway, true);
      store.resume();
      await eventually('Swift is back', () => !health.isAway);
      assert.equal(await health.answerOrAway(() => store.head('c', 'a')), undefined);
      await eventually('nothing is watched any more', () => started.callCount() > 1 && ended.callCount() === started.callCount() - 1);
    } finally {
      mock.restoreAll();
      clearInterval(awake);
      health.close();
    }
  });
});
