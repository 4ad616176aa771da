/** A host that has nothing but what a test gives it. */
import type { Host } from '../../../src/config/host.js';

export function hostWith(environment: Readonly<Record<string, string>> = {}, changed: Partial<Host> = {}): Host {
  return { environment, home: '/nowhere/home', workingDirectory: '/nowhere/work', uid: 0, gid: 0, ...changed };
}
