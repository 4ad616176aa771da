/**
 * The log: one line an event, to standard error (journald adds time and unit), as `LEVEL event key=value …`.
 * INVARIANT: no secret is ever a field; every WARN is a heading in docs/TROUBLESHOOTING.md or says its own remedy.
 */
type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

function formatValue(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value);
  return /^[\w./:@%+,-]+$/.test(value) ? value : JSON.stringify(value);
}

/**
 * @param threshold the least level that is written
 * @param write takes one whole line without its newline
 */
export function createLog(threshold: LogLevel, write: (line: string) => void): Log {
  const emit =
    (level: LogLevel) =>
    (event: string, fields?: LogFields): void => {
      if (ORDER[level] < ORDER[threshold]) return;
      let line = `${level.toUpperCase()} ${event}`;
      for (const [key, value] of Object.entries(fields ?? {})) if (value !== undefined) line += ` ${key}=${formatValue(value)}`;
      write(line);
    };
  return { debug: emit('debug'), info: emit('info'), warn: emit('warn'), error: emit('error') };
}

export const SILENT_LOG: Log = createLog('error', () => undefined);
