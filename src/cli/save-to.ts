/**
 * A file made whole or not at all: written beside its place and renamed into it. A link is followed, and what is no plain file (a pipe, a device,
 * /dev/stdout) is written into as it is.
 */
import { chmodSync, createWriteStream, existsSync, lstatSync, realpathSync, statSync, unlinkSync, type Stats } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';

interface Saving<T> {
  /** Makes a new file, which is empty and nobody's yet. */
  readonly toFile: (file: string) => Promise<T>;
  readonly toStream: (out: Writable) => Promise<T>;
}

/** @throws FilestoreError is-directory, not-found (a link that leads nowhere); what the disk and `saving` throw */
export async function saveTo<T>(file: string, { toFile, toStream }: Saving<T>): Promise<T> {
  const there = statSync(file, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) throw new FilestoreError('is-directory', `${file} is a directory; give the name of a file`);
  if (there === undefined && lstatSync(file, { throwIfNoEntry: false }) !== undefined) {
    throw new FilestoreError('not-found', `${file} is a link that leads nowhere; remove it, or make what it names`);
  }
  // A link into /proc leads to what a process has open, whatever its name is by now.
  if (file === '/dev/stdout') return toStream(process.stdout);
  if (/^\/(?:dev|proc)\//.test(file) || there?.isFile() === false) {
    const out = createWriteStream(file);
    try {
      const result = await toStream(out);
      out.end();
      await finished(out);
      return result;
    } catch (error) {
      throw ofFile(error, file, file);
    }
  }
  return replace(there === undefined ? file : realpathSync(file), there, toFile);
}

/** Who gave `file` knows nothing of the one beside it; and a disk that is full does not say of which file. */
function ofFile(error: unknown, partial: string, file: string): unknown {
  const kind = kindOf(error);
  if (kind === 'internal') return error;
  if (kind === 'not-found' && !existsSync(path.dirname(file)))
    return new FilestoreError(kind, `there is no directory ${path.dirname(file)} to make ${file} in`, { cause: error });
  const said = messageOf(error).replaceAll(partial, file);
  const message = error instanceof FilestoreError || said.includes(file) ? said : `${file}: ${said}`;
  return new FilestoreError(kind, message, { cause: error });
}

async function replace<T>(file: string, there: Stats | undefined, toFile: (file: string) => Promise<T>): Promise<T> {
  const partial = path.join(path.dirname(file), `.odoo-swiftfs-partial-${process.pid}`);
  const remove = (): void => {
    try {
      unlinkSync(partial);
    } catch {
      // It is not there yet, or has its name by now.
    }
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    remove();
    process.removeListener(signal, onSignal);
    process.kill(process.pid, signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const result = await toFile(partial);
    if (there !== undefined) chmodSync(partial, there.mode & 0o7777);
    await rename(partial, file);
    return result;
  } catch (error) {
    remove();
    throw ofFile(error, partial, file);
  } finally {
    for (const signal of signals) process.removeListener(signal, onSignal);
  }
}
