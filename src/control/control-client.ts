/** The command line's side of the control socket. */
import { createConnection } from 'node:net';
import type { z } from 'zod';
import { FilestoreError } from '../base/errors.js';
import type { MountStatus } from '../filestore/mount-status.js';
import { STATUS_ANSWER, UNMOUNT_ANSWER, type ControlRequest } from './protocol.js';

/** No daemon listens there: the socket is missing, or left behind by one that died. */
export class NobodyListens extends Error {
  readonly stale: boolean;
  constructor(path: string, stale: boolean) {
    super(`nobody listens at ${path}`);
    this.stale = stale;
  }
}

const STATUS_TIMEOUT_MS = 5000;

/** @throws NobodyListens; FilestoreError unavailable when the daemon does not answer in time */
export async function requestStatus(path: string): Promise<MountStatus> {
  const answer = await converse(path, { request: 'status' }, STATUS_ANSWER, STATUS_TIMEOUT_MS);
  if (!answer.ok) throw new FilestoreError(answer.kind, answer.message);
  return answer.status as MountStatus;
}

/**
 * Waits until the mount has ended, which may take the daemon's `drain_timeout`.
 * @returns how many writes stay pending in the spool
 * @throws NobodyListens; FilestoreError busy (names who holds it)
 */
export async function requestUnmount(path: string, detach: boolean): Promise<number> {
  const answer = await converse(path, { request: 'unmount', detach }, UNMOUNT_ANSWER, undefined);
  if (!answer.ok) throw new FilestoreError(answer.kind, answer.message);
  return answer.leftPending;
}

async function converse<T>(path: string, request: ControlRequest, schema: z.ZodType<T>, timeoutMs: number | undefined): Promise<T> {
  const line = await exchange(path, `${JSON.stringify(request)}\n`, timeoutMs);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new FilestoreError('unavailable', `the daemon at ${path} ended before it answered; see its log`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new FilestoreError('unsupported', `the daemon at ${path} answers in another form; are command and daemon of one version?`);
  }
  return parsed.data;
}

function exchange(path: string, line: string, timeoutMs: number | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let received = '';
    socket.setEncoding('utf8');
    if (timeoutMs !== undefined) {
      socket.setTimeout(timeoutMs, () => socket.destroy(new FilestoreError('unavailable', `the daemon at ${path} does not answer`)));
    }
    socket.once('connect', () => socket.write(line));
    socket.on('data', (chunk: string) => (received += chunk));
    socket.once('end', () => {
      socket.end();
      resolve(received);
    });
    // More than one may come: a daemon without a descriptor left takes the connection and closes it.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') reject(new NobodyListens(path, false));
      else if (error.code === 'ECONNREFUSED') reject(new NobodyListens(path, true));
      else if (error.code === 'EACCES')
        reject(new FilestoreError('not-permitted', `${path} belongs to another user; run this as the user who mounted`));
      else if (error.code === 'EPIPE' || error.code === 'ECONNRESET')
        reject(
          new FilestoreError('unavailable', `the daemon at ${path} closed the connection without an answer; see its log`, { cause: error }),
        );
      else reject(error);
    });
  });
}
