/**
 * Which machines mount a container (ruling 9), kept in its metadata: `osf-node-ID` = `SECONDS MODE HOST`, renewed every minute. A second live
 * machine is refused until both say `nodes: many`.
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
const LIVE_MS = 3 * RENEW_MS;
const KEY_PREFIX = 'osf-node-';

export interface OtherNode {
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

/** The metadata that registers this machine. */
export function registration(nodeId: string, mode: 'one' | 'many', nowMs: number): Metadata {
  return { [KEY_PREFIX + nodeId]: `${Math.floor(nowMs / 1000)} ${mode} ${hostname().slice(0, 100)}` };
}

export function hasRegistration(info: ContainerInfo, nodeId: string): boolean {
  return info.metadata[KEY_PREFIX + nodeId] !== undefined;
}

/** The metadata that takes the registration back. */
export function deregistration(nodeId: string): Metadata {
  return { [KEY_PREFIX + nodeId]: '' };
}

export function otherLiveNodes(info: ContainerInfo, nodeId: string, nowMs: number): OtherNode[] {
  const nodes: OtherNode[] = [];
  for (const [key, value] of Object.entries(info.metadata)) {
    if (!key.startsWith(KEY_PREFIX) || key === KEY_PREFIX + nodeId) continue;
    const [seconds, mode, ...host] = value.split(' ');
    const seenAtMs = Number(seconds) * 1000;
    if (nowMs - seenAtMs < LIVE_MS) nodes.push({ host: host.join(' '), mode: mode === 'many' ? 'many' : 'one', seenAtMs });
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

/** Keys of machines that are long dead, to be removed with the next renewal. */
export function deadNodes(info: ContainerInfo, nowMs: number): Metadata {
  const dead: Record<string, string> = {};
  for (const [key, value] of Object.entries(info.metadata)) {
    if (key.startsWith(KEY_PREFIX) && nowMs - Number(value.split(' ')[0]) * 1000 > 24 * 3600_000) dead[key] = '';
  }
  return dead;
}
