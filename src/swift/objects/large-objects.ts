/** Large objects as a whole: stored segment by segment, copied segment by segment, removed with their segments. */
import type { Readable } from 'node:stream';
import { runAtOnce } from '../../base/at-once.js';
import type { Clock } from '../../base/clock.js';
import { FilestoreError, kindOf, type ErrorKind } from '../../base/errors.js';
import type { CopyOptions, ObjectBody, PutOptions, RequestOptions } from '../../store/object-store.js';
import type { Capabilities } from '../capabilities.js';
import type { ContainerHeads } from '../container-heads.js';
import { createContainer } from '../containers.js';
import type { Requester } from '../requests/requester.js';
import { digestBody, segmentRanges, type BodyDigests, type ByteRange } from './body-digests.js';
import { copyObject, expiryHeaders } from './copy-object.js';
import { hashedBody } from './hashed-body.js';
import {
  assertStored,
  ownSegments,
  putManifest,
  putSegment,
  readManifest,
  SEGMENTS_MARK,
  segmentName,
  segmentPrefix,
  segmentsContainer,
  segmentSize,
  type ManifestOptions,
  type Segment,
} from './large-object.js';
import { isStaticLarge, metadataOf } from './metadata-headers.js';
import { NEWEST } from './newest.js';
import { objectPath } from './paths.js';
import type { SegmentsKnown } from './segments-known.js';

/** Segments sent, copied or removed together: enough to fill a line, few enough to leave connections to others. */
const AT_ONCE = 4;
/** Kinds of which nobody can say whether Swift has carried the request out, or will. */
const UNANSWERED: ReadonlySet<ErrorKind> = new Set(['unavailable', 'interrupted']);
/** The time an upload that has failed, or a newer object, may spend on removing what is left over. */
const REMOVE_MS = 30_000;

export interface ObjectAt {
  readonly container: string;
  readonly name: string;
}

/** Bytes that are read in pieces, and of which nobody knows a sum. */
export interface RangedBody {
  readonly sizeBytes: number;
  /** @param end the byte after the last */
  read(start: number, end: number): Readable;
  /** Asked when all are stored, before they become the object. @throws where they are not of one state; nothing is left of them then */
  assertWhole(): void;
}

/** The segments of one upload. */
interface Upload {
  readonly prefix: string;
  readonly ranges: readonly ByteRange[];
  readonly at: (index: number) => ObjectAt;
  /** Gets each segment before it is sent. */
  readonly begun: ObjectAt[];
}

interface LargeObjectParts {
  readonly requester: Requester;
  readonly capabilities: Capabilities;
  readonly heads: ContainerHeads;
  readonly known: SegmentsKnown;
  readonly clock: Clock;
  readonly segmentBytes: number;
  /** To Swift, at one time. */
  readonly connections: number;
}

export class LargeObjects {
  readonly #parts: LargeObjectParts;
  readonly #atOnce: number;

  constructor(parts: LargeObjectParts) {
    this.#parts = parts;
    // A segment that waits for another's connection spends the time that it has itself.
    this.#atOnce = Math.min(AT_ONCE, parts.connections);
  }

  /** @throws FilestoreError too-large where this Swift has no large objects; corrupt; the kinds of the object port */
  put(container: string, name: string, body: ObjectBody, options: PutOptions): Promise<void> {
    return this.#putSent(container, name, body.sizeBytes, options, (upload) => this.#send(upload, body, options));
  }

  /** As {@link put}, in one reading: each segment is hashed on its way, the whole is not. @throws as `put` */
  putUnhashed(container: string, name: string, body: RangedBody, options: PutOptions): Promise<void> {
    return this.#putSent(container, name, body.sizeBytes, options, (upload) => this.#sendUnhashed(upload, body, options));
  }

