/**
 * Tries to open again what this machine could not open at the start: a disk that failed once, or was full, need not cost a restart, and what waits
 * there for Swift is to go without anyone asking. One after another, in the background, the first time after a second, and every ten seconds then.
 *
 * INVARIANT: what opening reads, some of it in the event loop's own thread, has been read by other threads right before: a disk that hangs, or takes its
 * time to fail, holds up neither the loop nor the end of the mount, but only the next try.
 */
import { steadyNowMs } from '../base/clock.js';
import type { Log } from '../base/log.js';
import { displayName } from '../base/names.js';
import { readBeforehand } from './open-database.js';
import type { RefusedDatabase, RefusedDatabases } from './refused-databases.js';

const FIRST_PAUSE_MS = 1_000;
const PAUSE_MS = 10_000;
/** A pause is so many times as long as the tries before it: a journal of many megabytes that is read in vain takes little of the machine. */
const PAUSE_FOR_TRIES = 20;

interface RefusedAgainParts {
  readonly refused: RefusedDatabases;
  readonly spoolDirectory: string;
  readonly log: Log;
  /** Opens it. @returns whether it need not be refused any more. @throws why it cannot be opened */
  readonly open: (refused: RefusedDatabase) => Promise<boolean>;
}

export class RefusedAgain {
  readonly #parts: RefusedAgainParts;
  #timer: NodeJS.Timeout | undefined;
  /** Settles when what is being opened is open, or is not. */
  #opening: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(parts: RefusedAgainParts) {
    this.#parts = parts;
  }

  /** From now on, as long as one is refused. */
  start(): void {
    this.#tryIn(FIRST_PAUSE_MS);
  }

  /** Nothing is opened any more, and nothing is being opened when it resolves. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#opening;
  }

  #tryIn(pauseMs: number): void {
    if (this.#isClosed || this.#parts.refused.all().length === 0) return;
    this.#timer = setTimeout(() => void this.#tryAll(), pauseMs).unref();
  }

  /** Never rejects. */
  async #tryAll(): Promise<void> {
    const startedMs = steadyNowMs();
    for (const refused of this.#parts.refused.all()) await this.#try(refused);
    this.#tryIn(Math.max(PAUSE_MS, PAUSE_FOR_TRIES * (steadyNowMs() - startedMs)));
  }

  /** Never rejects. */
  async #try(refused: RefusedDatabase): Promise<void> {
    try {
      await readBeforehand(this.#parts.spoolDirectory, refused.folder);
    } catch (error) {
      this.#parts.refused.failedAgain(refused, error);
      return;
    }
    if (this.#isClosed) return;
    this.#opening = this.#open(refused);
    await this.#opening;
  }

  /** Never rejects. */
  async #open(refused: RefusedDatabase): Promise<void> {
    const { refused: all, log, open } = this.#parts;
    try {
      if (!(await open(refused))) return;
      all.end(refused);
      log.info('database.opened-late', { database: displayName(refused.database ?? refused.folder), meaning: 'it is served from now on' });
    } catch (error) {
      if (!this.#isClosed) all.failedAgain(refused, error);
    }
  }
}
