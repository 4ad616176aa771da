/** This mount as its users run it: as a service, which has a session of its own. */
import { startMount } from '../../test/helpers/with-mount.js';
import type { Mount, MountSettings } from '../../test/helpers/with-mount.js';

export function startService(settings: MountSettings): Promise<Mount> {
  return startMount({ ...settings, ownSession: true });
}
