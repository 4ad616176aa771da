/**
 * Which machines mount a container, kept in its metadata: `osf-node-ID` = `SECONDS MODE HOST LIFE`, renewed every minute. A second live
 * machine is refused until both say `nodes: many`. Whether our own id is really ours: own-registration.ts. One that has stopped leaves
 * `osf-left-ID` = `SECONDS HOST`: it still knows what is in the container, and is to hear of a drop (drops.ts).
 *
 * Swift has no compare-and-swap, so a machine registers first and then looks once more who is there: of two that come at the same moment at least one
 * sees the other, and takes its registration back. Both may be refused; never are both let in. A machine that was silent for three minutes counts
 * as dead, and another may take its place: when it is heard of again, it keeps its deletes back until one of the two is gone.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DIRECTORY_MODE, fsyncDirectorySync } from '../spool/disk-calls.js';
import { makeDurableDirectory } from '../spool/durable-directory.js';
import type { ContainerInfo, Metadata } from '../store/object-store.js';

export const RENEW_MS = 60_000;
/** A machine that was not heard of for this long is dead. */
export const LIVE_MS = 3 * RENEW_MS;
/** A machine that was not heard of for this long is not waited for. */
const REMEMBERED_MS = 7 * 24 * 3600_000;
/** Of machines that do not run; the metadata of a container has room for 4 KiB. */
const MOST_REMEMBERED = 16;
const KEY_PREFIX = 'osf-node-';
const LEFT_PREFIX = 'osf-left-';

interface OtherNode {
  readonly host: string;
  readonly mode: 'one' | 'many';
  readonly seenAtMs: number;
}

/** This machine's id: random, made once, kept in the spool directory, so that a restart is not a second machine. */
export function nodeIdOf(spoolDirectory: string): string {
  const file = join(spoolDirectory, 'node-id');
  try {
    const id = readFileSync(file, 'utf8').trim();
    if (/^[0-9a-f]{12}$/.test(id)) return id;
  } catch {
    // There is none yet.
  }
  makeDurableDirectory(spoolDirectory, DIRECTORY_MODE);
  const id = randomBytes(6).toString('hex');
  writeFileSync(file, `${id}\n`, { mode: 0o600, flush: true });
  // Its name too: with another id this machine would be a second one, and refused until it counts as dead itself.
  fsyncDirectorySync(spoolDirectory);
  return id;
}

/** What stands under an id of the registry. Values that an earlier version wrote have no life. */
interface Registration {
  readonly seenAtMs: number;
  readonly mode: 'one' | 'many';
  readonly host: string;
  /** Which start of which daemon wrote it: `SESSION-SEAT`, both 12 hex digits. */
  readonly life: string | undefined;
}

/** @param life `SESSION-SEAT`, or undefined for none. @returns the value of a registration, at most 256 bytes */
export function registrationValue(mode: 'one' | 'many', life: string | undefined, nowMs: number): string {
  return [Math.floor(nowMs / 1000), mode, ownHost(), life].filter((word) => word !== undefined).join(' ');
}

/** A host name has letters, digits, '-' and '.' only; whatever it is called, it stays one word. */
function ownHost(): string {
  return hostname().replace(/[^\w.-]/g, '_').slice(0, 100); // prettier-ignore
}

export function parseRegistration(value: string): Registration {
  const [seconds, mode, ...rest] = value.split(' ');
  const life = /^[0-9a-f]{12}-[0-9a-f]{12}$/.test(rest.at(-1) ?? '') ? rest.pop() : undefined;
  return { seenAtMs: Number(seconds) * 1000, mode: mode === 'many' ? 'many' : 'one', host: rest.join(' '), life };
}

/** The metadata that registers a machine. */
export function registration(nodeId: string, value: string): Metadata {
  return { [KEY_PREFIX + nodeId]: value };
}

