/**
 * What is said on a mount's control socket: one line of JSON each way, then the connection ends.
 * The socket belongs to the user who mounted (0600 in a 0700 directory), so who can connect may ask for anything.
 */
import { z } from 'zod';
import { ERROR_KINDS } from '../base/errors.js';
import type { MountStatus } from '../filestore/mount-status.js';

export const REQUEST = z.discriminatedUnion('request', [
  z.object({ request: z.literal('status') }),
  /** `detach`: unmount although files are open; they end by themselves. */
  z.object({ request: z.literal('unmount'), detach: z.boolean() }),
]);
export type ControlRequest = z.infer<typeof REQUEST>;

const DATABASE_STATUS = z.object({
  database: z.string(),
  container: z.string(),
  state: z.enum(['serving', 'degraded', 'refused']),
  reason: z.string().optional(),
  degradedSinceMs: z.number().optional(),
  isContainerLost: z.boolean(),
  pendingWrites: z.number(),
  pendingBytes: z.number(),
  oldestPendingMs: z.number().optional(),
  pendingDeletes: z.number(),
  tornFiles: z.number(),
  tornBytes: z.number(),
  tornDirectory: z.string().optional(),
  knownNames: z.number(),
});

const MOUNT_STATUS = z.object({
  version: z.string(),
  pid: z.number(),
  mountPoint: z.string(),
  startedAtMs: z.number(),
  driver: z.string(),
  passthrough: z.boolean(),
  readOnly: z.literal(false),
  state: z.enum(['serving', 'degraded', 'stopping']),
  safeToLoseThisMachine: z.boolean(),
  databases: z.array(DATABASE_STATUS),
  cache: z.object({
    files: z.number(),
    bytes: z.number(),
    budgetBytes: z.number(),
    hits: z.number(),
    misses: z.number(),
    quarantined: z.number(),
    problem: z.string().optional(),
  }),
  spoolDirectory: z.string(),
  cacheDirectory: z.string(),
  openFiles: z.number(),
  requestsToSwift: z.record(z.string(), z.number()),
  recentErrors: z.array(z.object({ atMs: z.number(), message: z.string() })),
});

const FAILURE = z.object({ ok: z.literal(false), kind: z.enum(ERROR_KINDS), message: z.string() });
export const STATUS_ANSWER = z.discriminatedUnion('ok', [z.object({ ok: z.literal(true), status: MOUNT_STATUS }), FAILURE]);
export const UNMOUNT_ANSWER = z.discriminatedUnion('ok', [z.object({ ok: z.literal(true), leftPending: z.number() }), FAILURE]);

export type ControlAnswer =
  { readonly ok: true; readonly status: MountStatus } | { readonly ok: true; readonly leftPending: number } | z.infer<typeof FAILURE>;

/** A request is a word and a flag; whoever sends more is not one of ours. */
export const REQUEST_MAX_BYTES = 4096;
