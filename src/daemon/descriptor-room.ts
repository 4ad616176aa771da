/** Says at the start when the limit of open files leaves little room: past it, opens for reading fail with EIO while all else looks well. */
import type { Log } from '../base/log.js';
import { openFileLimit } from '../base/open-file-limit.js';
import { mostReadFiles } from '../cache/held-files.js';

/** Log, locks, journals, the device, the control socket, Node's own: 25 were counted in a mount at rest. */
const OWN = 64;
/** What a machine's Odoo workers may have open at one time for reading; each distinct file takes a descriptor. */
const OPEN_ON_MOUNT = 1024;

/** @param connections to Swift. @param limit for tests */
export function warnOfLittleRoom(log: Log, connections: number, limit = openFileLimit()): void {
  const room = Math.min(mostReadFiles(limit), limit - connections - OWN);
  if (room >= OPEN_ON_MOUNT) return;
  log.warn('open-file-limit-low', {
    limit,
    filesOpenAtOnce: Math.max(0, room),
    remedy: 'raise the hard limit: LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536 before the start',
  });
}
