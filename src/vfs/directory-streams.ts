/**
 * Directory streams. The names are asked for at OPENDIR, where the kernel holds no lock on the directory (READDIR holds it shared, and a slow
 * answer would keep creates and unlinks in that directory waiting), and stay put for the stream: unlinking while reading skips nobody.
 * rewinddir takes the names anew when the directory may have changed since.
 *
 *   OPENDIR ─► Filestore.list ─► its answer leaves ─► names taken, in the same turn ─► READDIR …
 *
 * A cookie is the place of an entry in the stream: 0 is '.', 1 is '..', 2 the first name.
 */
import { FilestoreError } from '../base/errors.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import type { ListedName, Stat, TakeNames } from '../filestore/filestore.js';
import type { Caller, DirectoryEntry, Entry } from '../fuse/file-system.js';
import { entryAnswer } from './attributes.js';
import { pathOf, requesterOf, type VfsContext } from './context.js';
import { HandleTable } from './file-handle.js';
import { hashOfChild, hashOfPath, inodeNumber } from './inode-number.js';
import { Listers, type Lister } from './listers.js';
import type { Node } from './node.js';

/** A listing this old is taken anew by rewinddir, also when nothing changed through this mount. */
const REUSE_LISTING_MS = 1000;

/** linux/fuse.h: `struct fuse_dirent` without its name, which is padded to 8 bytes. */
const DIRENT_HEAD_BYTES = 24;

interface Listing {
  readonly take: TakeNames;
  readonly path: string;
  /** The directory's version when the listing began. */
  readonly version: number;
  readonly takenAtMs: number;
}

interface Stream {
  readonly node: Node;
  readonly lister: Lister;
  listing: Listing;
  /** Of `listing`, once they are taken. */
  entries: readonly ListedEntry[] | undefined;
  /** Read from the start already, so that the next read from there is a rewinddir. */
  started: boolean;
}

/** An entry that remembers what was listed with it, for READDIRPLUS. */
class ListedEntry implements DirectoryEntry {
  readonly name: string;
  readonly ino: number;
  readonly kind: 'file' | 'directory';
  readonly nextCookie: number;
  readonly lister: Lister;
  readonly listing: Listing;
  readonly stat: Stat | undefined;

  constructor(listed: ListedName, ino: number, nextCookie: number, listing: Listing, lister: Lister) {
    this.name = listed.name;
    this.ino = ino;
    this.kind = listed.kind;
    this.nextCookie = nextCookie;
    this.lister = lister;
    this.listing = listing;
    this.stat = listed.stat;
  }

  withIno(ino: number): ListedEntry {
    return new ListedEntry(this, ino, this.nextCookie, this.listing, this.lister);
  }
}

export class DirectoryStreams {
  readonly #context: VfsContext;
  readonly #streams = new HandleTable<Stream>();
  readonly #listers: Listers;
  readonly #nowMs: () => number;

  /** @param nowMs a clock that only ages listings */
  constructor(context: VfsContext, nowMs: () => number = Date.now) {
    this.#context = context;
    this.#nowMs = nowMs;
    this.#listers = new Listers(nowMs);
  }

  opendir(caller: Caller, ino: number): Answer<number> {
    const node = this.#context.table.get(ino);
    if (node.kind !== 'directory') throw new FilestoreError('not-directory', 'not a directory');
    return andThen(this.#list(node, caller), (listing) => {
      node.openStreams++;
      const lister = this.#listers.of(caller.pid);
      lister.begins(node);
      return this.#streams.add({ node, lister, listing, entries: undefined, started: false });
    });
  }

  /** @see FileSystem.takeNames */
  takeNames(handle: number): void {
    entriesOf(this.#streams.get(handle));
  }

  readdir(caller: Caller, handle: number, cookie: number, lengthHintBytes: number): Answer<readonly DirectoryEntry[]> {
    const stream = this.#streams.get(handle);
    const isRewound = cookie === 0 && stream.started;
    stream.started = true;
    if (!isRewound || !this.#isOld(stream)) return this.#entries(stream, cookie, lengthHintBytes);
    return andThen(this.#list(stream.node, caller), (listing) => {
      stream.listing = listing;
      stream.entries = undefined;
      return this.#entries(stream, cookie, lengthHintBytes);
    });
  }

  /** @see FileSystem.lookupListed */
  lookupListed(parentIno: number, entry: DirectoryEntry): Entry | undefined {
    if (!(entry instanceof ListedEntry) || entry.stat === undefined) return undefined;
    if (entry.kind === 'file' && entry.lister.wantsNames) return undefined;
    const parent = this.#context.table.peek(parentIno);
    // Something happened in the directory since: a name that is gone must not rise again, an old size must not be believed.
    if (parent === undefined || parent.deleted || parent.version !== entry.listing.version) return undefined;
    const validMs = entry.stat.validMs - Math.max(0, this.#nowMs() - entry.listing.takenAtMs);
    if (validMs <= 0) return undefined;
    if (parent.child(entry.name)?.latestWriter !== undefined) return undefined;
    if (entry.kind === 'file' && !entry.lister.wantsAttributes()) return undefined;
    const node = this.#context.table.at(parent, entry.name, entry.kind, entry.ino);
    return entryAnswer(node, { ...entry.stat, validMs }, this.#context.owner);
  }

  releasedir(handle: number): void {
    const stream = this.#streams.remove(handle);
    if (stream === undefined) return;
    stream.node.openStreams--;
    this.#context.table.settle(stream.node);
  }

  #isOld(stream: Stream): boolean {
    return stream.listing.version !== stream.node.version || this.#nowMs() - stream.listing.takenAtMs > REUSE_LISTING_MS;
  }

  #list(node: Node, caller: Caller): Answer<Listing> {
    const { version } = node;
    const takenAtMs = this.#nowMs();
    // A removed directory that somebody still stands in is empty, as on a local disk.
    if (node.deleted) return { take: () => [], path: '', version, takenAtMs };
    const path = pathOf(node);
    return andThen(this.#context.filestore.list(path, requesterOf(caller)), (take) => ({ take, path, version, takenAtMs }));
  }

  #entries(stream: Stream, cookie: number, lengthHintBytes: number): readonly DirectoryEntry[] {
    const { node } = stream;
    const listed = entriesOf(stream);
    const entries: DirectoryEntry[] = [];
    let room = lengthHintBytes;
    if (cookie <= 0) entries.push({ name: '.', ino: node.ino, kind: 'directory', nextCookie: 1 });
    if (cookie <= 1) entries.push({ name: '..', ino: node.parent?.ino ?? node.ino, kind: 'directory', nextCookie: 2 });
    room -= entries.length * (DIRENT_HEAD_BYTES + 8);
    for (let place = Math.max(2, cookie) - 2; place < listed.length; place++) {
      const entry = listed[place];
      if (entry === undefined) break;
      room -= DIRENT_HEAD_BYTES + ((entry.name.length + 7) & ~7);
      if (room < 0 && entries.length > 0) break;
      const known = node.hasChildren ? node.child(entry.name) : undefined;
      entries.push(known === undefined || known.ino === entry.ino ? entry : entry.withIno(known.ino));
    }
    return entries;
  }
}

/** The names of a stream, taken when that has not been done. */
function entriesOf(stream: Stream): readonly ListedEntry[] {
  if (stream.entries !== undefined) return stream.entries;
  const { take, path } = stream.listing;
  const hash = hashOfPath(path);
  stream.entries = take().map(
    (listed, at) => new ListedEntry(listed, inodeNumber(hashOfChild(hash, listed.name)), at + 3, stream.listing, stream.lister),
  );
  return stream.entries;
}
