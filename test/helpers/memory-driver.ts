/**
 * A driver without a kernel: the file system is mounted on nothing and reached through a {@link MemoryClient}, which walks paths and asks
 * the questions the kernel would ask (LOOKUP before CREATE, FLUSH before RELEASE, FORGET at the end). For tests of file systems.
 */
import type { DriverCapabilities, FuseDriver, Mounted, MountOptions } from '../../src/fuse/driver.js';
import type { FileSystem } from '../../src/fuse/file-system.js';
import { FilestoreError } from '../../src/base/errors.js';
import { SILENT_LOG } from '../../src/base/log.js';
import { MemoryClient } from './memory-client.js';
import { RequestRunner } from './memory-requests.js';

export interface MemoryMount extends Mounted {
  /** A client with root's identity. */
  readonly client: MemoryClient;
  /** What the file system told the kernel to forget, in order. */
  readonly invalidated: readonly MemoryInvalidation[];
}

type MemoryInvalidation = { readonly parent: number; readonly name: string } | { readonly ino: number };

interface MemoryDriver extends FuseDriver {
  mount(fileSystem: FileSystem, options?: Partial<MountOptions>): Promise<MemoryMount>;
}

const CAPABILITIES: DriverCapabilities = { passthrough: false, invalidation: true, entryLifetimes: true, byteNames: true };

const DEFAULTS: MountOptions = {
  mountPoint: '/memory',
  source: 'memory',
  subtype: 'memory',
  allowOther: true,
  defaultPermissions: false,
  requestDeadlineMs: 60_000,
  log: SILENT_LOG,
};

export function createMemoryDriver(): MemoryDriver {
  return {
    mount: (fileSystem, options = {}) => Promise.resolve(mountInMemory(fileSystem, { ...DEFAULTS, ...options })),
  };
}

function mountInMemory(fileSystem: FileSystem, options: MountOptions): MemoryMount {
  const runner = new RequestRunner(fileSystem, options.requestDeadlineMs, options.onError);
  const invalidated: MemoryInvalidation[] = [];
  let finish = (): void => undefined;
  const ended = new Promise<void>((resolve) => (finish = resolve));
  return {
    capabilities: CAPABILITIES,
    description: 'memory',
    client: new MemoryClient(runner, { uid: 0, gid: 0, pid: process.pid }),
    invalidated,
    ended,
    invalidateEntry: (parent, name) => void invalidated.push({ parent, name }),
    endSharing: () => undefined,
    invalidateInode: (ino) => {
      invalidated.push({ ino });
      return undefined;
    },
    get activeRequests() {
      return runner.active;
    },
    isHeld: false,
    unmount: (how) => {
      if (how === 'clean' && runner.openHandles > 0) {
        return Promise.reject(new FilestoreError('busy', `${options.mountPoint} is busy: ${runner.openHandles} open files or directories`));
      }
      finish();
      return Promise.resolve();
    },
  };
}
