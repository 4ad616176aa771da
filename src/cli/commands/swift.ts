/** What the `swift` commands do. Listings are streamed: a container of a million objects prints as it comes. */
import type { Writable } from 'node:stream';
import { FilestoreError, kindOf } from '../../base/errors.js';
import { formatSize } from '../../config/units.js';
import type { ObjectStore } from '../../store/object-store.js';
import type { Check } from '../../swift/files/check-bytes.js';
import { printObject, saveObject } from '../../swift/files/save-object.js';
import { sendFile } from '../../swift/files/send-file.js';
import type { SwiftStore } from '../../swift/swift-store.js';
import { columns, print, warn } from '../output.js';
import { saveTo } from '../save-to.js';
import { untilSignalled } from '../until-signalled.js';

export interface SwiftArguments {
  readonly container: string | undefined;
  readonly object: string | undefined;
  readonly prefix: string | undefined;
  readonly file: string | undefined;
  readonly long: boolean;
  /** `put --segments`. */
  readonly inSegments: boolean;
}

type SwiftCommand = (store: SwiftStore, args: SwiftArguments) => Promise<void>;

async function ls(store: ObjectStore, { container, prefix, long }: SwiftArguments): Promise<void> {
  if (container === undefined) {
    for await (const page of store.listContainers('')) page.forEach(print);
    return;
  }
  let found = false;
  try {
    for await (const page of store.list(container, prefix === undefined ? {} : { prefix })) {
      found ||= page.length > 0;
      for (const { name, sizeBytes, lastModifiedMs } of page) {
        print(long ? `${String(sizeBytes ?? '?').padStart(14)}  ${new Date(lastModifiedMs).toISOString()}  ${name}` : name);
      }
    }
  } catch (error) {
    throw kindOf(error) === 'not-found' ? noContainer(container) : error;
  }
  if (!found && (await store.headContainer(container)) === undefined) throw noContainer(container);
}

async function stat(store: ObjectStore, { container = '', object }: SwiftArguments): Promise<void> {
  if (object === undefined) {
    const info = await store.headContainer(container);
    if (info === undefined) throw noContainer(container);
    print(
      columns([
        ['container', container],
        ['objects', String(info.objectCount ?? 'not told')],
        ['bytes', String(info.bytesUsed)],
        ['storage policy', info.storagePolicy ?? 'not told'],
        ...metadataRows(info.metadata),
      ]),
    );
    return;
  }
  const info = await store.head(container, object);
  if (info === undefined) throw noObject(container, object);
  const modified = new Date(info.lastModifiedMs).toISOString();
  print(
    columns([
      ['object', `${container}/${object}`],
      ['bytes', String(info.sizeBytes ?? 'not told')],
      ['modified', modified],
      ['md5', info.md5 ?? 'none (a large object)'],
      ...metadataRows(info.metadata),
    ]),
  );
}

async function get(store: ObjectStore, { container = '', object = '', file }: SwiftArguments): Promise<void> {
  const read = await store.get(container, object);
  if (read === undefined) throw noObject(container, object);
  // Who reads it is told of a failure; where nobody does any more, because FILE would not have it, the end of the program is none.
  read.body.on('error', () => undefined);
  const toStream = (out: Writable): Promise<Check> => printObject(read, object, out);
  const check =
    file === undefined || file === '-'
      ? await toStream(process.stdout)
      : await saveTo(file, { toFile: (partial) => saveObject(read, object, partial, 'wx'), toStream });
  if (check === 'etag-not-name') warn(`${container}/${object}: these are Swift's bytes, but they do not hash to their name`);
  if (check === 'nothing') warn(`${container}/${object}: a large object, of which Swift tells no sum; only its length was checked`);
}

async function put(store: SwiftStore, { container = '', object = '', file = '', inSegments }: SwiftArguments): Promise<void> {
  if ((await store.headContainer(container)) === undefined) throw noContainer(container);
  const source = file === '-' ? '/dev/stdin' : file;
  // Segments of a large object that has no manifest yet are found by nobody.
  const sent = await untilSignalled((signal) => sendFile(store, container, object, source, { wants: 'sha1', inSegments, signal }));
  const { md5 = 'none (a large object)', sha1, sizeBytes } = sent;
  print(
    columns([
      ['object', `${container}/${object}`],
      ['bytes', String(sizeBytes)],
      ['md5', md5],
      ...(sha1 === undefined ? [] : [['sha1', sha1]]),
    ]),
  );
}

async function rm(store: ObjectStore, { container = '', object }: SwiftArguments): Promise<void> {
  const deleted = object === undefined ? await store.deleteContainer(container) : await store.delete(container, object);
  if (!deleted) throw object === undefined ? noContainer(container) : noObject(container, object);
}

async function info(store: SwiftStore): Promise<void> {
  await store.login();
  const startedMs = performance.now();
  await store.probe();
  const answerMs = Math.round(performance.now() - startedMs);
  const told = await store.info();
  print(
    columns([
      ['Swift', told.version ?? 'does not tell its version'],
      ['answers in', `${answerMs} ms`],
      [
        'largest object',
        `${formatSize(told.maxFileBytes)}; above: ${told.staticLargeObjects ? `segments (at most ${told.maxSegments})` : 'not possible'}`,
      ],
      ['bulk delete', told.bulkDeleteNames === undefined ? 'no' : `${told.bulkDeleteNames} names at once`],
      ['storage policies', told.storagePolicies.join(', ') || 'not told'],
      ['middleware', told.middleware.join(', ') || 'not told'],
    ]),
  );
}

export const SWIFT_COMMANDS = { ls, stat, get, put, rm, info } as const satisfies Record<string, SwiftCommand>;

function metadataRows(metadata: Readonly<Record<string, string>>): readonly (readonly string[])[] {
  return Object.entries(metadata).map(([key, value]) => [`meta ${key}`, value]);
}

function noContainer(container: string): FilestoreError {
  return new FilestoreError('not-found', `there is no container ${container}; odoo-swiftfs swift ls lists those there are`);
}

function noObject(container: string, object: string): FilestoreError {
  return new FilestoreError('not-found', `there is no object ${object} in container ${container}`);
}
