/**
 * A database's container: found, made, and claimed (container-claim.ts). A container is never made inside a MKDIR, which must not wait: the record is
 * written, and `ensure` is called by whoever first needs the container, or by the publisher.
 *
 *    unbound ──ensure──► bound (ours to use)        refused: another owner, or another machine with `nodes: one`; asked again every minute
 *       ▲                  │
 *       └── it is missing ─┘                        lost: it was confirmed and is missing now, or lies in another account, and something hangs on it
 *
 * A container that is lost (loss-watch.ts) is never made anew by itself: what is known of it would be called absent, and what waits for it would land
 * elsewhere.
 *
 * A machine that finds another one at a renewal stays bound (its writes are content that nobody else lacks the right to), but `refusal` is set, and
 * the publisher keeps its deletes back.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import { displayName, objectNameOf } from '../base/names.js';
import { SingleFlight } from '../base/single-flight.js';
import type { ContainerInfo, RequestOptions } from '../store/object-store.js';
import { ContainerClaim, FORGETTING, LEAVE_MS, type ClaimOptions } from './container-claim.js';
import { DropAcknowledgement } from './drop-acknowledgement.js';
import { ContainerLost, isElsewhere } from './container-lost.js';
import { DROPPED_KEY, dropMarkOf, isBeingDropped } from './container-metadata.js';
import type { DropLook, Outcome } from './drop-watch.js';
import { DropWatch } from './drop-watch.js';
import { LossWatch, type LossOptions } from './loss-watch.js';
import { holdsWhatWasStoredSince } from './stored-since.js';

/** How often a start looks whether a doubt about this machine's own registration has ended (own-registration.ts). */
const DOUBT_LOOK_MS = 1_000;
/** Names among which something that was stored in a container since it was made again is looked for. */
const LATER_AMONG = 1_000;

export interface BindingOptions extends ClaimOptions, LossOptions {
  /** Another node has dropped the database in a life before, and nothing needs a container since. */
  readonly isEnded?: boolean;
  /** There is work for the publisher. */
  readonly wake?: () => void;
  /** Called before the container is asked for; of use with `nodes: many`. */
  readonly beginLook?: () => DropLook;
  /** Paths of what was stored from here after this moment by the store's clock, in ms since the epoch. */
  readonly storedSince?: (atMs: number) => string[];
}

export class ContainerBinding {
  readonly #options: BindingOptions;
  readonly #flight = new SingleFlight<void>();
  readonly #looks = new SingleFlight<void>();
  #bound = false;
  #seenAtMs = 0;
  /** When the last question set out that found it there, dropped or not. */
  #lookedAtMs = 0;
  #madeHere = false;
  #isEnded: boolean;
  /** Drops that we have marked, or tried to; the last one has not been made anew here. */
  #marks = 0;
  #isDroppedHere = false;
  readonly #claim: ContainerClaim;
  readonly #acknowledgement: DropAcknowledgement;
  readonly #drops: DropWatch;
  readonly #losses: LossWatch;

  constructor(options: BindingOptions) {
    this.#options = options;
    this.#isEnded = options.isEnded ?? false;
    this.#claim = new ContainerClaim(options);
    this.#acknowledgement = new DropAcknowledgement(this.#claim, options.log);
    this.#drops = new DropWatch(options.nodes === 'many' ? options.beginLook : undefined);
    this.#losses = new LossWatch(options, this.#drops);
  }

  get isBound(): boolean {
    return this.#bound;
  }

  /** This daemon made the container, so every name in it is ours, as long as nobody uploads behind our back (see absence.ts). */
  get madeHere(): boolean {
    return this.#madeHere;
  }

  /** Why the container may not be ours, as it was last seen. */
  get refusal(): FilestoreError | undefined {
    return this.#losses.current ?? this.#claim.refusal;
  }

  /** Set when the credentials are for another account than the container's, as far as anybody has looked. */
  get elsewhere(): ContainerLost | undefined {
    return this.#losses.elsewhere;
  }

  /** Swift has, or had, the container: an answer of "not there" says that it is missing, and not that it was never made. */
  get isExpected(): boolean {
    const { isConfirmed, isFound } = this.#options.memory;
    return this.#bound || isConfirmed || isFound;
  }

