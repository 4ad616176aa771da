/** The process that makes the calls of a long run, as a program does, and speaks with us by lines. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { eventually } from '../helpers/processes.js';

export class Caller {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  #said = '';

  constructor(script: string, args: readonly string[]) {
    this.child = spawn('python3', ['-B', script, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdout, stderr } = this.child;
    assert.ok(stdout !== null && stderr !== null);
    createInterface({ input: stdout }).on('line', (line) => this.#lines.push(line));
    stderr.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
    this.child.stdin?.on('error', () => undefined);
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get complaint(): string {
    return this.#said;
  }

  tell(word: string): void {
    this.child.stdin?.write(`${word}\n`);
  }

  /** The next line, where there is one. */
  heard(): string | undefined {
    return this.#lines.shift();
  }

  async next(limitMs: number): Promise<string> {
    return eventually('the caller says something', () => this.heard() ?? (this.isOver ? 'over' : undefined), limitMs);
  }
}
