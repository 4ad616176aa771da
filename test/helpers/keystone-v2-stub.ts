/**
 * Identity v2.0 as Keystone had it until 2018, as far as a login needs it: no server of today has it. It answers POST /v2.0/tokens for
 * one user, and any other request with what `answer` says, so that it also stands in for other odd services.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StubAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly text?: string;
  /** Without the transaction id that every answer of Swift has. */
  readonly stranger?: true;
}

export interface StubRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export class LoginStub {
  readonly #server: http.Server;
  readonly seen: StubRequest[] = [];
  #answer: (request: StubRequest) => StubAnswer;

  private constructor(answer: (request: StubRequest) => StubAnswer) {
    this.#answer = answer;
    this.#server = http.createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(answer: (request: StubRequest) => StubAnswer): Promise<LoginStub> {
    const stub = new LoginStub(answer);
    await new Promise<void>((resolve) => stub.#server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  answerWith(answer: (request: StubRequest) => StubAnswer): void {
    this.#answer = answer;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const chunk of request) parts.push(chunk as Buffer);
    const seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(parts).toString(),
    };
    this.seen.push(seen);
    const { status, headers, json, text, stranger } = this.#answer(seen);
    response
      .writeHead(status, { ...(stranger === true ? {} : { 'x-trans-id': 'stub' }), ...headers })
      .end(json === undefined ? text : JSON.stringify(json));
  }
}

/** The v2.0 service with user odoo, password secret, project odoo and an object store in two regions. */
export function keystoneV2(request: StubRequest): StubAnswer {
  if (request.method !== 'POST' || request.url !== '/v2.0/tokens') return { status: 404 };
  const { auth } = JSON.parse(request.body) as {
    auth: { tenantName?: string; passwordCredentials?: { username: string; password: string }; token?: { id: string } };
  };
  const known = auth.passwordCredentials?.username === 'odoo' && auth.passwordCredentials.password === 'secret';
  if (!known && auth.token?.id !== 'unscoped-token') return { status: 401, json: { error: { message: 'Could not find user' } } };
  const scoped = auth.tenantName === 'odoo';
  const endpoint = (region: string) => ({
    region,
    publicURL: `http://${region}.example/v1/AUTH_odoo`,
    internalURL: `http://${region}.internal/v1/AUTH_odoo`,
  });
  return {
    status: 200,
    json: {
      access: {
        token: { id: 'v2-token', expires: '2030-01-01T00:00:00Z', ...(scoped ? { tenant: { id: '1', name: 'odoo' } } : {}) },
        user: { username: 'odoo', roles: [{ name: 'member' }] },
        serviceCatalog: scoped
          ? [
              { type: 'identity', endpoints: [] },
              { type: 'object-store', endpoints: [endpoint('one'), endpoint('two')] },
            ]
          : [],
      },
    },
  };
}
