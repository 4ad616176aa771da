/** A tiny bare client of Swift for assertions: what is really stored there, told by nobody but Swift. Not the client under test. */
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';

interface Listed {
  readonly name: string;
  readonly bytes: number;
  readonly hash: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export class SwiftClient {
  readonly #agent: Agent;
  readonly #storageUrl: string;
  readonly #token: string;

  private constructor(agent: Agent, storageUrl: string, token: string) {
    this.#agent = agent;
    this.#storageUrl = storageUrl;
    this.#token = token;
  }

  /** @param connections how many requests may run at once */
  static async login(authUrl: string, user: string, key: string, connections = 8): Promise<SwiftClient> {
    const { statusCode, headers, body } = await request(authUrl, { headers: { 'x-auth-user': user, 'x-auth-key': key } });
    await body.dump();
    if (statusCode !== 200) throw new Error(`login at ${authUrl}: HTTP ${statusCode}`);
    return new SwiftClient(new Agent({ connections }), String(headers['x-storage-url']), String(headers['x-auth-token']));
  }

  /** One bare request; `path` is below the account, already percent-encoded. */
  async raw(
    method: Dispatcher.HttpMethod | 'COPY',
    path: string,
    headers: Record<string, string> = {},
    content?: Uint8Array | string,
  ): Promise<Answer> {
    const answer = await request(`${this.#storageUrl}/${path}`, {
      method,
      dispatcher: this.#agent,
      headers: { 'x-auth-token': this.#token, ...headers },
      ...(content === undefined ? {} : { body: content }),
    });
    const body = Buffer.from(await answer.body.arrayBuffer());
    const flat: Record<string, string> = {};
    for (const [name, value] of Object.entries(answer.headers)) flat[name] = String(value);
    return { status: answer.statusCode, headers: flat, body };
  }

  /** For another program that is to ask in this one's place. */
  get access(): { readonly storageUrl: string; readonly token: string } {
    return { storageUrl: this.#storageUrl, token: this.#token };
  }

  async makeContainer(container: string): Promise<void> {
    this.#expect(await this.raw('PUT', encodeURIComponent(container)), `PUT ${container}`, 201, 202);
  }

  async containers(): Promise<string[]> {
    const answer = this.#expect(await this.raw('GET', '?format=json&limit=10000'), 'GET account', 200, 204);
    return (JSON.parse(answer.body.toString() || '[]') as { name: string }[]).map(({ name }) => name);
  }

  /** Undefined when the container is not there. */
  async list(container: string, prefix = ''): Promise<Listed[] | undefined> {
    const found: Listed[] = [];
    for (let marker = ''; ;) {
      const query = `format=json&prefix=${encodeURIComponent(prefix)}&marker=${encodeURIComponent(marker)}`;
      const answer = await this.raw('GET', `${encodeURIComponent(container)}?${query}`);
      if (answer.status === 404) return undefined;
      this.#expect(answer, `GET ${container}`, 200);
      const page = JSON.parse(answer.body.toString()) as Listed[];
      const last = page.at(-1);
      if (last === undefined) return found;
      found.push(...page.map(({ name, bytes, hash }) => ({ name, bytes, hash })));
      marker = last.name;
    }
  }

  async names(container: string, prefix = ''): Promise<string[]> {
    return ((await this.list(container, prefix)) ?? []).map(({ name }) => name);
  }

  /** Undefined when the object is not there. */
  async get(container: string, name: string): Promise<Buffer | undefined> {
    const answer = await this.raw('GET', objectPath(container, name));
    if (answer.status === 404) return undefined;
    return this.#expect(answer, `GET ${name}`, 200).body;
  }

  /** The headers, in lower case; undefined when the object (or, without a name, the container) is not there. */
  async head(container: string, name?: string): Promise<Readonly<Record<string, string>> | undefined> {
    const answer = await this.raw('HEAD', name === undefined ? encodeURIComponent(container) : objectPath(container, name));
    if (answer.status === 404) return undefined;
    return this.#expect(answer, `HEAD ${name ?? container}`, 200, 204).headers;
  }

  async put(container: string, name: string, content: Uint8Array | string, headers: Record<string, string> = {}): Promise<void> {
    this.#expect(await this.raw('PUT', objectPath(container, name), headers, content), `PUT ${name}`, 201);
  }

  async delete(container: string, name?: string): Promise<void> {
    const path = name === undefined ? encodeURIComponent(container) : objectPath(container, name);
    this.#expect(await this.raw('DELETE', path), `DELETE ${path}`, 204, 404);
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  #expect(answer: Answer, what: string, ...statuses: number[]): Answer {
    if (!statuses.includes(answer.status)) throw new Error(`${what}: HTTP ${answer.status} ${answer.body.toString().slice(0, 300)}`);
    return answer;
  }
}

function objectPath(container: string, name: string): string {
  return `${encodeURIComponent(container)}/${name.split('/').map(encodeURIComponent).join('/')}`;
}
