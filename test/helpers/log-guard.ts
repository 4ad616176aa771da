/**
 * Silence means health: every WARN or ERROR line that a test did not announce fails it. Takes the lines of a daemon's standard error, or
 * serves as the {@link Log} of code under test.
 */
import assert from 'node:assert/strict';
import { createLog } from '../../src/base/log.js';
import type { Log } from '../../src/base/log.js';

export class LogGuard {
  readonly lines: string[] = [];
  readonly #expected: RegExp[] = [];
  readonly #waiting = new Set<() => void>();

  /** Announces lines: a WARN or ERROR that matches, before or after this call, is no failure. */
  expect(...patterns: RegExp[]): void {
    this.#expected.push(...patterns);
  }

  push(line: string): void {
    this.lines.push(line);
    for (const look of this.#waiting) look();
  }

  /** The log that code under test writes to. */
  log(): Log {
    return createLog('debug', (line) => {
      this.push(line);
    });
  }

  has(pattern: RegExp): boolean {
    return this.lines.some((line) => pattern.test(line));
  }

  /** Resolves with the first line that matches, already there or yet to come. */
  waitFor(pattern: RegExp, limitMs = 60_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(
          new Error(`no log line matched ${String(pattern)} within ${limitMs} ms; the last lines:\n${this.lines.slice(-20).join('\n')}`),
        );
      }, limitMs);
      const look = (): void => {
        const line = this.lines.find((candidate) => pattern.test(candidate));
        if (line === undefined) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(line);
      };
      this.#waiting.add(look);
      look();
    });
  }

  unexpected(): string[] {
    // a stack that Node prints by itself carries no level: it is never expected
    const loud = this.lines.filter((line) => /^(WARN|ERROR)\b/.test(line) || /^(Uncaught|node:internal|.*Unhandled)/.test(line));
    return loud.filter((line) => !this.#expected.some((pattern) => pattern.test(line)));
  }

  assertQuiet(): void {
    assert.deepEqual(this.unexpected(), [], 'unannounced WARN or ERROR lines in the log');
  }
}
