/** What can be done about a source whose bytes do not hash to their name, for the log. */
import type { PartialFile } from './partial-file.js';

/** What a gateway has packed must not be taken for damage: who removes the copy removes a good one. */
export async function remedyOf(wrong: PartialFile): Promise<string> {
  const head = await wrong.read(0, 2).catch(() => undefined);
  const isPacked = head?.[0] === 0x1f && head[1] === 0x8b;
  const packed = isPacked
    ? 'they begin as gzip does: where something before Swift packs its answers (Content-Encoding), end that there, and remove nothing; else '
    : '';
  return `these bytes were not kept; ${packed}the copy there is damaged: put the right one in its place, or remove it`;
}
