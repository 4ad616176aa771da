/**
 * Each way in which Swift can fail, against each thing that is done through the mount. Whatever comes: a close() returns 0 and the blob is in
 * Swift or pending, and is published later; a read gives the right bytes or EIO, never other bytes and never "no such file"; a delete stays; a
 * listing shows all that was acknowledged here. Rules of the proxy act on one object each, so the cases run side by side over one mount.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import type { Fault } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const SIZE_BYTES = 60_000;
const ARGS = '--read-timeout 4s --write-timeout 3s --lookup-wait 300ms --headers-timeout 2s --stall-timeout 2s'.split(' ');
const status = (code: number, headers: Record<string, string> = {}): Fault => ({ do: 'status', status: code, headers });

interface Case {
  readonly fault: Fault;
  /** How often it strikes; then Swift is well again. */
  readonly times: number;
}

/** `often`: it outlasts every retry of one call. */
const often = 1000;
const CASES: Readonly<Record<string, Case>> = {
  'a connection reset early, once': { fault: { do: 'reset' }, times: 1 },
  'a connection reset early, always': { fault: { do: 'reset' }, times: often },
  'a request cut in the middle': { fault: { do: 'half', bytes: 20_000 }, times: 1 },
  'an answer cut in the middle': { fault: { do: 'truncate', bytes: 30_000 }, times: 1 },
  'an answer cut in the middle, always': { fault: { do: 'truncate', bytes: 30_000 }, times: often },
  'an answer cut before its last byte': { fault: { do: 'truncate', bytes: SIZE_BYTES - 1 }, times: 2 },
  'an answer that is lost': { fault: { do: 'lost' }, times: 1 },
  'an answer that is always lost': { fault: { do: 'lost' }, times: often },
  'silence before the head': { fault: { do: 'hang' }, times: 1 },
  'silence in the middle of a body': { fault: { do: 'stall', bytes: 30_000 }, times: 1 },
  'silence in the middle of every body': { fault: { do: 'stall', bytes: 30_000 }, times: often },
  'a slow answer': { fault: { do: 'slow', bytesPerSecond: 100_000 }, times: often },
  'a body with a flipped bit': { fault: { do: 'corrupt', bytes: 100 }, times: 1 },
  'bodies with a flipped bit': { fault: { do: 'corrupt', bytes: 100 }, times: often },
  'a wrong ETag': { fault: { do: 'headers', headers: { etag: '0'.repeat(32) } }, times: 1 },
  'wrong ETags': { fault: { do: 'headers', headers: { etag: '0'.repeat(32) } }, times: often },
  '401, once': { fault: status(401), times: 1 },
  '401 early in a body': { fault: { do: 'status', status: 401, early: true }, times: 1 },
  '403': { fault: status(403), times: often },
  '404 on an object that is listed': { fault: status(404), times: 1 },
  '409': { fault: status(409), times: 2 },
  '412': { fault: status(412), times: 2 },
  '413, a quota': { fault: { do: 'status', status: 413, text: 'Upload exceeds quota.' }, times: often },
  '422': { fault: status(422), times: often },
  '429 with Retry-After': { fault: status(429, { 'retry-after': '1' }), times: 2 },
  '498': { fault: status(498), times: 2 },
  '500': { fault: status(500), times: often },
  '503 with Retry-After': { fault: status(503, { 'retry-after': '1' }), times: 2 },
  '503 for long': { fault: status(503), times: often },
  '507': { fault: status(507), times: often },
};
const NAMES = Object.keys(CASES);

/** The path of one object of the container, as Swift is asked for it. */
const objectPath = (blob: Blob): RegExp => new RegExp(`/odoo-faults/${blob.name}(\\?|$)`);
const caseOf = (name: string): Case => CASES[name] ?? assert.fail(name);

