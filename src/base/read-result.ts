/** Bytes of a local file, read straight into a reply. The descriptor stays open at least for the turn of the loop that returns it. */
export interface FileSlice {
  readonly fd: number;
  readonly position: number;
  readonly length: number;
}

/** What a read answers: bytes in memory, or where they are on the disk. Fewer than asked for only at the end of the file. */
export type ReadResult = Uint8Array | FileSlice;
