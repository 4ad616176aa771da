/** An open file as the kernel knows it: the filestore's file, the node it was opened through, and who opened it. */
import { FilestoreError } from '../base/errors.js';
import type { OpenFile } from '../filestore/filestore.js';
import type { Caller } from '../fuse/file-system.js';
import type { Node } from './node.js';
import { ThreadGroup } from './thread-group.js';

export class FileHandle {
  readonly node: Node;
  readonly file: OpenFile;
  readonly writes: boolean;
  /** How the kernel reads it: one mode for an inode at a time (see open-files.ts). */
  readonly reading: 'cached' | 'direct' | 'passthrough';
  /** A program that has the file mapped wrote on pages that the kernel keeps. */
  hasPages = false;
  readonly #openers: ThreadGroup;

  constructor(node: Node, file: OpenFile, writes: boolean, reading: 'cached' | 'direct' | 'passthrough', threadId: number) {
    this.node = node;
    this.file = file;
    this.writes = writes;
    this.reading = reading;
    this.#openers = new ThreadGroup(threadId);
  }

  /** Whether the process that asks is the one that opened this handle. */
  isOpenedBy(caller: Caller): boolean {
    return this.#openers.has(caller.pid);
  }
}

/** Numbers for open things: small, positive, used again once given back. */
export class HandleTable<T> {
  readonly #slots: (T | undefined)[] = [];
  readonly #free: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: T): number {
    this.#size++;
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = item;
    return slot + 1;
  }

  /** @throws FilestoreError bad-handle */
  get(handle: number): T {
    const item = this.#slots[handle - 1];
    if (item === undefined) throw new FilestoreError('bad-handle', `handle ${handle} is not open`);
    return item;
  }

  remove(handle: number): T | undefined {
    const item = this.#slots[handle - 1];
    if (item === undefined) return undefined;
    this.#slots[handle - 1] = undefined;
    this.#free.push(handle - 1);
    this.#size--;
    return item;
  }
}
