/** The one place at the FUSE edge where a failed request is logged and counted. A flood of one failure is one line in ten seconds. */
import type { ErrorKind } from '../base/errors.js';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';

/** What a client may meet in ordinary life; worth a line at debug only. */
const ORDINARY: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  'not-found',
  'exists',
  'not-directory',
  'is-directory',
  'not-empty',
  'cross-device',
  'invalid-argument',
  'invalid-name',
  'name-too-long',
  'read-only',
  'not-permitted',
  'forbidden',
  'unsupported',
  'bad-handle',
  'stale',
  'interrupted',
]);
const QUIET_MS = 10_000;

export class ErrorReport {
  readonly #log: Log;
  readonly #onError: ((operation: string, error: FilestoreError) => void) | undefined;
  readonly #lastMs = new Map<string, { atMs: number; suppressed: number }>();

  constructor(log: Log, onError: ((operation: string, error: FilestoreError) => void) | undefined) {
    this.#log = log;
    this.#onError = onError;
  }

  report(operation: string, error: unknown): void {
    const kind = kindOf(error);
    const known = error instanceof FilestoreError ? error : new FilestoreError(kind, messageOf(error), { cause: error });
    this.#onError?.(operation, known);
    if (ORDINARY.has(kind)) {
      this.#log.debug('request-refused', { operation, kind, reason: known.message });
      return;
    }
    const key = `${operation} ${kind}`;
    const nowMs = performance.now();
    const last = this.#lastMs.get(key);
    if (last !== undefined && nowMs - last.atMs < QUIET_MS) {
      last.suppressed++;
      return;
    }
    this.#lastMs.set(key, { atMs: nowMs, suppressed: 0 });
    const fields = { operation, kind, reason: known.message, suppressed: last?.suppressed || undefined };
    if (kind === 'internal') this.#log.error('request-failed', { ...fields, stack: error instanceof Error ? error.stack : undefined });
    else this.#log.warn('request-failed', fields);
  }
}
