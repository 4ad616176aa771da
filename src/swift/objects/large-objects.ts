/** Large objects as a whole: stored segment by segment, copied segment by segment, removed with their segments. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { FilestoreError } from '../../base/errors.js';
import type { CopyOptions, ObjectBody, PutOptions, RequestOptions } from '../../store/object-store.js';
import type { Capabilities } from '../capabilities.js';
import { createContainer, headContainer } from '../containers.js';
import type { Requester } from '../requests/requester.js';
import { copyObject, expiryHeaders } from './copy-object.js';
import {
  putManifest,
  putSegment,
  readManifest,
  SEGMENTS_MARK,
  segmentName,
  segmentPrefix,
  segmentsContainer,
  segmentSize,
  type Segment,
} from './large-object.js';
import { metadataOf } from './metadata-headers.js';
import { objectPath } from './paths.js';
import type { SegmentsKnown } from './segments-known.js';

export interface LargeObjectParts {
  readonly requester: Requester;
  readonly capabilities: Capabilities;
  readonly known: SegmentsKnown;
  readonly clock: Clock;
  readonly segmentBytes: number;
}

export class LargeObjects {
  readonly #parts: LargeObjectParts;

  constructor(parts: LargeObjectParts) {
    this.#parts = parts;
  }

  /** @throws FilestoreError too-large where this Swift has no large objects; corrupt; the kinds of the object port */
  async put(container: string, name: string, body: ObjectBody, options: PutOptions): Promise<void> {
    const { requester, capabilities, clock, segmentBytes } = this.#parts;
    const info = await capabilities.info();
    if (!info.staticLargeObjects) {
      const most = `at most ${info.maxFileBytes} bytes, and no static large objects`;
      throw new FilestoreError('too-large', `PUT ${container}/${name}: ${body.sizeBytes} bytes; this Swift takes ${most}`);
    }
    const size = segmentSize(body.sizeBytes, segmentBytes, info.maxFileBytes, info.maxSegments);
    const prefix = segmentPrefix(name, clock.nowMs());
    await this.#makeContainer(container, options);
    const segments: Segment[] = [];
    try {
      let whole = createHash('md5');
      for (let start = 0; start < body.sizeBytes; start += size) {
        const at = {
          container: segmentsContainer(container),
          name: segmentName(prefix, segments.length),
          start,
          end: Math.min(body.sizeBytes, start + size),
        };
        const sent = await putSegment(requester, at, body, whole, options);
        segments.push(sent.segment);
        whole = sent.whole;
      }
      const md5 = whole.digest('hex');
      if (md5 !== body.md5)
        throw new FilestoreError('corrupt', `PUT ${container}/${name}: sent bytes with MD5 ${md5}, promised ${body.md5}`);
      await putManifest(requester, container, name, segments, options);
    } catch (error) {
      await this.#discard(segments, options);
      throw error;
    }
  }

  /** @returns false when the source is not there, or is no large object */
  async copy(container: string, name: string, toContainer: string, toName: string, options: CopyOptions): Promise<boolean> {
    const { requester, clock } = this.#parts;
    const sources = await readManifest(requester, container, name, options);
    if (sources === undefined) return false;
    const head = await requester.call({ method: 'HEAD', path: objectPath(container, name), accept: [404], options });
    if (head.status === 404) return false;
    await this.#makeContainer(toContainer, options);
    const prefix = segmentPrefix(toName, clock.nowMs());
    const copies: Segment[] = [];
    try {
      for (const source of sources) {
        const copy = { ...source, container: segmentsContainer(toContainer), name: segmentName(prefix, copies.length) };
        // Segments have no metadata of ours; what they may have is a time at which they go, which is this copy's own affair.
        const segmentOptions = { ...options, metadata: {} };
        const done = await copyObject(requester, source.container, source.name, copy.container, copy.name, segmentOptions);
        if (done !== 'copied') {
          throw new FilestoreError(
            'corrupt',
            `${container}/${name}: its segment ${source.container}/${source.name} cannot be copied (${done})`,
          );
        }
        copies.push(copy);
      }
      const type = head.headers['content-type'];
      await putManifest(requester, toContainer, toName, copies, {
        ...options,
        metadata: options.metadata ?? metadataOf('object', head.headers),
        headers: expiryHeaders(options),
        ...(typeof type === 'string' ? { contentType: type } : {}),
      });
      return true;
    } catch (error) {
      await this.#discard(copies, options);
      throw error;
    }
  }

  async #makeContainer(container: string, options: RequestOptions): Promise<void> {
    const { requester, capabilities, known } = this.#parts;
    if (!(await known.has(container, options))) {
      const policy = (await headContainer(requester, container, options))?.storagePolicy;
      const made = { storagePolicy: policy, metadata: { [SEGMENTS_MARK]: 'true' } };
      await createContainer(requester, capabilities, segmentsContainer(container), made, options);
    }
    known.noteMade(container);
  }

  /** Segments of an upload that came to nothing. What cannot be removed now stays as garbage under the upload's own prefix. */
  async #discard(segments: readonly Segment[], options: RequestOptions): Promise<void> {
    for (const { container, name } of segments) {
      try {
        await this.#parts.requester.call({ method: 'DELETE', path: objectPath(container, name), accept: [404], options, once: true });
      } catch {
        return;
      }
    }
  }
}
