/**
 * Whether the user may write, asked without changing anything: POST to an object that nobody has. Swift looks at the right to write before it looks for the
 * object (proxy/controllers/obj.py, `POST`), and a POST makes neither object nor container nor tombstone, as PUT and DELETE may. 404 is thus leave to write.
 * Ceph says 404 of a container that is not there without a look at rights: there the answer counts only for one that is.
 */
import { randomUUID } from 'node:crypto';
import type { RequestOptions } from '../../store/object-store.js';
import type { Requester } from '../requests/requester.js';
import { objectPath } from './paths.js';

const REFUSALS: Readonly<Record<number, string>> = {
  403: 'the user needs a role that may write here, such as member; reader is not enough',
  405: 'this Swift, or this account, is set to be read only',
};

/**
 * @returns why the user may not write in a container; undefined when it may
 * @throws FilestoreError unavailable, and the other kinds of the object port, when it cannot be told
 */
export async function writeRefusal(requester: Requester, container: string, options: RequestOptions): Promise<string | undefined> {
  const path = objectPath(container, `.odoo-swiftfs-may-write-${randomUUID()}`);
  const headers = { 'content-length': '0' };
  const { status } = await requester.call({ method: 'POST', path, headers, accept: [403, 404, 405], options, once: true });
  const refusal = REFUSALS[status];
  return refusal === undefined ? undefined : `refused in container ${container} (${status}): ${refusal}`;
}