  async #putSent(
    container: string,
    name: string,
    sizeBytes: number,
    options: PutOptions,
    send: (upload: Upload) => Promise<readonly Segment[]>,
  ): Promise<void> {
    const { capabilities, clock, segmentBytes } = this.#parts;
    const info = await capabilities.info();
    if (!info.staticLargeObjects) {
      const most = `this Swift has no static large objects, and takes at most ${info.maxFileBytes} bytes in one piece`;
      throw new FilestoreError('too-large', `PUT ${container}/${name}: ${sizeBytes} bytes in segments; ${most}`);
    }
    const ranges = segmentRanges(sizeBytes, segmentSize(sizeBytes, segmentBytes, info.maxFileBytes, info.maxSegments));
    const prefix = segmentPrefix(name, clock.nowMs());
    const at = (index: number): ObjectAt => ({ container: segmentsContainer(container), name: segmentName(prefix, index) });
    const segments = await this.#intoSegments(container, options, (begun) => send({ prefix, ranges, at, begun }));
    await this.#putManifest(container, name, segments, options);
  }

  /**
   * Stores segments, in a segments container that is made where it is missing: also one that another node took away when it dropped the database.
   * @param store gets what is to know each segment before it is stored
   */
  async #intoSegments(
    container: string,
    options: RequestOptions,
    store: (begun: ObjectAt[]) => Promise<readonly Segment[]>,
  ): Promise<readonly Segment[]> {
    for (let isLast = false; ; isLast = true) {
      await this.#makeContainer(container, options);
      const begun: ObjectAt[] = [];
      try {
        return await store(begun);
      } catch (error) {
        await this.remove(begun);
        if (isLast || kindOf(error) !== 'not-found') throw error;
        this.#parts.known.noteGone(container);
      }
    }
  }

  /** The segments become the object, and those that it had before go. */
  async #putManifest(container: string, name: string, segments: readonly Segment[], options: ManifestOptions): Promise<void> {
    let replaced: readonly ObjectAt[];
    let isAsked = false;
    try {
      // Not before the segments are sent, which may take minutes: what another node stores meanwhile is replaced too.
      replaced = await this.segmentsAt(container, name, options);
      isAsked = options.signal?.aborted !== true;
      await putManifest(this.#parts.requester, container, name, segments, options);
    } catch (error) {
      // A manifest that was not answered may stand, or come to stand: its segments go with what replaces or deletes it.
      if (!isAsked || !UNANSWERED.has(kindOf(error))) await this.remove(segments);
      throw error;
    }
    // Another node may have done the same a moment later: then it is our own segments that were replaced.
    const standing = new Set((await this.segmentsAt(container, name, options, NEWEST)).map((segment) => segment.name));
    const isOvertaken = standing.size > 0 && segments.every((segment) => !standing.has(segment.name));
    await this.remove((isOvertaken ? [...replaced, ...segments] : replaced).filter((segment) => !standing.has(segment.name)));
  }

  /**
   * Sends the segments, several at once, while the whole is hashed beside them.
   * @throws FilestoreError corrupt when what is stored is not what was promised
   */
  async #send({ prefix, ranges, at, begun }: Upload, body: ObjectBody, options: PutOptions): Promise<Segment[]> {
    const stored: (Segment & { readonly told: string })[] = [];
    let digests: BodyDigests | undefined;
    await runAtOnce(1 + ranges.length, this.#atOnce, options.signal, async (turn, signal) => {
      const index = turn - 1;
      const range = ranges[index];
      if (range === undefined) {
        digests = await digestBody(body, ranges, signal);
        return;
      }
      const { start, end } = range;
      const segment = at(index);
      begun.push(segment);
      const bytes = { sizeBytes: end - start, open: () => body.read(start, end), onBytes: () => options.onProgress?.() };
      const sent = await putSegment(this.#parts.requester, segment, bytes, { ...options, signal });
      stored[index] = { ...segment, ...sent, sizeBytes: end - start };
    });
    if (digests?.whole !== body.md5) {
      throw new FilestoreError('corrupt', `${prefix}: the bytes have MD5 ${digests?.whole ?? 'unknown'}, promised was ${body.md5}`);
    }
    for (const [index, segment] of stored.entries()) assertStored(segment, digests.segments[index]);
    return stored;
  }

  /** @throws FilestoreError corrupt when what is stored is not what was sent */
  async #sendUnhashed({ ranges, at, begun }: Upload, body: RangedBody, options: PutOptions): Promise<Segment[]> {
    const stored: Segment[] = [];
    await runAtOnce(ranges.length, this.#atOnce, options.signal, async (index, signal) => {
      const range = ranges[index];
      if (range === undefined) return;
      const { start, end } = range;
      const segment = at(index);
      begun.push(segment);
      const hashed = hashedBody({ sizeBytes: end - start, read: () => body.read(start, end) }, options.onProgress);
      const sent = await putSegment(this.#parts.requester, segment, hashed.body, { ...options, signal });
      assertStored(sent, hashed.md5());
      stored[index] = { ...segment, etag: sent.etag, sizeBytes: end - start };
    });
    body.assertWhole();
    return stored;
  }

  /** @returns false when the source is not there, or is no large object */
  async copy(container: string, name: string, toContainer: string, toName: string, options: CopyOptions): Promise<boolean> {
    const { requester, clock } = this.#parts;
    const sources = await readManifest(requester, container, name, options);
    if (sources === undefined) return false;
    const head = await requester.call({ method: 'HEAD', path: objectPath(container, name), accept: [404], options });
    if (head.status === 404) return false;
    const prefix = segmentPrefix(toName, clock.nowMs());
    const copies = await this.#intoSegments(toContainer, options, async (begun) => {
      const made: Segment[] = [];
      await runAtOnce(sources.length, this.#atOnce, options.signal, async (index, signal) => {
        const source = sources[index];
        if (source === undefined) return;
        const at = { container: segmentsContainer(toContainer), name: segmentName(prefix, index) };
        begun.push(at);
        // Segments have no metadata of ours; what they may have is a time at which they go, which is this copy's own affair.
        const segmentOptions = { ...options, signal, metadata: {} };
        const done = await copyObject(requester, source.container, source.name, at.container, at.name, segmentOptions);
        if (done !== 'copied') {
          throw new FilestoreError(
            'corrupt',
            `${container}/${name}: its segment ${source.container}/${source.name} cannot be copied (${done})`,
          );
        }
        made[index] = { ...source, ...at };
      });
      return made;
    });
    const type = head.headers['content-type'];
    await this.#putManifest(toContainer, toName, copies, {
      ...options,
      metadata: options.metadata ?? { ...metadataOf('object', head.headers), ...options.addedMetadata },
      headers: expiryHeaders(options),
      ...(typeof type === 'string' ? { contentType: type } : {}),
    });
    return true;
  }

  async #makeContainer(container: string, options: RequestOptions): Promise<void> {
    const { requester, capabilities, heads, known } = this.#parts;
    if (!(await known.has(container, options))) {
      const policy = (await heads.head(container, options))?.storagePolicy;
      const made = { storagePolicy: policy, metadata: { [SEGMENTS_MARK]: 'true' } };
      await createContainer(requester, capabilities, segmentsContainer(container), made, options);
    }
    known.noteMade(container);
  }

  /**
   * The segments that the object at this name has now, to be removed once something else is stored there.
   * Only what we have named ourselves. Never throws `unavailable`: a PUT does
   * not fail for want of this answer, it leaves garbage behind.
   */
  async segmentsAt(container: string, name: string, options: RequestOptions, headers = {}): Promise<readonly ObjectAt[]> {
    const { requester, known } = this.#parts;
    try {
      if (!(await known.has(container, options, 'once'))) return [];
      const head = await requester.call({ method: 'HEAD', path: objectPath(container, name), headers, accept: [404], options, once: true });
      if (head.status === 404 || !isStaticLarge(head.headers)) return [];
      return ownSegments((await readManifest(requester, container, name, options, headers)) ?? [], container, name);
    } catch (error) {
      if (kindOf(error) === 'unsupported' || kindOf(error) === 'unavailable') return [];
      throw error;
    }
  }

  /**
   * Removes segments nobody refers to. Never throws: what cannot be removed now stays as garbage under its upload's own prefix, and goes with the
   * object that is stored under the name, or with the container.
   */
  async remove(segments: readonly ObjectAt[]): Promise<void> {
    // Not under the caller's signal: it may be the reason why they have to go.
    const options = { priority: 'write', timeoutMs: REMOVE_MS } as const;
    try {
      await runAtOnce(segments.length, this.#atOnce, undefined, async (index, signal) => {
        const at = segments[index];
        if (at === undefined) return;
        const path = objectPath(at.container, at.name);
        await this.#parts.requester.call({ method: 'DELETE', path, accept: [404], options: { ...options, signal } });
      });
    } catch {
      // Swift is away, or will not: see above.
    }
  }
}
