/** Starts `fuse-server.js` on a fresh directory and talks to it by lines. */
import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

export type Transport = 'ring' | 'device' | 'pure' | 'fuse-native';

const LINE_MS = 20_000;

export class TreeServer {
  readonly path: string;
  readonly lines: string[] = [];
  readonly child: ChildProcess;
  #wake: () => void = () => undefined;

  private constructor(path: string, transport: Transport) {
    this.path = path;
    this.child = spawn(process.execPath, [join(import.meta.dirname, 'fuse-server.js'), path, transport], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '8' },
    });
    if (this.child.stdout === null) throw new Error('no standard output');
    createInterface(this.child.stdout).on('line', (line) => {
      this.lines.push(line);
      this.#wake();
    });
  }

  /** Mounted, and gone when the test is over, however it went. */
  static async start(t: TestContext, transport: Transport, path = freshDirectory(t)): Promise<TreeServer> {
    const server = new TreeServer(path, transport);
    t.after(async () => {
      server.child.kill('SIGKILL');
      if (server.child.exitCode === null && server.child.signalCode === null) await once(server.child, 'exit');
      while (isMounted(path)) if ((await run('umount', ['-l', path])).code !== 0) break;
      if (!isMounted(path)) rmSync(path, { recursive: true, force: true });
    });
    await server.line(/^(mounted|refused) /);
    return server;
  }

  /** Waits for a line, those that came before included. */
  async line(pattern: RegExp): Promise<string> {
    const deadline = Date.now() + LINE_MS;
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`no line like ${String(pattern)}; there were:\n${this.lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Sends a command and waits for its answer. */
  async ask(command: string, answer: RegExp): Promise<string> {
    this.lines.length = 0;
    this.child.stdin?.write(`${command}\n`);
    return this.line(answer);
  }

  /** Unmounts cleanly and waits for the daemon's end. */
  async stop(): Promise<void> {
    await this.ask('unmount', /^unmounted$/);
    this.child.stdin?.write('close\n');
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}

export function freshDirectory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'fuse-mount-'));
  t.after(() => {
    if (!isMounted(path)) rmSync(path, { recursive: true, force: true });
  });
  return path;
}

export function isMounted(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `);
}

interface Outcome {
  readonly code: number;
  readonly out: string;
}

/** A client in a process of its own: it must never be this one that waits for the mount. */
export function run(command: string, args: readonly string[], timeoutMs = 20_000): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
      resolve({ code, out: stdout + stderr });
    });
  });
}

export const shell = (path: string, script: string): Promise<Outcome> => run('sh', ['-c', `cd '${path}' && ${script}`]);
export const python = (path: string, script: string): Promise<Outcome> =>
  run('python3', ['-c', `import os\nos.chdir('${path}')\n${script}`]);
