/**
 * What a database's directory should look like, as plain maps: what all machines share (files), and what is each machine's own (directories
 * made there, names under `upload/` and `*.__new`, and blobs on their way out behind `.__gc`). The product is held against it.
 */
import path from 'node:path';
import { contentSha1 } from '../../src/base/names.js';
import { blobOf } from '../helpers/blobs.js';

const ALIAS = '.__gc';

/** What a call may answer: 'done' or a kind of error. */
type Outcome = string;

interface Own {
  readonly directories: Set<string>;
  readonly temporaries: Map<string, Buffer>;
  /** Alias to whether its unlink deletes the blob: not once the blob was written anew. */
  readonly aliases: Map<string, boolean>;
}

export function isTemporary(name: string): boolean {
  return name.startsWith('upload/') || name.endsWith('.__new');
}

export class ReferenceFilestore {
  readonly files = new Map<string, Buffer>();
  readonly #own: readonly Own[];
  /** The machine that last wrote or deleted a name. */
  readonly #changedBy = new Map<string, number>();

  constructor(machines: number) {
    this.#own = Array.from({ length: machines }, () => ({ directories: new Set(), temporaries: new Map(), aliases: new Map() }));
  }

  /** The bytes a machine reads, undefined for "no such file". */
  read(machine: number, name: string): Buffer | undefined {
    const { temporaries, aliases } = this.#of(machine);
    if (isTemporary(name)) return temporaries.get(name);
    if (name.endsWith(ALIAS)) {
      const blob = this.files.get(blobOfAlias(name));
      // Deleted by another machine: then nothing waits behind the alias any more.
      if (blob === undefined) aliases.delete(name);
      return aliases.has(name) ? blob : undefined;
    }
    return aliases.get(name + ALIAS) === true ? undefined : this.files.get(name);
  }

  /** Whether a machine knows the name as it is without asking: it was the last that changed it. */
  knows(machine: number, name: string): boolean {
    return (this.#changedBy.get(name.endsWith(ALIAS) ? blobOfAlias(name) : name) ?? machine) === machine;
  }

  /** A close() of a whole file; bytes that do not hash to a content name are set aside. */
  write(machine: number, name: string, content: Buffer): void {
    const sha1 = contentSha1(name);
    if (sha1 !== undefined && blobOf(content).sha1 !== sha1) return;
    const { temporaries, aliases } = this.#of(machine);
    this.#changedBy.set(name, machine);
    if (isTemporary(name)) temporaries.set(name, content);
    else this.files.set(name, content);
    if (aliases.has(name + ALIAS)) aliases.set(name + ALIAS, false);
  }

  unlink(machine: number, name: string): Outcome {
    if (this.read(machine, name) === undefined) return 'not-found';
    const { aliases, temporaries } = this.#of(machine);
    this.#changedBy.set(name.endsWith(ALIAS) ? blobOfAlias(name) : name, machine);
    if (name.endsWith(ALIAS)) {
      if (aliases.get(name) === true) this.files.delete(blobOfAlias(name));
      aliases.delete(name);
    } else if (isTemporary(name)) temporaries.delete(name);
    else this.files.delete(name);
    return 'done';
  }

  /** @returns what a rename may answer; nothing is changed: see {@link moved} */
  rename(machine: number, from: string, to: string, noReplace: boolean): readonly Outcome[] {
    const content = this.read(machine, from);
    const target = this.read(machine, to);
    if (content === undefined) return ['not-found'];
    if (noReplace && target !== undefined) return ['exists'];
    if (from === to) return ['done'];
    if (to.endsWith(ALIAS)) return blobOfAlias(to) === from ? ['done'] : ['not-permitted'];
    if (from.endsWith(ALIAS)) return blobOfAlias(from) === to ? ['done'] : ['cross-device'];
    const sha1 = contentSha1(to);
    if (sha1 !== undefined && blobOf(content).sha1 !== sha1) return ['corrupt', 'cross-device'];
    // Where the bytes are in Swift alone the caller copies; what this machine has sealed is renamed here.
    return isTemporary(from) ? ['done'] : ['done', 'cross-device'];
  }

  /** A rename that was done. */
  moved(machine: number, from: string, to: string): void {
    const { aliases } = this.#of(machine);
    const content = this.read(machine, from);
    if (content === undefined || from === to) return;
    if (to.endsWith(ALIAS)) aliases.set(to, true);
    else if (from.endsWith(ALIAS)) aliases.delete(from);
    else {
      this.unlink(machine, from);
      this.write(machine, to, content);
    }
  }

  /** Names of files directly in a directory, sorted. */
  list(machine: number, directory: string): string[] {
    const { temporaries, aliases } = this.#of(machine);
    const names = [...this.files.keys(), ...temporaries.keys(), ...aliases.keys()];
    const there = names.filter((name) => dirOf(name) === directory && this.read(machine, name) !== undefined);
    return [...new Set(there.map((name) => path.basename(name)))].sort();
  }

  /** What mkdir may answer. A directory that was seen with something in it stays when that is gone, so "it is there" is not always known. */
  mkdir(machine: number, directory: string): readonly Outcome[] {
    if (this.#of(machine).directories.has(directory) || this.list(machine, directory).length > 0) return ['exists'];
    return ['done', 'exists'];
  }

  rmdir(machine: number, directory: string): readonly Outcome[] {
    if (this.list(machine, directory).length > 0) return ['not-empty'];
    return this.#of(machine).directories.has(directory) ? ['done'] : ['done', 'not-found'];
  }

  renameDirectory(machine: number, from: string, to: string): readonly Outcome[] {
    const { directories } = this.#of(machine);
    if (from === to) return directories.has(from) ? ['done'] : ['done', 'not-found'];
    const maybeNothing = directories.has(from) ? [] : ['not-found'];
    if (this.list(machine, from).length > 0) return ['cross-device'];
    return this.list(machine, to).length > 0 ? [...maybeNothing, 'not-empty'] : [...maybeNothing, 'done'];
  }

  made(machine: number, directory: string): void {
    this.#of(machine).directories.add(directory);
  }

  removed(machine: number, directory: string): void {
    this.#of(machine).directories.delete(directory);
  }

  #of(machine: number): Own {
    const own = this.#own[machine];
    if (own === undefined) throw new Error(`no machine ${machine}`);
    return own;
  }
}

function dirOf(name: string): string {
  const directory = path.dirname(name);
  return directory === '.' ? '' : directory;
}

function blobOfAlias(alias: string): string {
  return alias.slice(0, -ALIAS.length);
}
