/** `/dev/fd/N` for a mount point: mount.fuse3 has mounted already (drop_privileges), and handed us the device as descriptor N. */

/** @returns N of `/dev/fd/N`, or undefined for an ordinary path */
export function inheritedDescriptor(mountPoint: string): number | undefined {
  const found = /^\/dev\/fd\/(\d+)$/.exec(mountPoint);
  return found === null ? undefined : Number(found[1]);
}

export function isInherited(mountPoint: string): boolean {
  return inheritedDescriptor(mountPoint) !== undefined;
}
