/** A log that keeps some events back until it is known that they matter. */
import type { Log, LogFields } from '../base/log.js';

export class HeldBackLog implements Log {
  readonly #log: Log;
  readonly #events: readonly string[];
  #held: (() => void)[] | undefined = [];

  constructor(log: Log, events: readonly string[]) {
    this.#log = log;
    this.#events = events;
  }

  /** Writes what was kept back, and keeps nothing back any more. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const write of held) write();
  }

  debug(event: string, fields?: LogFields): void {
    this.#write('debug', event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#write('info', event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#write('warn', event, fields);
  }

  error(event: string, fields?: LogFields): void {
    this.#write('error', event, fields);
  }

  #write(level: keyof Log, event: string, fields: LogFields | undefined): void {
    if (this.#held !== undefined && this.#events.includes(event)) this.#held.push(() => this.#log[level](event, fields));
    else this.#log[level](event, fields);
  }
}
