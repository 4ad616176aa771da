/** What `status --json` says of a mount: written by the daemon, read by `control`, printed by `cli`. Sizes in bytes, times in ms since the epoch. */
export interface DatabaseStatus {
  readonly database: string;
  readonly container: string;
  /** Refused: this machine cannot open it; what waits for Swift is not known, whatever the numbers say. */
  readonly state: 'serving' | 'degraded' | 'refused';
  /** Why it does not serve as it should, in words with the remedy. */
  readonly reason: string | undefined;
  readonly degradedSinceMs: number | undefined;
  /** The container is missing, or in another account: what is known to be in it may be nowhere but in this machine's cache. */
  readonly isContainerLost: boolean;
  /** Sealed here, not yet in Swift. */
  readonly pendingWrites: number;
  readonly pendingBytes: number;
  readonly oldestPendingMs: number | undefined;
  /** Deletes that Swift was not told of yet. */
  readonly pendingDeletes: number;
  /** Set aside: bytes that were not what their name says (`write.torn`). */
  readonly tornFiles: number;
  readonly tornBytes: number;
  /** Where they are, when there are any. */
  readonly tornDirectory: string | undefined;
  readonly knownNames: number;
}

export interface MountStatus {
  readonly version: string;
  readonly pid: number;
  readonly mountPoint: string;
  readonly startedAtMs: number;
  readonly driver: string;
  readonly passthrough: boolean;
  readonly readOnly: false;
  readonly state: 'serving' | 'degraded' | 'stopping';
  /** True when every acknowledged write is in Swift, as far as this machine knows. */
  readonly safeToLoseThisMachine: boolean;
  readonly databases: readonly DatabaseStatus[];
  readonly cache: {
    readonly files: number;
    readonly bytes: number;
    readonly budgetBytes: number;
    readonly hits: number;
    readonly misses: number;
    readonly quarantined: number;
    /** Why it keeps nothing, in words with the remedy. It costs speed only, so the mount is not degraded by it. */
    readonly problem: string | undefined;
  };
  readonly spoolDirectory: string;
  readonly cacheDirectory: string;
  readonly openFiles: number;
  readonly requestsToSwift: Readonly<Record<string, number>>;
  readonly recentErrors: readonly { readonly atMs: number; readonly message: string }[];
}
