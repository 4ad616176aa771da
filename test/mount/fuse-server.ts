/**
 * A daemon for the mount tests: serves a small tree on the mount point given, in a process of its own, as the real one does.
 * Arguments: MOUNT_POINT ring|device|pure|fuse-native [close-input]. Speaks lines on standard output; takes commands (lines) on standard input.
 */
import { spawnSync } from 'node:child_process';
import { openSync, mkdtempSync, writeFileSync, rmSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createLog } from '../../src/base/log.js';
import { messageOf } from '../../src/base/errors.js';
import { createFuseNativeDriver } from '../../src/fuse/fuse-native-driver.js';
import { createKernelDriver } from '../../src/fuse/kernel-driver.js';
import { TreeFileSystem } from '../unit/fuse/tree-file-system.js';

const [, , mountPoint = '', transport = 'ring', input = 'commands'] = process.argv;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const tree = new TreeFileSystem();
tree.addFile('hello', 'hello, world\n');
tree.addFile('big', Buffer.alloc(3_000_000, 'abcdefghij'));
const many = tree.addDirectory('many');
for (let i = 0; i < 2000; i++) tree.addFile(`file-${String(i).padStart(4, '0')}`, String(i), many);
const scratch = mkdtempSync(join(tmpdir(), 'fuse-server-'));
const backing = join(scratch, 'backing');
writeFileSync(backing, Buffer.alloc(5_000_000, '0123456789'));
const backed = tree.addFile('backed', readFileSync(backing));
backed.fd = openSync(backing, 'r');
rmSync(scratch, { recursive: true });
tree.addFile('popular', 'often read').isShareable = true;
tree.addFile('stalls', 'never seen');
tree.addFile('slow', 'seen after a while');
tree.addFile('throws', '');
tree.before = (operation, _caller, name) => {
  if (name?.startsWith('stalls') === true) return new Promise(() => undefined);
  if (operation === 'lookup' && name === 'slow') return new Promise((resolve) => setTimeout(resolve, 700));
  if (name === 'throws') throw new TypeError('a handler that throws');
  return undefined;
};

const driver =
  transport === 'fuse-native'
    ? createFuseNativeDriver()
    : createKernelDriver(transport === 'pure' || transport === 'device' ? { transport } : {});
try {
  const mounted = await driver.mount(tree, {
    mountPoint,
    source: 'test:tree',
    subtype: 'swiftfs-test',
    allowOther: true,
    defaultPermissions: true,
    requestDeadlineMs: 20_000,
    log: createLog('info', (line) => say(`log ${line}`)),
  });
  tree.endSharing = (ino) => mounted.endSharing(ino);
  say(`mounted ${mounted.description} passthrough=${mounted.capabilities.passthrough}`);
  void mounted.ended.then(() => say('ended'));
  const commands = createInterface(process.stdin);
  if (input === 'close-input') commands.close();
  commands.on('line', (line) => {
    const [command, ...rest] = line.split(' ');
    switch (command) {
      case 'unmount':
        mounted.unmount(rest[0] === 'detach' ? 'detach' : 'clean').then(
          () => say('unmounted'),
          (error: unknown) => say(`failed ${messageOf(error)}`),
        );
        break;
      case 'asked':
        say(`asked ${tree.asked.filter((operation) => operation === rest[0]).length}`);
        break;
      case 'handles':
        say(`handles ${tree.openHandles} active ${mounted.activeRequests}`);
        break;
      case 'replace':
        tree.addFile(rest[0] ?? '', rest[1] ?? '');
        mounted.invalidateEntry(1, rest[0] ?? '');
        say('replaced');
        break;
      case 'exit':
        process.exit(3);
        break;
      case 'exit-late':
        say('busy');
        spawnSync('sleep', [rest[0] ?? '']);
        process.exit(3);
        break;
      case 'close':
        process.stdin.destroy();
        break;
      default:
        say('what?');
    }
  });
  if (input === 'close-input') process.stdin.destroy();
  process.stdin.on('end', () => void mounted.unmount('detach').catch(() => undefined));
} catch (error) {
  say(`refused ${messageOf(error)}`);
  process.exitCode = 1;
}