describe('whatever Swift answers', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  let mount: Mount;
  let client: SwiftClient;
  /** Of the case with this number; each kind of work has its own. */
  const blobFor = (work: number, index: number): Blob => makeBlob(work * 1000 + index, SIZE_BYTES);

  before(async () => {
    swift = await withSwift();
    proxy = await FaultProxy.start(swift.url);
    client = await swift.client();
    mount = await startMount({
      swift: { ...swift, authUrl: proxy.authUrl },
      database: 'faults',
      args: ARGS,
    });
    mount.log.expect(
      /^WARN (swift\.|login-failed|publisher\.|cache\.fill-wrong-hash|request-failed operation=(open|readdir|opendir|lookup) )/,
    );
    await fs.mkdir(mount.file('00'));
    await fs.writeFile(mount.file('00/first'), 'x');
  });
  after(async () => {
    proxy.clear();
    await mount.stop();
    await proxy.close();
    await swift.stop();
  });

  const well = async (): Promise<void> => {
    // what hangs is let go, so that nothing waits for a time-out of minutes
    proxy.clear();
    await proxy.down();
    await proxy.up();
    await mount.drained();
  };
  /** Of how many objects or directories a request has met its fault: a rule that meets none proves nothing. */
  const struck = (what: RegExp): number => {
    const urls = proxy.seen.filter(({ fault, url }) => fault !== undefined && what.test(url)).map(({ url }) => url);
    return new Set(urls.map((url) => url.replace(/.*prefix=|[?&].*/g, ''))).size;
  };
  const allStrike = async (what: RegExp): Promise<void> => {
    await eventually(`faults strike, so far ${struck(what)} of ${NAMES.length}`, () => struck(what) === NAMES.length);
  };
  const codeOf = (error: unknown): string => String((error as { code?: unknown }).code ?? error);
  /** Runs the work of every case at once. @returns what went wrong, by case */
  const each = async (work: (index: number, name: string) => Promise<string | undefined>): Promise<string[]> => {
    const said = await Promise.all(
      NAMES.map(async (name, index) => {
        const wrong = await work(index, name).catch((error: unknown) => String(error));
        return wrong === undefined ? undefined : `${name}: ${wrong}`;
      }),
    );
    return said.filter((line) => line !== undefined);
  };

  it('Whatever Swift answers to a PUT, a write is acknowledged, readable at once, listed, and in Swift in the end.', async () => {
    const blobOf = (index: number): Blob => blobFor(1, index);
    proxy.resetCounts();
    for (const [index, name] of NAMES.entries()) {
      const { fault, times } = caseOf(name);
      proxy.add({ ...fault, times, method: 'PUT', path: objectPath(blobOf(index)) });
    }
    const wrong = await each(async (index) => {
      const blob = blobOf(index);
      await writeBlob(mount.path, blob);
      if (!(await fs.readFile(mount.file(blob.name))).equals(blob.content)) return 'other bytes were read';
      const names = await fs.readdir(path.dirname(mount.file(blob.name)));
      return names.includes(blob.sha1) ? undefined : 'it is not in the listing of its directory';
    });
    assert.deepEqual(wrong, []);
    // What found Swift away goes through the publisher, and meets its fault there.
    await allStrike(/\/odoo-faults\/../);
    await well();
    const notInSwift = await each(async (index) => {
      const stored = await client.get('odoo-faults', blobOf(index).name);
      return stored?.equals(blobOf(index).content) === true ? undefined : `Swift has ${stored?.length ?? 'nothing'}`;
    });
    assert.deepEqual(notInSwift, []);
  });

  it('A cold read gives the right bytes or EIO, and the right bytes once Swift is well.', async () => {
    const blobs = NAMES.map((_, index) => blobFor(2, index));
    await Promise.all(blobs.map((blob) => client.put('odoo-faults', blob.name, blob.content)));
    const isListed = async (blob: Blob): Promise<boolean> => {
      const names = await fs.readdir(path.dirname(mount.file(blob.name))).catch((): string[] => []);
      return names.includes(blob.sha1);
    };
    // What is listed may not be called absent; a mount notices by itself only within minutes, so it starts anew.
    await mount.restart();
    for (const blob of blobs) await eventually(`${blob.name} is listed`, () => isListed(blob));
    for (const [index, name] of NAMES.entries()) {
      const { fault, times } = caseOf(name);
      proxy.add({ ...fault, times, method: 'GET', path: objectPath(blobFor(2, index)) });
    }
    proxy.resetCounts();
    const outcomes: Record<string, string> = {};
    const wrong = await each(async (index, name) => {
      const blob = blobFor(2, index);
      try {
        const content = await fs.readFile(mount.file(blob.name));
        outcomes[name] = 'read';
        return content.equals(blob.content) ? undefined : `other bytes were read (${content.length})`;
      } catch (error) {
        outcomes[name] = codeOf(error);
        return codeOf(error) === 'EIO' ? undefined : `the read failed with ${codeOf(error)}`;
      }
    });
    assert.deepEqual(wrong, []);
    assert.ok(struck(/\/odoo-faults\/../) >= NAMES.length * 0.9, `only ${struck(/./)} faults struck`);
    console.log(`cold reads: ${JSON.stringify(outcomes)}`);
    for (const [name, outcome] of Object.entries(outcomes))
      if (caseOf(name).times === 1) assert.equal(outcome, 'read', `${name}: once is not worth an error`);
    await well();
    const stillWrong = await each(async (index) => {
      const content = await fs.readFile(mount.file(blobFor(2, index).name));
      return content.equals(blobFor(2, index).content) ? undefined : 'other bytes were read';
    });
    assert.deepEqual(stillWrong, []);
  });

  it('Whatever Swift answers to a DELETE, what was deleted stays deleted, and Swift is told in the end.', async () => {
    const blobs = NAMES.map((_, index) => blobFor(3, index));
    for (const blob of blobs) await writeBlob(mount.path, blob);
    await well();
    for (const [index, name] of NAMES.entries()) {
      const { fault, times } = caseOf(name);
      proxy.add({ ...fault, times, method: 'DELETE', path: objectPath(blobFor(3, index)) });
    }
    // the bulk delete names no object in its path
    proxy.add({ do: 'status', status: 503, method: 'POST', path: /bulk-delete/, times: 2 });
    const deleted = async (index: number): Promise<string | undefined> => {
      const { name, sha1 } = blobFor(3, index);
      const found = await fs.stat(mount.file(name)).then(() => 'is there again', codeOf);
      if (found !== 'ENOENT') return found;
      const names = await fs.readdir(path.dirname(mount.file(name)));
      return names.includes(sha1) ? 'is listed again' : undefined;
    };
    const wrong = await each(async (index) => {
      await fs.unlink(mount.file(blobFor(3, index).name));
      return deleted(index);
    });
    assert.deepEqual(wrong, []);
    await mount.kill9();
    await mount.restart();
    assert.deepEqual(await each(deleted), [], 'after a kill');
    await well();
    await eventually('all deletes are told', async () => (await mount.status()).databases[0]?.pendingDeletes === 0);
    const left = await client.names('odoo-faults');
    assert.deepEqual(
      blobs.filter(({ name }) => left.includes(name)),
      [],
    );
    assert.deepEqual(await each(deleted), []);
  });

  it('A listing shows all that was acknowledged here, or fails with EIO.', async () => {
    const blobs = NAMES.map((_, index) => blobFor(4, index));
    for (const blob of blobs) await writeBlob(mount.path, blob);
    // with `one` it would not ask Swift for what it made itself
    await mount.restart({ args: [...ARGS, '--nodes', 'many', '--delete-bound', '100ms'] });
    proxy.resetCounts();
    const wrong: string[] = [];
    for (const [index, name] of NAMES.entries()) {
      const { fault } = caseOf(name);
      const blob = blobFor(4, index);
      const directory = path.dirname(blob.name);
      // cut where a listing has bytes to cut
      const shorter: Fault = 'bytes' in fault ? { ...fault, bytes: 40 } : fault;
      proxy.add({ ...shorter, times: 2, method: 'GET', path: new RegExp(`/odoo-faults\\?.*prefix=${directory}`) });
      await sleep(150);
      await eventually('Swift is asked', async () => (await mount.status()).state === 'serving');
      const names = await fs.readdir(mount.file(directory)).catch((error: unknown) => codeOf(error));
      if (typeof names === 'string' ? names !== 'EIO' : !names.includes(blob.sha1)) wrong.push(`${name}: ${String(names)}`);
      proxy.clear();
    }
    assert.deepEqual(wrong, []);
    assert.ok(struck(/prefix=/) >= NAMES.length * 0.7, `only ${struck(/prefix=/)} faults struck`);
    await well();
  });

  it('Swift refusing connections takes nothing away and is over when it is back', async () => {
    const [known, pending] = [blobFor(5, 1), blobFor(5, 2)];
    await writeBlob(mount.path, known);
    await proxy.down();
    await writeBlob(mount.path, pending);
    for (const blob of [known, pending]) {
      assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
      assert.ok((await fs.readdir(path.dirname(mount.file(blob.name)))).includes(blob.sha1));
    }
    await fs.unlink(mount.file(known.name));
    await assert.rejects(fs.stat(mount.file(known.name)), { code: 'ENOENT' });
    await proxy.up();
    await mount.drained();
    assert.deepEqual(await client.get('odoo-faults', pending.name), pending.content);
    await eventually('the delete is told', async () => (await client.get('odoo-faults', known.name)) === undefined);
  });
});
