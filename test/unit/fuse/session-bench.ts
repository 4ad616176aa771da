/** A session over a transport and a tree in memory, which tests watch and trouble. */
import type { TestContext } from 'node:test';
import { createLog } from '../../../src/base/log.js';
import type { Urgency } from '../../../src/fuse/client-signals.js';
import { Session } from '../../../src/fuse/session.js';
import { FakeTransport } from './message-builder.js';
import { TreeFileSystem } from './tree-file-system.js';

export interface Bench {
  readonly tree: TreeFileSystem;
  readonly transport: FakeTransport;
  readonly session: Session;
  readonly errors: string[];
  readonly log: string[];
  urgency: Urgency;
}

/** @param deadlineMs after which a request that waits is EIO */
export function begin(t: TestContext, deadlineMs = 60_000): Bench {
  const tree = new TreeFileSystem();
  const transport = new FakeTransport();
  const errors: string[] = [];
  const log: string[] = [];
  const bench: Bench = { tree, transport, errors, log, urgency: 'none', session: undefined as unknown as Session };
  const session = new Session(tree, transport, {
    requestDeadlineMs: deadlineMs,
    log: createLog('warn', (line) => log.push(line)),
    onError: (operation, error) => errors.push(`${operation} ${error.kind}`),
    urgencyOf: () => bench.urgency,
  });
  session.start();
  t.after(() => session.end(19));
  return Object.assign(bench, { session });
}
