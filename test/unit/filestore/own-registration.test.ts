/** Whether the registration under our own id is ours: restarts, reboots, clones. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OwnRegistration, type NodeIdentity, type Verdict } from '../../../src/filestore/own-registration.js';
import type { ContainerInfo, Metadata } from '../../../src/store/object-store.js';

const [HERE, ELSEWHERE] = ['111111111111', '222222222222'];
const START_MS = 1_764_106_734_000;

/** A container's metadata, and daemons that all have the same node-id. */
class Registry {
  nowMs = START_MS;
  #metadata: Metadata = {};
  #starts = 0;

  start(seat: string): { verdict: () => Verdict; write: () => void; see: () => Verdict } {
    const node: NodeIdentity = { id: 'abcdefabcdef', session: String(++this.#starts).padStart(12, '0'), seat };
    const own = new OwnRegistration(node, 'one');
    const verdict = (): Verdict => own.verdict(this.#info(), this.nowMs);
    const write = (): void => void (this.#metadata = { ...this.#metadata, ...own.next(this.nowMs) });
    const see = (): Verdict => {
      const seen = verdict();
      write();
      return seen;
    };
    return { verdict, write, see };
  }

  put(value: string): void {
    this.#metadata = { 'osf-node-abcdefabcdef': value };
  }

  #info(): ContainerInfo {
    return { objectCount: 0, bytesUsed: 0, metadata: this.#metadata, storagePolicy: undefined };
  }
}

describe('the registration under our own id', () => {
  it('a start after SIGKILL in the same place goes on at once', () => {
    const registry = new Registry();
    assert.equal(registry.start(HERE).see(), 'ours');
    registry.nowMs += 1_000;
    assert.equal(registry.start(HERE).see(), 'ours');
  });

  it('a start after a reboot waits until a daemon that lives would have renewed, and no longer', () => {
    const registry = new Registry();
    registry.start(HERE).write();
    const rebooted = registry.start(ELSEWHERE);
    for (let waitedS = 10; waitedS < 70; waitedS += 10) {
      registry.nowMs = START_MS + waitedS * 1_000;
      assert.equal(rebooted.verdict(), 'doubted');
    }
    registry.nowMs = START_MS + 70_000;
    assert.equal(rebooted.see(), 'ours');
    registry.nowMs += 60_000;
    assert.equal(rebooted.see(), 'ours');
  });

  it('a clock that is ahead makes a start wait for 70 s, not for ever', () => {
    const registry = new Registry();
    registry.nowMs += 3600_000;
    registry.start(HERE).write();
    registry.nowMs = START_MS;
    const next = registry.start(ELSEWHERE);
    assert.equal(next.verdict(), 'doubted');
    registry.nowMs += 70_000;
    assert.equal(next.verdict(), 'ours');
  });

  it('a clone that starts beside its original is found out when the original renews', () => {
    const registry = new Registry();
    const original = registry.start(HERE);
    original.write();
    registry.nowMs += 20_000;
    const clone = registry.start(ELSEWHERE);
    assert.equal(clone.verdict(), 'doubted');
    registry.nowMs += 40_000;
    assert.equal(original.see(), 'ours');
    assert.equal(clone.verdict(), 'foreign');
    registry.nowMs += 10_000;
    assert.equal(clone.verdict(), 'foreign');
  });

  it('who finds under his id what he has not written knows that another lives, until that one is silent', () => {
    const registry = new Registry();
    const [original, clone] = [registry.start(HERE), registry.start(HERE)];
    original.write();
    registry.nowMs += 30_000;
    assert.equal(clone.see(), 'ours', 'a clone of the same seat, as of a machine cloned with its memory, gets in');
    registry.nowMs += 30_000;
    assert.equal(original.see(), 'foreign');
    registry.nowMs += 30_000;
    assert.equal(clone.see(), 'foreign');
    registry.nowMs += 30_000;
    assert.equal(original.see(), 'foreign');
    registry.nowMs += 60_000;
    assert.equal(original.see(), 'ours', 'the clone has ended');
  });

  it('an answer that lags behind what we wrote is no other daemon', () => {
    const registry = new Registry();
    registry.start(HERE).write();
    const next = registry.start(HERE);
    assert.equal(next.verdict(), 'ours');
    const before = `${START_MS / 1000} one host 000000000001-${HERE}`;
    registry.put(before);
    assert.equal(next.verdict(), 'ours');
    next.write();
    registry.put(before);
    assert.equal(next.verdict(), 'ours');
  });

  it('a registration of an earlier version, without a life, is taken over', () => {
    const registry = new Registry();
    registry.put(`${START_MS / 1000} one a host of old`);
    assert.equal(registry.start(HERE).see(), 'ours');
  });
});
