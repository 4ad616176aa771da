/**
 * What was acknowledged, as the writers noted it outside of the mount (test/fault/manifest-writer.py), and whether a reader finds just that.
 *
 *   W name: written.  B name: its delete was asked for (killed before D, either answer is right).  D name: deleted.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';

interface Acknowledged {
  /** Must be there, byte for byte. */
  readonly written: ReadonlySet<string>;
  /** Must be gone. */
  readonly deleted: ReadonlySet<string>;
}

export function readManifest(file: string): Acknowledged {
  const written = new Set<string>();
  const deleted = new Set<string>();
  const content = fs.existsSync(file) ? fs.readFileSync(file, 'latin1') : '';
  for (const line of content.slice(0, content.lastIndexOf('\n') + 1).split('\n')) {
    const [word, name = ''] = line.split(' ');
    if (word === 'W') written.add(name);
    if (word === 'B') written.delete(name);
    if (word === 'D') deleted.add(name);
  }
  return { written, deleted };
}

/** The latest names, and as many of the others, others each time. */
export function someOf({ written, deleted }: Acknowledged, most: number): Acknowledged {
  const some = (names: ReadonlySet<string>): ReadonlySet<string> => {
    if (names.size <= 2 * most) return names;
    const all = [...names];
    const older = Array.from({ length: most }, () => all[Math.floor(Math.random() * (all.length - most))] ?? '');
    return new Set([...older, ...all.slice(-most)]);
  };
  return { written: some(written), deleted: some(deleted) };
}

/** @param read the bytes of a name; undefined when it is not there. @returns what is wrong, in words */
export async function differences(
  { written, deleted }: Acknowledged,
  read: (name: string) => Promise<Uint8Array | undefined>,
): Promise<string[]> {
  const wrong: string[] = [];
  const queue: [string, boolean][] = [];
  for (const name of written) queue.push([name, true]);
  for (const name of deleted) queue.push([name, false]);
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [name, isThere] = next;
      const said = await read(name).catch((error: unknown) => String(error));
      if (typeof said === 'string') wrong.push(`${name}: ${said}`);
      else if (!isThere && said !== undefined) wrong.push(`${name} was deleted and is back`);
      else if (isThere && said === undefined) wrong.push(`${name} was acknowledged and is gone`);
      else if (said !== undefined && createHash('sha1').update(said).digest('hex') !== name.slice(name.lastIndexOf('/') + 1))
        wrong.push(`${name} has other bytes (${said.length})`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return wrong;
}

/** Undefined for "no such file". */
export async function readOrAbsent(file: string): Promise<Buffer | undefined> {
  try {
    return await fs.promises.readFile(file);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}
