/** The C client (bench/client.c), compiled into the run's own directory, and its answers. */
import path from 'node:path';
import { runOk } from '../../test/helpers/processes.js';
import { projectRoot } from '../../test/helpers/project.js';

export interface Timed {
  /** Operations, files or entries. */
  readonly count: number;
  readonly totalNs: number;
  readonly p50Ns?: number;
  readonly p90Ns?: number;
  readonly bytes?: number;
  readonly cpuSeconds?: number;
  readonly exitCode?: number;
}

const LIMIT_MS = 240_000;

export class BenchClient {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  /** @throws Error when there is no C compiler */
  static async compile(directory: string): Promise<BenchClient> {
    const program = path.join(directory, 'bench-client');
    await runOk('cc', ['-std=gnu11', '-O2', '-o', program, path.join(projectRoot, 'bench/client.c')]);
    return new BenchClient(program);
  }

  /** @throws Error with the client's message when any call on the file system failed */
  async run(...args: readonly (string | number)[]): Promise<Timed> {
    return JSON.parse(await runOk(this.#program, args.map(String), { timeoutMs: LIMIT_MS })) as Timed;
  }

  /** Runs another program under the clock. @throws Error when it ends with another code than 0 */
  async command(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Timed> {
    const timed = JSON.parse(await runOk(this.#program, ['run', command, ...args], { timeoutMs: LIMIT_MS, env })) as Timed;
    if (timed.exitCode !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${String(timed.exitCode)}`);
    return timed;
  }
}

/** Microseconds of the middle operation of a pass: one that the scheduler cut in two counts as one, whatever it took. */
export function usP50({ p50Ns = Number.NaN }: Timed): number {
  return p50Ns / 1000;
}

/** Microseconds an operation, by the mean of the pass. */
export function usEach({ totalNs, count }: Timed): number {
  return totalNs / count / 1000;
}

export function msP50({ p50Ns = Number.NaN }: Timed): number {
  return p50Ns / 1e6;
}
