/**
 * SETATTR. chmod, chown and utimens after a copy succeed (cp -p, rsync -a, shutil.copytree do all three) and cost no request where they
 * mean nothing: owners are the mount's, and a blob's mode and time are functions of its name, which the filestore sees to.
 */
import { FilestoreError } from '../base/errors.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import type { AttributesAnswer, Caller, SetAttributes } from '../fuse/file-system.js';
import { attributesAnswer } from './attributes.js';
import { assertSize, pathOf, requesterOf, statOf, type VfsContext } from './context.js';
import type { FileHandle } from './file-handle.js';
import type { Node } from './node.js';

export function setAttributes(
  context: VfsContext,
  caller: Caller,
  ino: number,
  changes: SetAttributes,
  handle: number | undefined,
): Answer<AttributesAnswer> {
  const node = context.table.get(ino);
  const open = handle === undefined ? undefined : context.files.get(handle);
  return andThen(setSize(context, caller, node, changes.sizeBytes, open), () =>
    andThen(setMode(context, caller, node, changes.mode), () =>
      andThen(setTimes(context, caller, node, changes.mtimeMs, open), () => {
        if (node.parent !== undefined) node.parent.version++;
        const stat = open === undefined ? statOf(context, node, caller) : open.file.stat();
        return andThen(stat, (now) => attributesAnswer(node, now, context.owner));
      }),
    ),
  );
}

function setSize(
  context: VfsContext,
  caller: Caller,
  node: Node,
  sizeBytes: number | undefined,
  open: FileHandle | undefined,
): Answer<void> {
  if (sizeBytes === undefined) return;
  if (node.kind === 'directory') throw new FilestoreError('is-directory', 'a directory has no size to set');
  assertSize(sizeBytes);
  context.mounted?.endSharing(node.ino);
  const writer = open?.writes === true ? open : node.path === undefined ? node.latestWriter : undefined;
  if (writer !== undefined) return writer.file.truncate(sizeBytes);
  return andThen(context.filestore.truncate(pathOf(node), sizeBytes, requesterOf(caller)), () => context.mounted?.endSharing(node.ino));
}

function setMode(context: VfsContext, caller: Caller, node: Node, mode: number | undefined): Answer<void> {
  const path = node.path;
  if (mode === undefined || path === undefined) return;
  // A blob being written has no name yet that a mode could be kept for.
  if (node.latestWriter !== undefined && context.filestore.isImmutable(path)) return;
  return context.filestore.setMode(path, mode & 0o7777, requesterOf(caller));
}

/** Times of access are not kept: setting one alone does nothing. */
function setTimes(
  context: VfsContext,
  caller: Caller,
  node: Node,
  mtime: number | 'now' | undefined,
  open: FileHandle | undefined,
): Answer<void> {
  if (mtime === undefined) return;
  const mtimeMs = mtime === 'now' ? Date.now() : mtime;
  const writer = open?.writes === true ? open : node.latestWriter;
  if (writer !== undefined) {
    writer.file.setTimes(mtimeMs);
    return;
  }
  const path = node.path;
  return path === undefined ? undefined : context.filestore.setTimes(path, mtimeMs, requesterOf(caller));
}
