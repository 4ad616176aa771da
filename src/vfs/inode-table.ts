/**
 * The nodes that the kernel or a handle knows, by number and by place.
 *
 * INVARIANT: a node is here exactly as long as the kernel holds lookups of it, a handle or stream is open on it, or a node below it is
 * here. A million listed names therefore cost nothing once the kernel has forgotten them, and renaming a directory moves one node.
 */
import { FilestoreError } from '../base/errors.js';
import { ROOT_INO } from '../fuse/file-system.js';
import { hashOfChild, hashOfPath, inodeNumber, nextInodeNumber } from './inode-number.js';
import { Node } from './node.js';

export class InodeTable {
  readonly root = new Node(ROOT_INO, 'directory', undefined, '');
  readonly #nodes = new Map<number, Node>([[ROOT_INO, this.root]]);

  get size(): number {
    return this.#nodes.size;
  }

  /** @throws FilestoreError stale for a number nobody was told of */
  get(ino: number): Node {
    const node = this.#nodes.get(ino);
    if (node === undefined) throw new FilestoreError('stale', `inode ${ino} is not known to this mount; look its name up again`);
    return node;
  }

  peek(ino: number): Node | undefined {
    return this.#nodes.get(ino);
  }

  /** Follows a path through known nodes only. */
  find(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    if (path !== '') for (const name of path.split('/')) node = node?.child(name);
    return node;
  }

  /**
   * The node of a name, made when there is none (or one of the other kind, which another node of the installation replaced).
   * @param wantedIno the number that its path asks for, where that is known already
   */
  at(parent: Node, name: string, kind: 'file' | 'directory', wantedIno?: number): Node {
    const known = parent.child(name);
    if (known !== undefined) {
      if (known.kind === kind) return known;
      this.#delete(known);
    }
    return this.#make(parent, name, kind, wantedIno);
  }

  /** A fresh node for a name; the one that had it is displaced and goes on behind its handles. */
  displacing(parent: Node, name: string, kind: 'file' | 'directory'): Node {
    const known = parent.child(name);
    if (known !== undefined) parent.dropChild(name, known);
    const node = this.#make(parent, name, kind);
    if (known !== undefined) this.settle(known);
    return node;
  }

  forget(ino: number, lookups: number): void {
    const node = this.#nodes.get(ino);
    if (node === undefined) return;
    node.lookups = Math.max(0, node.lookups - lookups);
    this.settle(node);
  }

  /** A name was unlinked or its directory removed. */
  removed(parent: Node, name: string): void {
    parent.version++;
    const node = parent.child(name);
    if (node !== undefined) this.#delete(node);
  }

  /** A name was renamed; what had the new name is gone. */
  moved(parent: Node, name: string, newParent: Node, newName: string): void {
    parent.version++;
    newParent.version++;
    const node = parent.child(name);
    const replaced = newParent.child(newName);
    if (node !== undefined && node === replaced) return;
    if (replaced !== undefined) this.#delete(replaced);
    if (node === undefined) return;
    parent.dropChild(name, node);
    node.name = newName;
    newParent.setChild(newName, node);
    if (parent === newParent) return;
    node.parent = newParent;
    newParent.dependents++;
    parent.dependents--;
    this.settle(parent);
  }

  /** Lets a node go that nobody holds any more, and then what it alone held. Call after taking a hold away. */
  settle(node: Node): void {
    let current: Node | undefined = node;
    while (current !== undefined && current !== this.root && current.lookups === 0 && !current.isHeld) {
      this.#nodes.delete(current.ino);
      const parent: Node | undefined = current.parent;
      if (parent !== undefined) {
        parent.dropChild(current.name, current);
        parent.dependents--;
      }
      current.parent = undefined;
      current.deleted = true;
      current = parent;
    }
  }

  #make(parent: Node, name: string, kind: 'file' | 'directory', wantedIno?: number): Node {
    let ino = wantedIno ?? inodeNumber(hashOfChild(hashOfPath(parent.path ?? ''), name));
    // Taken: another path with the same hash, or what had this path before and is still held.
    while (this.#nodes.has(ino)) ino = nextInodeNumber(ino);
    const node = new Node(ino, kind, parent, name);
    parent.dependents++;
    parent.setChild(name, node);
    this.#nodes.set(ino, node);
    return node;
  }

  #delete(node: Node): void {
    const parent = node.parent;
    node.deleted = true;
    node.parent = undefined;
    if (parent !== undefined) {
      parent.dropChild(node.name, node);
      parent.dependents--;
    }
    this.settle(node);
    if (parent !== undefined) this.settle(parent);
  }
}
