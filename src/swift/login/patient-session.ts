/**
 * The session for who asks for nothing else: `login --check`, and the account that a start looks at. A start has nobody behind it to try again,
 * so a login that fails for now is repeated here as the calls to Swift repeat it, and for as long as a service that is there asks us to wait.
 */
import type { Clock } from '../../base/clock.js';
import { FilestoreError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { RequestOptions } from '../../store/object-store.js';
import { Deadline } from '../requests/deadline.js';
import { LoginUnavailable } from './login-request.js';
import type { SessionKeeper } from './session-keeper.js';
import type { Session } from './session.js';

export interface PatientParts {
  readonly sessions: SessionKeeper;
  readonly clock: Clock;
  readonly log: Log;
  readonly requestTimeoutMs: number;
}

/** @throws FilestoreError bad-credentials, bad-config; unavailable when the next try would come after the time is over */
export async function patientSession(parts: PatientParts, options: RequestOptions): Promise<Session> {
  const { sessions, clock, log } = parts;
  const deadline = new Deadline(clock, options.timeoutMs ?? parts.requestTimeoutMs, 0, options.signal);
  try {
    for (;;) {
      try {
        return await sessions.session();
      } catch (error) {
        const { pauseMs } = sessions;
        if (!isPassing(error, sessions.failures) || pauseMs >= deadline.remainingMs) throw error;
        log.info('login-waits', { error: error.message, nextTryMs: Math.round(pauseMs) });
        await pause(clock, pauseMs, deadline, error);
      }
    }
  } finally {
    deadline.close();
  }
}

/** One hiccup is waited out; a login that goes on failing is an outage, unless the service is there and asks for patience. */
function isPassing(error: unknown, failures: number): error is FilestoreError {
  if (!(error instanceof FilestoreError) || error.kind !== 'unavailable') return false;
  return failures < 2 || (error instanceof LoginUnavailable && error.asksToWait);
}

async function pause(clock: Clock, pauseMs: number, deadline: Deadline, error: FilestoreError): Promise<void> {
  try {
    await clock.sleep(pauseMs, deadline.signal);
  } catch {
    throw deadline.error('the login', error.message);
  }
}
