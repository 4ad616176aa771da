/** Looking names up, and changing what they lead to. Each change is the filestore's first and the table's when it has succeeded. */
import { FilestoreError } from '../base/errors.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import { displayName } from '../base/names.js';
import type { Stat } from '../filestore/filestore.js';
import type { Caller, Entry } from '../fuse/file-system.js';
import { entryAnswer } from './attributes.js';
import { placeOf, requesterOf, writerOf, type Place, type VfsContext } from './context.js';
import type { Node } from './node.js';

export class Names {
  readonly #context: VfsContext;

  constructor(context: VfsContext) {
    this.#context = context;
  }

  lookup(caller: Caller, parentIno: number, name: string): Answer<Entry | undefined> {
    const place = placeOf(this.#context, parentIno, name);
    const node = place.parent.child(name);
    if (node?.latestWriter !== undefined && this.#context.filestore.isImmutable(place.path)) {
      // A blob being written is there for its writer only: `os.stat` of the path between open and close. Others wait in the filestore.
      const own = writerOf(node, caller);
      if (own !== undefined) return andThen(own.file.stat(), (stat) => entryAnswer(node, stat, this.#context.owner));
    }
    return andThen(this.#context.filestore.lookup(place.path, requesterOf(caller)), (stat) =>
      stat === undefined ? undefined : this.#found(place, stat),
    );
  }

  mkdir(caller: Caller, parentIno: number, name: string, mode: number): Answer<Entry> {
    const place = placeOf(this.#context, parentIno, name);
    const requester = requesterOf(caller);
    return andThen(this.#context.filestore.mkdir(place.path, mode, requester), () => {
      place.parent.version++;
      return andThen(this.#context.filestore.lookup(place.path, requester), (stat) => {
        if (stat === undefined) throw new FilestoreError('not-found', `${displayName(place.path)} was removed as soon as it was made`);
        return this.#found(place, stat);
      });
    });
  }

  unlink(caller: Caller, parentIno: number, name: string): Answer<void> {
    const { parent, path } = placeOf(this.#context, parentIno, name);
    return andThen(this.#context.filestore.unlink(path, requesterOf(caller)), () => {
      this.#endSharing(parent, name);
      this.#context.table.removed(parent, name);
    });
  }

  rmdir(caller: Caller, parentIno: number, name: string): Answer<void> {
    const { parent, path } = placeOf(this.#context, parentIno, name);
    return andThen(this.#context.filestore.rmdir(path, requesterOf(caller)), () => this.#context.table.removed(parent, name));
  }

  rename(
    caller: Caller,
    parentIno: number,
    name: string,
    newParentIno: number,
    newName: string,
    options: { noReplace: boolean },
  ): Answer<void> {
    const from = placeOf(this.#context, parentIno, name);
    const to = placeOf(this.#context, newParentIno, newName);
    return andThen(this.#context.filestore.rename(from.path, to.path, options, requesterOf(caller)), () => {
      this.#endSharing(from.parent, name);
      this.#endSharing(to.parent, newName);
      this.#context.table.moved(from.parent, name, to.parent, newName);
      const node = to.parent.child(newName);
      // Who still writes it writes on a file without a name; the blob gets an inode, and pages, of its own.
      if (node?.latestWriter === undefined || !this.#context.filestore.isImmutable(to.path)) return;
      to.parent.dropChild(newName, node);
      this.#context.mounted?.invalidateEntry(to.parent.ino, newName);
    });
  }

  /** The name leads elsewhere from now on. */
  #endSharing(parent: Node, name: string): void {
    const node = parent.child(name);
    if (node !== undefined) this.#context.mounted?.endSharing(node.ino);
  }

  #found({ parent, name, path }: Place, stat: Stat): Answer<Entry> {
    if (stat.kind === 'file') parent.lister?.isAsked();
    const node = this.#context.table.at(parent, name, stat.kind);
    const writer = node.latestWriter;
    // An open file knows its own size best; a content name shows others the sealed bytes, not those being written over them.
    if (writer === undefined || this.#context.filestore.isImmutable(path)) return entryAnswer(node, stat, this.#context.owner);
    return andThen(writer.file.stat(), (live) => entryAnswer(node, live, this.#context.owner));
  }
}
