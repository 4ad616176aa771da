/**
 * A node: a file or directory that the kernel, or an open handle, knows by its inode number. Names that were only listed have none.
 *
 *   named ──── unlink, rmdir, replaced by a rename ──► deleted      (no path; lives on behind its handles, nlink 0)
 *     └─────── a second writer of an unfinished blob, or a writer of one that is read ─► displaced    (its path leads to another node; handles go on)
 *
 * INVARIANT: `parent` is in the table as long as a node points to it (`dependents`), so a node's path can always be told.
 */
import { joinPath } from '../base/names.js';
import type { FileHandle } from './file-handle.js';
import type { Lister } from './listers.js';

export class Node {
  readonly ino: number;
  readonly kind: 'file' | 'directory';
  /** Undefined for the root and for what is deleted. */
  parent: Node | undefined;
  name: string;
  /** What the kernel holds: answers that told it of this node, less its forgets. */
  lookups = 0;
  /** Nodes whose `parent` is this one. */
  dependents = 0;
  /** Open directory streams. */
  openStreams = 0;
  deleted = false;
  /** Made for writers beside who reads the blob of that name; they look the name up and open it next. It is kept for them, and read around the page cache. */
  isForWriter = false;
  /** It has been opened to read; a second time says that it is read often. */
  wasRead = false;
  /**
   * Counts what happened below a directory through this mount. A listing that began at another count must not tell the kernel of
   * attributes, or a name that was just unlinked would rise again.
   */
  version = 0;
  /** Who listed this directory last. */
  lister: Lister | undefined;
  #children: Map<string, Node> | undefined;
  /** In the order of their opening; nearly always one, so an array. */
  #handles: FileHandle[] | undefined;

  constructor(ino: number, kind: 'file' | 'directory', parent: Node | undefined, name: string) {
    this.ino = ino;
    this.kind = kind;
    this.parent = parent;
    this.name = name;
  }

  /** The path below the mount, '' for the root; undefined when no name leads here any more. */
  get path(): string | undefined {
    if (this.deleted) return undefined;
    if (this.parent === undefined) return '';
    const directory = this.parent.path;
    return directory === undefined ? undefined : joinPath(directory, this.name);
  }

  get hasChildren(): boolean {
    return this.#children !== undefined;
  }

  child(name: string): Node | undefined {
    return this.#children?.get(name);
  }

  setChild(name: string, node: Node): void {
    (this.#children ??= new Map()).set(name, node);
  }

  /** Takes a name out when it leads to `node`. */
  dropChild(name: string, node: Node): void {
    if (this.#children?.get(name) !== node) return;
    this.#children.delete(name);
    if (this.#children.size === 0) this.#children = undefined;
  }

  /** Whether something but the kernel's lookups keeps the node. */
  get isHeld(): boolean {
    return this.dependents > 0 || this.openStreams > 0 || this.#handles !== undefined || this.isForWriter;
  }

  get isOpen(): boolean {
    return this.#handles !== undefined;
  }

  addHandle(handle: FileHandle): void {
    if (this.#handles === undefined) this.#handles = [handle];
    else this.#handles.push(handle);
  }

  removeHandle(handle: FileHandle): void {
    const handles = this.#handles;
    if (handles === undefined) return;
    const at = handles.indexOf(handle);
    if (at >= 0) handles.splice(at, 1);
    if (handles.length === 0) this.#handles = undefined;
  }

  /** The handle opened last that passes; undefined when there is none. */
  latestHandle(passes: (handle: FileHandle) => boolean): FileHandle | undefined {
    return this.#handles?.findLast(passes);
  }

  /** The handle opened for writing last. */
  get latestWriter(): FileHandle | undefined {
    return this.#handles === undefined ? undefined : this.latestHandle((handle) => handle.writes);
  }
}
