/**
 * Child processes of tests: started with the mark of this test run in their environment (so that the runner finds what was left behind),
 * awaited with their output, ended by process id.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  /** Killed after this time, in ms; default 180 s. */
  readonly timeoutMs?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** Runs a program to its end. Resolves whatever its exit code is; rejects when it cannot be started or runs past its time. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString('utf8');
    const timeoutMs = options.timeoutMs ?? 180_000;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${command} ${args.join(' ')} ran for more than ${timeoutMs} ms; its last words: ${text(stderr).slice(-2000)}`));
    }, timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: text(stdout), stderr: text(stderr) });
    });
  });
}

/** As {@link run}, but an exit code other than 0 rejects with what the program said. @returns its standard output */
export async function runOk(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, signal, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${String(code ?? signal)}\n${stdout}${stderr}`);
  return stdout;
}

/** Ports of one reservation; the first of them is its guard. */
const RESERVED_PORTS = 8;
/** What holds the reservations of this process; the kernel gives them back when it ends, however it does. */
const guards: Server[] = [];

/**
 * Ports for servers that are started later, and perhaps again: no other test gets them while this process lives, for it listens on the port
 * before them. (Two test files that only looked for free ports, and bound them a second later, shared one: Swift binds with SO_REUSEPORT.)
 *
 * @param count at most 7
 * @returns the first of `count` ports of 127.0.0.1 in a row that are free
 */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    // below the ephemeral range, so that no outgoing connection takes one meanwhile
    const first = 12_000 + Math.floor(Math.random() * 2_500) * RESERVED_PORTS;
    const guard = await listening(first);
    if (guard === undefined) continue;
    guard.unref();
    guards.push(guard);
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFree(first + 1 + index)));
    if (free.every(Boolean)) return first + 1;
  }
  throw new Error(`no ${count} free ports in a row on 127.0.0.1`);
}

/** @returns a server on this port of 127.0.0.1, or undefined where it is taken */
function listening(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', () => {
      resolve(undefined);
    });
    server.listen(port, '127.0.0.1', () => {
      resolve(server);
    });
  });
}

async function isFree(port: number): Promise<boolean> {
  const server = await listening(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/**
 * Polls until the condition holds, for what has no event to wait for: every `everyMs`, 25 unless told.
 * @throws Error naming `what` when it does not hold within `limitMs` (default 60 s: the machine may be loaded)
 */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | false | undefined> | T | false | undefined,
  limitMs = 60_000,
  everyMs = 25,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(everyMs);
  }
}
