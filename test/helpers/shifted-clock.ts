/**
 * A program whose clock is off, and can be set while it runs: what it asks `Date` for is shifted by what a file says. Give its `env` to the program.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { tempDir } from './temp-dir.js';

/** Run before everything else. */
const SHIM = (file: string): string => `
import { readFileSync } from 'node:fs';
const RealDate = Date;
const now = () => RealDate.now() + Number(readFileSync(${JSON.stringify(file)}, 'utf8'));
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }
  static now() {
    return now();
  }
};
`;

export class ShiftedClock {
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  /** @param aheadMs how far it is ahead of the machine's */
  constructor(aheadMs: number) {
    const directory = tempDir('clock');
    this.#file = path.join(directory, 'ahead-ms');
    const shim = path.join(directory, 'shim.mjs');
    writeFileSync(shim, SHIM(this.#file));
    this.env = { NODE_OPTIONS: `--import ${pathToFileURL(shim).href}` };
    this.set(aheadMs);
  }

  set(aheadMs: number): void {
    writeFileSync(this.#file, String(aheadMs));
  }
}
