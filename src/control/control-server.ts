/**
 * The daemon's side of the control socket. It asks nobody but the daemon's memory for a status, so it answers while Swift hangs. A socket that
 * somebody removed is made anew: nobody could ask the daemon any more, nor unmount by command.
 */
import { chmodSync, existsSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { makeDirectory } from '../base/make-directory.js';
import type { MountStatus } from '../filestore/mount-status.js';
import { REQUEST, REQUEST_MAX_BYTES, type ControlAnswer, type ControlRequest } from './protocol.js';

export interface ControlHandlers {
  status(): MountStatus;
  /** Ends the mount. @returns how many writes stay pending in the spool. @throws FilestoreError busy: it goes on serving */
  unmount(options: { detach: boolean }): Promise<number>;
}

export interface ControlServer {
  /** Takes no new connection and removes the socket; an answer under way is still sent. */
  close(): void;
}

const IDLE_MS = 10_000;
/** Between two looks whether the socket is still there. */
const LOOK_MS = 2_000;

/** The caller has made sure that no other daemon answers at `path`. @throws FilestoreError unavailable */
export async function openControlServer(path: string, handlers: ControlHandlers, log: Log): Promise<ControlServer> {
  removeSocket(path);
  let server = await openServer(path, handlers, log);
  let isClosed = false;
  const makeAnew = async (): Promise<void> => {
    makeDirectory(dirname(path), 0o700);
    // First, since closing it removes what has its name.
    server.close();
    server = await openServer(path, handlers, log);
    if (isClosed) closeServer();
    else log.info('control-socket-made-anew', { path });
  };
  const closeServer = (): void => {
    removeSocket(path);
    server.close();
  };
  const timer = setInterval(() => {
    if (existsSync(path)) return;
    makeAnew().catch((error: unknown) => log.debug('control-socket-not-made', { path, reason: messageOf(error) }));
  }, LOOK_MS).unref();
  return {
    close: () => {
      isClosed = true;
      clearInterval(timer);
      closeServer();
    },
  };
}

async function openServer(path: string, handlers: ControlHandlers, log: Log): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => converse(socket, handlers, log));
  await listen(server, path);
  // A connection that could not be taken (no descriptor, no memory) is its caller's failure, not the daemon's end.
  server.on('error', (error) => log.debug('control-connection-refused', { reason: error.message }));
  chmodSync(path, 0o600);
  // The mount keeps the daemon alive; a control socket must not.
  server.unref();
  return server;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new FilestoreError('unavailable', `control socket ${path}: ${error.message}`, { cause: error }));
    server.once('error', fail);
    server.listen(path, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

function converse(socket: Socket, handlers: ControlHandlers, log: Log): void {
  let received = '';
  let asked = false;
  socket.setEncoding('utf8');
  socket.setTimeout(IDLE_MS, () => {
    if (!asked) socket.destroy();
  });
  socket.on('error', (error) => log.debug('control-connection-broke', { reason: error.message }));
  socket.on('data', (chunk: string) => {
    if (asked) return;
    received += chunk;
    const newline = received.indexOf('\n');
    if (newline < 0 && received.length <= REQUEST_MAX_BYTES) return;
    asked = true;
    void answerTo(received.slice(0, newline < 0 ? 0 : newline), handlers).then((answer) => socket.end(`${JSON.stringify(answer)}\n`));
  });
  socket.on('end', () => {
    if (!asked) socket.destroy();
  });
}

/** Never rejects: what goes wrong is the answer. */
async function answerTo(line: string, handlers: ControlHandlers): Promise<ControlAnswer> {
  try {
    const request = parseRequest(line);
    switch (request.request) {
      case 'status':
        return { ok: true, status: handlers.status() };
      case 'unmount':
        return { ok: true, leftPending: await handlers.unmount({ detach: request.detach }) };
    }
  } catch (error) {
    return { ok: false, kind: kindOf(error), message: messageOf(error) };
  }
}

function parseRequest(line: string): ControlRequest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  const parsed = REQUEST.safeParse(value);
  if (!parsed.success)
    throw new FilestoreError('invalid-argument', 'not a request this daemon knows; are command and daemon of one version?');
  return parsed.data;
}

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (kindOf(error) !== 'not-found') throw error;
  }
}
