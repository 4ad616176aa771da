/** The last errors and warnings, kept for `status`: a log that remembers. */
import type { Log, LogFields } from '../base/log.js';

export interface RecentError {
  readonly atMs: number;
  readonly message: string;
}

const KEPT = 20;

export function rememberErrors(log: Log, nowMs: () => number): { readonly log: Log; readonly recent: readonly RecentError[] } {
  const recent: RecentError[] = [];
  const remember = (event: string, fields: LogFields | undefined): void => {
    const said = Object.entries(fields ?? {}).filter(([, value]) => value !== undefined);
    recent.push({ atMs: nowMs(), message: [event, ...said.map(([key, value]) => `${key}=${String(value)}`)].join(' ') });
    if (recent.length > KEPT) recent.shift();
  };
  return {
    recent,
    log: {
      debug: (event, fields) => log.debug(event, fields),
      info: (event, fields) => log.info(event, fields),
      warn: (event, fields) => {
        remember(event, fields);
        log.warn(event, fields);
      },
      error: (event, fields) => {
        remember(event, fields);
        log.error(event, fields);
      },
    },
  };
}
