/**
 * Work that ^C, `kill` or a closed terminal ends: it is told, clears up behind itself, and then the program ends by that signal, as its caller expects.
 * A second signal ends it at once. Whether a signal was ignored before (`nohup`, `command &` in a script) cannot be told: Node resets them all at its
 * start (node.cc, `ResetSignalHandlers`), and would end at them without us, too.
 */
import { FilestoreError } from '../base/errors.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @param work is given a signal that is aborted then. @throws what `work` throws */
export async function untilSignalled<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const ending = new AbortController();
  let received: NodeJS.Signals | undefined;
  const listenNoMore = (): void => {
    for (const signal of SIGNALS) process.removeListener(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    listenNoMore();
    received = signal;
    ending.abort(new FilestoreError('interrupted', `ended by ${signal}`));
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await work(ending.signal);
  } finally {
    listenNoMore();
    if (received !== undefined) process.kill(process.pid, received);
  }
}
