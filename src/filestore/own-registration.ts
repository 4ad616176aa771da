/**
 * Whether the registration under our own id is ours. A cloned machine or a copied spool directory has the same `node-id`, so the id alone says nothing;
 * the value says which life of which daemon wrote it: a session, random at each start, and a seat.
 *
 * The seat stands for "this spool directory in this kernel": the boot's id with the directory's device and inode. Where it is the same, the lock in
 * the directory has seen to it that the life before has ended: a restart goes on at once, also after SIGKILL, also in a container whose host
 * name and machine id are new each time. (A machine id would be worth less: clones share it, containers change it.) Where it differs - a clone, a
 * copy, but also this machine after a reboot that left no time for an orderly end - only time can tell: a daemon that lives renews each minute.
 *
 *    fresh, of another seat ──► doubted ──(unchanged for 70 s, by its own stamp or by our clock)──► the life before, dead
 *                                  └──────(written meanwhile)──► foreign: another daemon lives under our id
 *
 * So a lone daemon waits at most 70 s, and only then. Once registered, a value that we did not write is foreign: it was written after ours. That catches
 * what a start cannot see, such as a machine cloned with its memory.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { ContainerInfo, Metadata } from '../store/object-store.js';
import { LIVE_MS, nodeIdOf, parseRegistration, registeredAs, registration, registrationValue, RENEW_MS } from './node-registry.js';

/** A daemon that lives has renewed by then. */
const SILENT_MS = RENEW_MS + 10_000;
/** An answer of Swift may lag behind what we wrote by a few renewals; older values of ours are of no account. */
const MOST_WRITTEN = 16;

export interface NodeIdentity {
  readonly id: string;
  /** Random, 12 hex digits, new at each start. */
  readonly session: string;
  /** Spool directory and boot, 12 hex digits. */
  readonly seat: string;
}

export type Verdict = 'ours' | 'doubted' | 'foreign';

/** @param spoolDirectory must exist or be makeable; the caller holds its lock */
export function identify(spoolDirectory: string): NodeIdentity {
  const id = nodeIdOf(spoolDirectory);
  const { dev, ino } = statSync(spoolDirectory, { bigint: true });
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const seat = createHash('sha256').update(`${boot} ${dev} ${ino}`).digest('hex').slice(0, 12);
  return { id, session: randomBytes(6).toString('hex'), seat };
}

export class OwnRegistration {
  readonly #node: NodeIdentity;
  readonly #mode: 'one' | 'many';
  /** What we wrote, or may have: also a request without an answer can have been carried out. */
  readonly #written = new Set<string>();
  /** What a life before left and we took over. */
  #inherited: string | undefined;
  #doubted: { readonly value: string; readonly sinceMs: number; readonly moved: boolean } | undefined;

  constructor(node: NodeIdentity, mode: 'one' | 'many') {
    this.#node = node;
    this.#mode = mode;
  }

  /** The metadata of a request that is about to be sent. */
  next(nowMs: number): Metadata {
    const value = registrationValue(this.#mode, `${this.#node.session}-${this.#node.seat}`, nowMs);
    this.#written.delete(value);
    this.#written.add(value);
    for (const old of this.#written) {
      if (this.#written.size <= MOST_WRITTEN) break;
      this.#written.delete(old);
    }
    return registration(this.#node.id, value);
  }

  /** Whether what stands there now is what we wrote in this life. */
  isIn(info: ContainerInfo): boolean {
    const value = registeredAs(info, this.#node.id);
    return value !== undefined && this.#written.has(value);
  }

  /** Whose it is, as far as can be told now. */
  verdict(info: ContainerInfo, nowMs: number): Verdict {
    const value = registeredAs(info, this.#node.id);
    if (value === undefined || value === this.#inherited || this.#written.has(value)) return this.#settle();
    const { life, seenAtMs } = parseRegistration(value);
    const ageMs = nowMs - seenAtMs;
    if (this.#written.size > 0) return ageMs < LIVE_MS ? 'foreign' : this.#settle();
    if (life === undefined || life.endsWith(`-${this.#node.seat}`) || ageMs >= SILENT_MS) return this.#inherit(value);
    if (this.#doubted?.value !== value) this.#doubted = { value, sinceMs: nowMs, moved: this.#doubted !== undefined };
    if (nowMs - this.#doubted.sinceMs >= SILENT_MS) return this.#inherit(value);
    return this.#doubted.moved ? 'foreign' : 'doubted';
  }

  #inherit(value: string): Verdict {
    this.#inherited = value;
    return this.#settle();
  }

  #settle(): Verdict {
    this.#doubted = undefined;
    return 'ours';
  }
}

/** What is told of a verdict that is not `ours`. */
export function sayVerdict(verdict: Verdict, info: ContainerInfo, container: string, nodeId: string, nowMs: number): string {
  const { host, seenAtMs } = parseRegistration(registeredAs(info, nodeId) ?? '');
  const seen = `${Math.max(0, Math.round((nowMs - seenAtMs) / 1000))} s ago`;
  return verdict === 'foreign'
    ? `container ${container}: another daemon with this machine's node-id lives on ${host} (seen ${seen}): a cloned machine, or a copied spool_dir? Where the copy is, stop the daemon and start it with a new, empty spool_dir`
    : `container ${container} was registered ${seen} under this machine's node-id from another place (${host}): if that was this daemon before a reboot or a move, this ends by itself within ${SILENT_MS / 1000} s`;
}
