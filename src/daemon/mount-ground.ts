/**
 * The directory below the mount: whose it is, and whether it is the origin too. Where a killed daemon's mount still lies on it, what cannot
 * be learnt from there is made up for in the moment in which the new mount replaces it.
 */
import { statSync } from 'node:fs';
import { kindOf } from '../base/errors.js';
import type { Settings } from '../config/options.js';
import { SUBTYPE } from '../control/mount-table.js';
import { canonicalMountPoint, checkMountPoint } from '../fuse/mount-point.js';
import { LateOrigin } from '../origins/late-origin.js';
import type { Origin } from '../origins/origin.js';
import type { Owner } from '../vfs/attributes.js';

export class MountGround {
  readonly #path: string | undefined;
  readonly #isDead: boolean;
  readonly #steps: (() => void)[] = [];
  readonly #owner: { uid: number; gid: number };

  /**
   * @param path canonical; undefined when another made the mount
   * @param isDead a dead mount lies on it
   * @param found whose the directory is; undefined when that cannot be told yet
   */
  constructor(path: string | undefined, isDead: boolean, found: Owner | undefined, { uid, gid }: Pick<Settings, 'uid' | 'gid'>) {
    this.#path = path;
    this.#isDead = isDead;
    this.#owner = { uid: uid ?? found?.uid ?? 0, gid: gid ?? found?.gid ?? 0 };
    if (path === undefined || found !== undefined || (uid !== undefined && gid !== undefined)) return;
    this.#steps.push(() => {
      const stats = statSync(path);
      this.#owner.uid = uid ?? stats.uid;
      this.#owner.gid = gid ?? stats.gid;
    });
  }

  static inherited(settings: Settings, host: Owner): MountGround {
    return new MountGround(undefined, false, host, settings);
  }

  /** Whose the files on the mount are, where it is not said: whose the directory is. Right from the moment of the mount on. */
  get owner(): Owner {
    return this.#owner;
  }

  /** What the driver has to call when the directory is bare for a moment. */
  get mountOptions(): { readonly onUncovered?: () => void } {
    if (this.#steps.length === 0) return {};
    return { onUncovered: () => this.#steps.splice(0).forEach((step) => step()) };
  }

  /** Opened now, or in that moment when it is the directory below the dead mount. @throws what `open` throws */
  async openOrigin(directory: string, open: (directory: string) => Origin): Promise<Origin> {
    if (!this.#isDead || !(await this.#isHere(directory))) return open(directory);
    let opened: Origin | undefined;
    this.#steps.push(() => (opened = open(directory)));
    return new LateOrigin(directory, () => opened);
  }

  /** Whether the dead mount that was found lies there still. */
  async isDeadStill(): Promise<boolean> {
    if (!this.#isDead || this.#path === undefined) return false;
    return (await checkMountPoint(this.#path, SUBTYPE).catch(() => 0)) > 0;
  }

  /** The mount point, or below it. A path that leads through a dead mount cannot be made canonical. */
  async #isHere(directory: string): Promise<boolean> {
    const path = await canonicalMountPoint(directory).catch((error: unknown) => {
      if (kindOf(error) === 'bad-config') return directory;
      throw error;
    });
    return path === this.#path || path.startsWith(`${this.#path ?? ''}/`);
  }
}
