/** The container that was served from here is not where it was. */
import { StoreAnswered } from '../base/errors.js';
import type { ContainerMemory } from './container-memory.js';

export class ContainerLost extends StoreAnswered {
  /** As told, without what changes by the minute. */
  readonly where: string;
  /** Another account, rather than a container that is missing. */
  readonly isElsewhere: boolean;

  /**
   * @param memory of the container that was served from here
   * @param account in which we look; undefined: where it was
   * @param hangs what would go astray if another container took its place, in words
   */
  constructor(container: string, memory: ContainerMemory, account: string | undefined, hangs: string) {
    const [before, now] = [memory.account ?? 'that is not known', account ?? memory.account ?? 'that is not known'];
    const where =
      before === now ? `is missing in account ${now}` : `was in account ${before}, and these credentials are for account ${now}`;
    const remedy =
      'check the credentials, the project and the region, or bring the container back; if it is gone for good, start once with --accept-new-container';
    super(`container ${container} ${where}; ${hangs}: ${remedy}`);
    this.where = where;
    this.isElsewhere = before !== now;
  }
}

/** What would go astray if another container took this one's place, in words; undefined when nothing would. */
export function whatHangsOn({ isConfirmed, names, writes }: ContainerMemory): string | undefined {
  const hangs = [names, writes].filter((what) => what !== undefined).join(' and ');
  return isConfirmed && hangs !== '' ? hangs : undefined;
}

/** What would go astray in another account, in words: there also what is still to be removed. */
export function whatWouldGoAstray(memory: ContainerMemory): string | undefined {
  const hangs = [whatHangsOn(memory), memory.removals].filter((what) => what !== undefined).join(' and ');
  return hangs === '' ? undefined : hangs;
}

/** Whether what is served from here lies in another account than the one we are in. */
export function isElsewhere({ account: before }: ContainerMemory, account: string): boolean {
  return before !== undefined && before !== account;
}
