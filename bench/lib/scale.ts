/** How much work a run does. `quick` is the default; noise shrinks with `full`. `smoke` says only whether all of it runs. */
export interface Scale {
  readonly name: 'smoke' | 'quick' | 'full';
  readonly rounds: number;
  /** 50 KB files that are read warm. */
  readonly hotFiles: number;
  readonly findShards: number;
  readonly findFilesPerShard: number;
  readonly largeBytes: number;
  /** Writes and cold reads a round. */
  readonly requestsPerRound: number;
  readonly requestRounds: number;
  /** Between the rows of a daemon's first cold reads and of its later ones. */
  readonly coldReadsBefore: number;
  readonly coldWalkFiles: number;
  /** Of another database, walked by the same daemon before. */
  readonly coldWalkBefore: number;
  /** Blobs that pend when Swift comes back. */
  readonly drainFiles: number;
  readonly transferObjects: number;
  readonly transferLargeBytes: number;
}

const MIB = 1024 * 1024;

export const SCALES: Readonly<Record<Scale['name'], Scale>> = {
  smoke: {
    name: 'smoke',
    rounds: 1,
    hotFiles: 32,
    findShards: 4,
    findFilesPerShard: 4,
    largeBytes: 8 * MIB,
    requestsPerRound: 3,
    requestRounds: 1,
    coldReadsBefore: 3,
    coldWalkFiles: 16,
    coldWalkBefore: 16,
    drainFiles: 16,
    transferObjects: 20,
    transferLargeBytes: 4 * MIB,
  },
  quick: {
    name: 'quick',
    rounds: 7,
    hotFiles: 400,
    findShards: 32,
    findFilesPerShard: 40,
    largeBytes: 200 * MIB,
    requestsPerRound: 15,
    requestRounds: 5,
    coldReadsBefore: 600,
    coldWalkFiles: 400,
    coldWalkBefore: 600,
    drainFiles: 400,
    transferObjects: 300,
    transferLargeBytes: 64 * MIB,
  },
  full: {
    name: 'full',
    rounds: 11,
    hotFiles: 1000,
    findShards: 256,
    findFilesPerShard: 40,
    largeBytes: 200 * MIB,
    requestsPerRound: 30,
    requestRounds: 9,
    coldReadsBefore: 1200,
    coldWalkFiles: 2000,
    coldWalkBefore: 2000,
    drainFiles: 2000,
    transferObjects: 2000,
    transferLargeBytes: 500 * MIB,
  },
};