  /**
   * To be called before a name that is known is called absent: Swift answers 404 for it as well when the whole container is missing. One HEAD
   * for all who ask together.
   * @param sinceMs when the question for the name set out, in ms since the epoch
   * @throws StoreAnswered when the container is missing; unavailable, …
   */
  async assertThere(sinceMs: number): Promise<void> {
    if (this.elsewhere !== undefined) throw this.elsewhere;
    // A look that others have begun may be older than our question; the second is not.
    for (let looks = 0; looks < 2 && this.isExpected && this.#lookedAtMs < sinceMs; looks++) {
      await this.#looks.run('look', async () => {
        if (await this.#isMissing()) throw this.missing();
      });
    }
  }

  /** Asks whether a bound container is still there; where another node dropped it, the database ends here. @throws what the store throws */
  async look(): Promise<void> {
    await this.#looks.run('look', async () => {
      await this.#isMissing();
    });
  }

  /** Whether it is missing, and no other node has dropped it. */
  async #isMissing(): Promise<boolean> {
    const [outcomeOf, askedAtMs] = [this.#beginLook(), steadyNowMs()];
    const info = await this.#options.store.headContainer(this.#options.container);
    if (info !== undefined) this.#lookedAtMs = askedAtMs;
    if (info !== undefined && !isBeingDropped(info)) {
      this.#seen(askedAtMs);
      await this.#lookForLater(info);
      return false;
    }
    const outcome = await this.#judge(outcomeOf, info);
    if (outcome === 'kept') {
      // Who binds takes the mark away.
      this.unbind();
      this.#options.wake?.();
    }
    return outcome === 'lives' && info === undefined;
  }

  /** For who was told that the container is missing, and expects it: `ensure` looks again. @returns what to throw */
  missing(): StoreAnswered {
    const { container, nodes } = this.#options;
    const lost = this.#losses.missing();
    if (lost !== undefined || nodes === 'one') this.#bound = false;
    return lost ?? new StoreAnswered(`container ${container} is missing in Swift; nothing can be said of the files in it`);
  }

  /** For a start, before anything else is asked. @param account in which we are now. @throws ContainerLost when the container was in another one */
  assertAccount(account: string): void {
    this.#losses.assertAccount(account);
  }

  /**
   * For what is asked of a container, or done to it, that may not be bound: the login may lead to another account, where one of that name is
   * somebody else's. Once it is bound that is settled, and nothing is asked.
   * @throws ContainerLost; what a login throws
   */
  async assertOurAccount(options: RequestOptions): Promise<void> {
    if (this.#bound) return;
    const { memory, store } = this.#options;
    const account = await store.account(options);
    this.assertAccount(account);
    // What follows is sent there, whatever the next login says.
    if (memory.account === account) store.confirmAccount(account);
  }

  /** When the container was last seen to be there and nobody's drop, in ms since the epoch. */
  get seenAtMs(): number {
    return this.#seenAtMs;
  }

  /** Another node dropped the database, and nobody has written here since: its container is not to be made again without need. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The database is made again: it is to have a container. */
  begin(): void {
    this.#isEnded = false;
    this.#isDroppedHere = false;
    this.#acknowledgement.cancel();
  }

  /**
   * For a start that was refused: waits a moment when the refusal may end by itself soon, because it is not known yet whether a life before of
   * this very daemon is meant.
   * @throws `refusal` when there is no such doubt
   */
  async restIfDoubted(refusal: unknown): Promise<void> {
    if (!this.#claim.isDoubted) throw refusal;
    this.#options.log.debug('container.doubted', { reason: messageOf(refusal) });
    await delay(DOUBT_LOOK_MS);
  }

  /**
   * For a start that has the container's metadata at hand and does not bind yet.
   * @throws FilestoreError busy, exists
   */
  assertMayBind(info: ContainerInfo): void {
    this.#claim.check(info);
  }

  /**
   * Binds when it is not bound. Who finds it under way waits for that.
   * @throws FilestoreError busy (another machine has it), exists (a database whose name differs in case has it), unavailable, forbidden, …
   */
  async ensure(options: RequestOptions = {}): Promise<void> {
    if (this.#bound) return;
    const bind = (): Promise<void> => this.#flight.run('bind', () => this.#bind(options));
    const isJoined = this.#flight.get('bind') !== undefined;
    try {
      await bind();
    } catch (error) {
      // The publisher, which begins first, has few tries, and comes again; who has more time is not to be refused for that.
      if (!isJoined || options.tries === 'few' || this.#bound || !mayFollow(error)) throw error;
      await bind();
    }
  }

  /**
   * Says again that this machine is here, and looks who else is. Of a database that has ended elsewhere: looks whether it was made anew.
   * @throws as `ensure`
   */
  async renew(options: RequestOptions = { priority: 'background' }): Promise<void> {
    const { store, container } = this.#options;
    const outcomeOf = this.#beginLook();
    const info = await store.headContainer(container, options);
    if (info === undefined || isBeingDropped(info)) {
      if (this.#isEnded || (await this.#judge(outcomeOf, info, options)) === 'ended') return;
      this.#bound = false;
    }
    if (info === undefined || !this.#bound) {
      await this.ensure(options);
      return;
    }
    this.#seen(steadyNowMs());
    await this.#lookForLater(info, options);
    await this.#claim.renew(info, options);
    // Seen meanwhile: the registration must not stand.
    if (this.#isEnded) void this.#acknowledgement.send();
  }

  /**
   * The database is dropped here: says so to the other nodes.
   * @param mark of this drop
   * @returns `overtaken`: it was made again, or marked anew, before the mark was written, which would have ended the new database on the other nodes
   */
  async markDropped(mark: string): Promise<'marked' | 'gone' | 'overtaken'> {
    const nth = ++this.#marks;
    this.#isDroppedHere = true;
    // One that makes the container would make it after the mark was refused.
    await this.#flight.get('bind')?.catch(() => undefined);
    const isStill = (): boolean => this.#isDroppedHere && this.#marks === nth;
    let isOvertaken = false;
    try {
      isOvertaken = !(await this.#claim.forget({ [DROPPED_KEY]: mark }, FORGETTING, isStill));
      return isOvertaken ? 'overtaken' : 'marked';
    } catch (error) {
      if (kindOf(error) !== 'not-found') throw error;
      return 'gone';
    } finally {
      // Who makes it anew here binds anew, and so takes the mark away.
      if (!isOvertaken) this.unbind();
    }
  }

  /**
   * Whether the drop that this node has begun still stands.
   * @param mark of the drop
   * @returns the hosts of machines that may know the database and have not heard of the drop; undefined when it is gone, or made anew
   */
  async dropWaitsFor(mark: string): Promise<string[] | undefined> {
    const info = await this.#options.store.headContainer(this.#options.container, { priority: 'background' });
    return info !== undefined && dropMarkOf(info) === mark ? this.#claim.othersThatMayKnow(info) : undefined;
  }

  /** Takes the registration back, if Swift answers. */
  async leave(): Promise<void> {
    if (this.#bound) await this.#claim.leave();
    else await this.#acknowledgement.sendLast(LEAVE_MS);
    this.#bound = false;
  }

  /** The container is gone, or was a moment ago: the next `ensure` looks, and makes it again when nothing hangs on the old one. */
  unbind(): void {
    this.#bound = false;
    this.#madeHere = false;
    this.#seenAtMs = 0;
  }

  async #bind(options: RequestOptions, isSecond = false): Promise<void> {
    const { store, container, database, log } = this.#options;
    const account = await store.account(options);
    this.#losses.settleIn(account);
    // A mark of our own that is on its way has come by then.
    await this.#claim.written();
    const marksBefore = this.#marks;
    const outcomeOf = this.#beginLook();
    let info = await store.headContainer(container, options);
    if ((info === undefined || isBeingDropped(info)) && !isElsewhere(this.#options.memory, account)) {
      if ((await this.#judge(outcomeOf, info, options)) === 'ended') return;
    }
    const replaces = this.#losses.replacedBy(account, info);
    if (info === undefined) {
      const outcome = await store.createContainer(container, this.#claim.metadata(), options);
      if (outcome === 'created') {
        this.#madeHere = true;
        this.#becomeBound(account, replaces);
        log.info('container.made', { container, database: displayName(database) });
        return;
      }
      info = await store.headContainer(container, options);
    }
    if (info === undefined) throw new FilestoreError('unavailable', `container ${container} vanished while it was being bound`);
    const mark = dropMarkOf(info);
    this.#acknowledgement.cancel();
    let isRegistered = false;
    try {
      isRegistered = await this.#claim.register(info, mark === undefined ? {} : { [DROPPED_KEY]: '' }, options, {
        // A mark of our own may have come since we looked.
        isStill: () => this.#marks === marksBefore,
        onWritten: () => {
          if (mark !== undefined) this.#drops.remade(mark);
        },
      });
    } catch (error) {
      // Gone since we looked: what that means the next look says.
      if (kindOf(error) !== 'not-found' || isSecond) throw error;
    }
    if (!isRegistered) {
      if (!this.#isDroppedHere && !isSecond) await this.#bind(options, true);
      return;
    }
    this.#becomeBound(account, replaces);
    log.info('container.bound', { container, database: displayName(database), objects: info.objectCount });
  }

  /** @param replaces what the container takes the place of, in words; forgotten now, and not before it is ours */
  #becomeBound(account: string, replaces: string | undefined): void {
    this.#losses.settled(account, replaces);
    this.#bound = true;
    this.#isEnded = false;
    this.#seen(steadyNowMs());
    this.#options.memory.confirmed(account);
  }

  /** It is there, and nobody's drop. */
  #seen(atMs: number): void {
    this.#seenAtMs = atMs;
    this.#drops.seen();
  }

  /**
   * Made again right after a drop, it may hold what was stored since. Its count does not say so: a server that lags counts what was there before. Never
   * rejects: what could not be found out leaves the doubt for its minute.
   */
  async #lookForLater({ objectCount }: ContainerInfo, options: RequestOptions = {}): Promise<void> {
    const { store, container, log } = this.#options;
    const fromMs = this.#drops.outlivedFromMs;
    if (fromMs === undefined || objectCount === 0) return;
    try {
      if (await holdsWhatWasStoredSince(store, container, fromMs, { among: LATER_AMONG }, { ...options, tries: 'few' }))
        this.#drops.outlived();
    } catch (error) {
      log.debug('container.not-listed', { container, reason: messageOf(error) });
    }
  }

  /** What it means that the container is gone, or marked. @throws what the store throws */
  async #judge(
    outcomeOf: (info: ContainerInfo | undefined) => Outcome,
    info: ContainerInfo | undefined,
    options: RequestOptions = {},
  ): Promise<Outcome> {
    const { store, container, nodes, storedSince } = this.#options;
    const mark = info && dropMarkOf(info);
    if (mark === undefined || nodes === 'one' || !this.isExpected || this.#drops.isRemoved(mark)) return outcomeOf(info);
    // Stored by who had not heard of the drop: it lives on with that, also where the node that has dropped it does not run any more.
    const looked = { among: Infinity, named: storedSince?.(Number(mark)).map(objectNameOf) ?? [] };
    return (await holdsWhatWasStoredSince(store, container, Number(mark), looked, options)) ? 'kept' : outcomeOf(info);
  }

  /** To be called before the container is asked for. @returns to be called when it is gone, or being dropped; ends the database when that is sure */
  #beginLook(): (info: ContainerInfo | undefined) => Outcome {
    const outcomeOf = this.#drops.begin();
    return (info) => {
      const mark = info && dropMarkOf(info);
      if (info === undefined && this.#options.memory.isFound) this.#drops.concluded();
      // Of our own drop, which came to Swift after the database was made again here: whoever binds takes it away.
      if (mark !== undefined && mark === this.#options.memory.voidDropMark) return this.#drops.isRemoved(mark) ? 'lives' : 'kept';
      const outcome = outcomeOf(info, this.isExpected);
      if (outcome === 'ended') {
        this.unbind();
        this.#losses.ended();
        this.#isEnded = true;
        if (info !== undefined) void this.#acknowledgement.send();
      }
      return outcome;
    };
  }
}

/** Whether another one may do better with what it asks of Swift: its own requests, with its own patience. */
function mayFollow(error: unknown): boolean {
  const kind = kindOf(error);
  return kind === 'interrupted' || (kind === 'unavailable' && !(error instanceof ContainerLost));
}
