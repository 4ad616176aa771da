/** The object port between two processes: a store that lives on when the process that uses it is killed, as Swift does, at a fraction of its cost. */
import type { ChildProcess } from 'node:child_process';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { FilestoreError, kindOf, messageOf, type ErrorKind } from '../../src/base/errors.js';
import type { ListedObject, ObjectBody, ObjectInfo, ObjectRead, ObjectStore, RequestOptions } from '../../src/store/object-store.js';
import type { MemoryStore } from '../helpers/memory-store.js';

interface Question {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly kind: ErrorKind; readonly message: string };
}

interface SentBody {
  readonly bytes: Uint8Array;
  readonly md5: string;
}

/** Answers a child's questions until it is gone. @param delayMs how long a question that changes something is on its way */
export function serveStore(child: ChildProcess, store: MemoryStore, delayMs: () => number): void {
  const last = new Map<string, Promise<unknown>>();
  child.on('message', (message: unknown) => {
    const question = message as Question;
    if (typeof question.id !== 'number') return;
    // Of two changes of one name the one that came later counts, as in Swift, which dates a request when it comes.
    const names = changedBy(question);
    const before = names.map((name) => last.get(name) ?? Promise.resolve());
    const answered = Promise.all(before).then(() => answerTo(question, store, delayMs));
    for (const name of names) last.set(name, answered);
    void answered.then((answer) => {
      if (child.connected) child.send(answer, () => undefined);
    });
  });
}

function changedBy({ method, args }: Question): readonly string[] {
  switch (method) {
    case 'put':
    case 'delete':
    case 'updateMetadata':
      return [args[1] as string];
    case 'copy':
      return [args[1] as string, args[3] as string];
    case 'deleteMany':
      return args[1] as readonly string[];
    default:
      return [];
  }
}

async function answerTo({ id, method, args }: Question, store: MemoryStore, delayMs: () => number): Promise<Answer> {
  try {
    if (/^(put|copy|delete)/.test(method)) await sleep(delayMs());
    return { id, value: await carryOut(store, method, args) };
  } catch (error) {
    return { id, error: { kind: kindOf(error), message: messageOf(error) } };
  }
}

async function carryOut(store: MemoryStore, method: string, args: readonly unknown[]): Promise<unknown> {
  if (method === 'put') {
    const [container, name, body, options] = args as [string, string, SentBody, object];
    const { bytes, md5 } = body;
    await store.put(container, name, { sizeBytes: bytes.length, md5, read: (start, end) => bytes.subarray(start, end) }, options);
    return undefined;
  }
  if (method === 'get') {
    const [container, name, options] = args as [string, string, object];
    const read = await store.get(container, name, options);
    if (read === undefined) return undefined;
    const parts: Buffer[] = [];
    for await (const part of read.body) parts.push(part as Buffer);
    return { info: read.info, bytes: Buffer.concat(parts) };
  }
  const call = (store as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>)[method];
  if (call === undefined) throw new FilestoreError('internal', `no method ${method}`);
  const result = call.apply(store, [...args]);
  if (!method.startsWith('list')) return result;
  const pages: unknown[] = [];
  for await (const page of result as AsyncIterable<unknown>) pages.push(page);
  return pages;
}

/** The store of the parent, in a process that was forked with `serialization: 'advanced'`. */
export function storeOfParent(): ObjectStore {
  let lastId = 0;
  const waiting = new Map<number, { readonly sinceMs: number; readonly settle: (answer: Answer) => void }>();
  process.on('message', (message: unknown) => {
    const answer = message as Answer;
    waiting.get(answer.id)?.settle(answer);
  });
  const ask = async (method: string, args: readonly unknown[], options: RequestOptions = {}): Promise<unknown> => {
    const { signal, timeoutMs: _timeoutMs, priority: _priority, ...rest } = options as RequestOptions & { onProgress?: unknown };
    delete rest.onProgress;
    const id = ++lastId;
    const answer = await new Promise<Answer>((resolve) => {
      const error = { kind: 'interrupted' as const, message: `${method} was given up` };
      signal?.addEventListener('abort', () => resolve({ id, error }), { once: true });
      waiting.set(id, { sinceMs: Date.now(), settle: resolve });
      process.send?.({ id, method, args: [...args, rest] } satisfies Question);
    });
    waiting.delete(id);
    if (answer.error !== undefined) throw new FilestoreError(answer.error.kind, answer.error.message);
    return answer.value;
  };
  async function* pagesOf<T>(method: string, first: string, options?: RequestOptions): AsyncGenerator<readonly T[]> {
    yield* (await ask(method, [first], options)) as (readonly T[])[];
  }
  const get = async (container: string, name: string, options?: RequestOptions): Promise<ObjectRead | undefined> => {
    const read = (await ask('get', [container, name], options)) as { info: ObjectInfo; bytes: Uint8Array } | undefined;
    return read === undefined ? undefined : { info: read.info, body: Readable.from([Buffer.from(read.bytes)]) };
  };
  const put = async (container: string, name: string, body: ObjectBody, options?: RequestOptions): Promise<void> => {
    const read = body.read(0, body.sizeBytes);
    const parts: Uint8Array[] = [];
    if (read instanceof Uint8Array) parts.push(read);
    else for await (const part of read) parts.push(Uint8Array.from(part as Uint8Array));
    await ask('put', [container, name, { bytes: Buffer.concat(parts), md5: body.md5 } satisfies SentBody], options);
  };
  const given = {
    put,
    get,
    list: (container: string, options?: RequestOptions) => pagesOf<ListedObject>('list', container, options),
    listContainers: (prefix: string, options?: RequestOptions) => pagesOf<string>('listContainers', prefix, options),
    confirmAccount: () => undefined,
    doubtAccount: () => undefined,
    close: () => Promise.resolve(),
  };
  const counts: Readonly<Record<string, number>> = {
    copy: 4,
    updateMetadata: 3,
    deleteMany: 2,
    delete: 2,
    head: 2,
    createContainer: 2,
    updateContainer: 2,
    account: 0,
    probe: 0,
  };
  return new Proxy(given as unknown as ObjectStore, {
    get: (target, name) => {
      if (name === 'stalledMs')
        return waiting.size === 0 ? 0 : Date.now() - Math.min(...[...waiting.values()].map(({ sinceMs }) => sinceMs));
      if (name === 'clockAheadMs') return 0;
      const own: unknown = Reflect.get(target, name);
      if (own !== undefined || typeof name !== 'string' || name === 'then') return own;
      const count = counts[name] ?? 1;
      return (...args: unknown[]) => ask(name, args.slice(0, count), args[count] as RequestOptions | undefined);
    },
  });
}
