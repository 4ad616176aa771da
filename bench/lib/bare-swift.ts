/** Bare requests to Swift with undici: what the mount's figures are held against. One keep-alive connection pool, no retries, no checks. */
import fs from 'node:fs';
import path from 'node:path';
import { SwiftClient } from '../../test/helpers/swift-client.js';
import type { Swift } from '../../test/helpers/with-swift.js';
import type { Tree } from './tree.js';

/** No group asks for more at once. */
const CONNECTIONS = 16;

export class BareSwift {
  readonly #client: SwiftClient;

  private constructor(client: SwiftClient) {
    this.#client = client;
  }

  static async login({ authUrl, user, key }: Pick<Swift, 'authUrl' | 'user' | 'key'>): Promise<BareSwift> {
    return new BareSwift(await SwiftClient.login(authUrl, user, key, CONNECTIONS));
  }

  async makeContainer(container: string): Promise<void> {
    await this.#client.makeContainer(container);
  }

  async upload(container: string, { directory, names }: Tree, concurrency = 8): Promise<void> {
    await inParallel(names, concurrency, (name) => this.#client.put(container, name, fs.readFileSync(path.join(directory, name))));
  }

  /** @returns the arguments of a `curl` that sends a file: no hash, no check, no login */
  curlToPut(container: string, name: string, file: string): readonly string[] {
    const { storageUrl, token } = this.#client.access;
    return ['--fail', '--silent', '--header', `X-Auth-Token: ${token}`, '--upload-file', file, `${storageUrl}/${container}/${name}`];
  }

  /** @returns milliseconds of each request, one after the other */
  async putEach(container: string, { directory }: Tree, names: readonly string[], withHead: boolean): Promise<number[]> {
    const took: number[] = [];
    for (const name of names) {
      const content = fs.readFileSync(path.join(directory, name));
      const start = performance.now();
      if (withHead) await this.#client.head(container, name);
      await this.#client.put(container, name, content);
      took.push(performance.now() - start);
    }
    return took;
  }

  /** @returns milliseconds of each request, one after the other */
  async getEach(container: string, names: readonly string[]): Promise<number[]> {
    const took: number[] = [];
    for (const name of names) {
      const start = performance.now();
      if ((await this.#client.get(container, name)) === undefined) throw new Error(`${container}/${name} is not in Swift`);
      took.push(performance.now() - start);
    }
    return took;
  }

  /** @returns milliseconds for all of them */
  async getAll(container: string, names: readonly string[], concurrency: number): Promise<number> {
    const start = performance.now();
    await inParallel(names, concurrency, async (name) => {
      if ((await this.#client.get(container, name)) === undefined) throw new Error(`${container}/${name} is not in Swift`);
    });
    return performance.now() - start;
  }

  /**
   * @returns objects a second at which a container was filled, by Swift's own clock: the time of each object is when its PUT came, so this is
   *   measured alike whoever sent them, and without asking while they are sent
   */
  async arrivalRate(container: string, count: number): Promise<number> {
    const { status, body } = await this.#client.raw('GET', `${encodeURIComponent(container)}?format=json`);
    const cameMs = (JSON.parse(body.toString()) as { last_modified: string }[]).map(({ last_modified }) => Date.parse(`${last_modified}Z`));
    if (status !== 200 || cameMs.length !== count) throw new Error(`${container}: ${cameMs.length} of ${count} objects are there`);
    return ((count - 1) / (Math.max(...cameMs) - Math.min(...cameMs))) * 1000;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

async function inParallel(names: readonly string[], concurrency: number, work: (name: string) => Promise<void>): Promise<void> {
  const left = [...names].reverse();
  const next = async (): Promise<void> => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await work(name);
  };
  await Promise.all(Array.from({ length: concurrency }, next));
}
