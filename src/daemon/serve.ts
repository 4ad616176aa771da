/**
 * The life of the daemon's process round a mount: signals, stray errors, the exit code.
 * SIGTERM or SIGINT: drain, unmount, close, exit 0. The second signal: end at once; the spool keeps what is pending.
 */
import { setFlagsFromString } from 'node:v8';
import { messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { RunningMount } from './running-mount.js';
import type { EndingSignal, SignalInbox } from './signal-inbox.js';

/** How long an end at once waits for the kernel to let go. */
const DETACH_WAIT_MS = 1000;
/** How long the process may linger once all is closed (an answer on the control socket, a last line of the log). */
const LINGER_MS = 2000;

/**
 * Serves until the mount has ended. The process then ends by itself with code 0, or 1 after an end at once.
 * @param inbox has taken in signals since the start
 */
export async function serveUntilEnded(mount: RunningMount, log: Log, inbox: SignalInbox): Promise<void> {
  let signals = 0;
  const onSignal = (signal: EndingSignal): void => {
    signals += 1;
    if (signals > 1) {
      log.warn('ending-at-once', { signal, remedy: 'what is pending stays in the spool; the next start publishes it' });
      void endAtOnce(mount);
      return;
    }
    log.info('signal', { signal });
    mount.stop('detach').catch((error: unknown) => {
      log.error('stop-failed', { reason: messageOf(error) });
      void endAtOnce(mount);
    });
  };
  inbox.handOnTo(onSignal);
  watchStrayErrors(log);
  optimizeSooner();
  await mount.ended;
  log.info('ended');
  setTimeout(() => exitNow(mount, 0), LINGER_MS).unref();
}

/**
 * Optimizes a function after a fifth of the calls that V8 waits for by default: the first thousands of cold reads cost 7 % less CPU. Not from the
 * beginning: a start took 55 ms more then, for the sake of Node's module loader.
 */
function optimizeSooner(): void {
  setFlagsFromString('--interrupt-budget=15000');
}

/** A bug in one request must not take the mount from all others: it is logged, and the process goes on. */
function watchStrayErrors(log: Log): void {
  process.on('unhandledRejection', (reason) => log.error('unhandled-rejection', { reason: messageOf(reason), at: placeOf(reason) }));
  process.on('uncaughtException', (error) => log.error('uncaught-exception', { reason: error.message, at: placeOf(error) }));
}

function placeOf(error: unknown): string | undefined {
  return error instanceof Error
    ? error.stack
        ?.split('\n')
        .slice(1, 4)
        .map((line) => line.trim())
        .join(' < ')
    : undefined;
}

async function endAtOnce(mount: RunningMount): Promise<void> {
  const patience = new Promise<void>((resolve) => setTimeout(resolve, DETACH_WAIT_MS));
  await Promise.race([mount.abandon().catch(() => undefined), patience]);
  exitNow(mount, 1);
}

/**
 * process.exit joins the thread pool, whose threads may be blocked for ever: in reads of the FUSE device while the kernel has not let go
 * of the mount (measured with the pure Node transport), or in an origin whose disk hangs. Then only a signal ends the process; the spool is as safe as after any kill.
 */
function exitNow(mount: RunningMount, code: number): void {
  if (mount.mayExit) process.exit(code);
  process.kill(process.pid, 'SIGKILL');
}