/** What stands under this id. */
export function registeredAs(info: ContainerInfo, nodeId: string): string | undefined {
  return info.metadata[KEY_PREFIX + nodeId];
}

/** The metadata that takes the registration back. */
export function deregistration(nodeId: string): Metadata {
  return { [KEY_PREFIX + nodeId]: '' };
}

/** The metadata that takes the registration back, and says that the machine may come again and knows what is in the container. */
export function departure(nodeId: string, nowMs: number): Metadata {
  return { ...deregistration(nodeId), [LEFT_PREFIX + nodeId]: `${Math.floor(nowMs / 1000)} ${ownHost()}` };
}

/** The metadata that takes a departure back. */
export function noDeparture(nodeId: string): Metadata {
  return { [LEFT_PREFIX + nodeId]: '' };
}

export function otherLiveNodes(info: ContainerInfo, nodeId: string, nowMs: number): OtherNode[] {
  const nodes: OtherNode[] = [];
  for (const [key, value] of Object.entries(info.metadata)) {
    if (!key.startsWith(KEY_PREFIX) || key === KEY_PREFIX + nodeId) continue;
    const { host, mode, seenAtMs } = parseRegistration(value);
    if (nowMs - seenAtMs < LIVE_MS) nodes.push({ host, mode, seenAtMs });
  }
  return nodes;
}

/** Why this machine may not have the container together with those that are there; undefined when it may. */
export function refusalOf(info: ContainerInfo, container: string, nodeId: string, mode: 'one' | 'many', nowMs: number): string | undefined {
  const other = otherLiveNodes(info, nodeId, nowMs).find((node) => mode === 'one' || node.mode === 'one');
  if (other === undefined) return undefined;
  const seen = `last seen ${Math.max(0, Math.round((nowMs - other.seenAtMs) / 1000))} s ago`;
  return `container ${container} is mounted by ${other.host} (nodes: ${other.mode}), ${seen}; set "nodes: many" on both, or unmount there first`;
}

/** Whether this machine has served the container before, and may know what is in it. */
export function isHeardOf(info: ContainerInfo, nodeId: string): boolean {
  return [KEY_PREFIX, LEFT_PREFIX].some((prefix) => info.metadata[prefix + nodeId] !== undefined);
}

/** @returns the hosts of other machines, running or not, that may know what is in the container, the one that was heard of last first */
export function otherNodesThatMayKnow(info: ContainerInfo, nodeId: string, nowMs: number): string[] {
  const others = heardOf(info).filter(({ key, seenAtMs }) => !key.endsWith(nodeId) && nowMs - seenAtMs < REMEMBERED_MS);
  return [...new Set(others.map(({ host }) => host))];
}

/** Keys of machines that nobody waits for any more, to be removed with the next registration or renewal. */
export function forgottenNodes(info: ContainerInfo, nowMs: number): Metadata {
  const silent = heardOf(info).filter(({ key, seenAtMs }) => key.startsWith(LEFT_PREFIX) || nowMs - seenAtMs >= LIVE_MS);
  const forgotten = silent.filter(({ seenAtMs }, index) => index >= MOST_REMEMBERED || nowMs - seenAtMs >= REMEMBERED_MS);
  return Object.fromEntries(forgotten.map(({ key }) => [key, '']));
}

/** What the registry says of machines, running or not, the latest first. */
function heardOf(info: ContainerInfo): { readonly key: string; readonly seenAtMs: number; readonly host: string }[] {
  const entries = Object.entries(info.metadata).flatMap(([key, value]) => {
    if (key.startsWith(KEY_PREFIX)) return [{ key, ...parseRegistration(value) }];
    const [seconds, ...host] = value.split(' ');
    return key.startsWith(LEFT_PREFIX) ? [{ key, seenAtMs: Number(seconds) * 1000, host: host.join(' ') }] : [];
  });
  return entries.sort((a, b) => b.seenAtMs - a.seenAtMs);
}
