/**
 * Options from the config file: one flat YAML mapping of option names. Scalars are taken as they are written (`umask: 022`, a password
 * `0123`), so YAML's guesses at numbers and booleans change nothing.
 *
 * INVARIANT: a file that holds a secret is used only when no group and no other user can read it.
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { isAlias, isMap, isScalar } from 'yaml';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { didYouMean } from './did-you-mean.js';
import { OPTION_ENTRIES, type OptionKey } from './options.js';
import type { SetText, SourceTexts } from './source.js';
import { parseYamlText } from './yaml-text.js';

/** @throws FilestoreError bad-config, naming the line and the remedy */
export function fileSource(file: string): SourceTexts {
  const { content, readableByOthers } = readConfigFile(file);
  const { document, lineAt } = parseYamlText(content, file);
  const texts = new Map<OptionKey, SetText>();
  const root: unknown = document.contents;
  if (root === null || (isScalar(root) && root.value === '')) return texts;
  if (!isMap(root)) throw new FilestoreError('bad-config', `${file}: must be lines of "option: value", with a space behind the colon`);
  for (const { key: keyNode, value: valueNode } of root.items) {
    const keyOffset = isScalar(keyNode) ? keyNode.range?.[0] : undefined;
    const where = lineAt(keyOffset);
    const name = isScalar(keyNode) ? String(keyNode.value) : '?';
    const entry = OPTION_ENTRIES.find(([, spec]) => spec.name === name);
    if (entry === undefined) {
      const names = OPTION_ENTRIES.map(([, spec]) => spec.name);
      const near = didYouMean(name, names);
      throw new FilestoreError(
        'bad-config',
        `${where}: unknown option ${name}${near === '' ? '; docs/CONFIGURATION.md lists those there are' : near}`,
      );
    }
    // A password that begins so would lose its first word, and nobody would know.
    if (isAlias(valueNode) || (isScalar(valueNode) && (valueNode.anchor !== undefined || isOddTag(valueNode.tag))))
      throw new FilestoreError('bad-config', `${where}: ${name} begins with a sign of YAML (& * !); put it in single quotes`);
    if (valueNode !== null && !isScalar(valueNode)) {
      const remedy = 'put one that begins with { or [ in single quotes';
      throw new FilestoreError('bad-config', `${where}: ${name} must be one value, not a list or a section; ${remedy}`);
    }
    const text = valueNode === null ? '' : String(valueNode.value);
    if (text === '' && valueNode?.type !== 'QUOTE_SINGLE' && valueNode?.type !== 'QUOTE_DOUBLE')
      throw new FilestoreError('bad-config', `${where}: ${name} has no value; give it one or remove the line`);
    if (entry[1].secret === true && readableByOthers) {
      throw new FilestoreError('bad-config', `${where}: holds ${name}, but others can read the file; run: chmod 600 ${file}`);
    }
    texts.set(entry[0], { text, where });
  }
  return texts;
}

/** `!!str` and its like are meant as such. */
function isOddTag(tag: string | undefined): boolean {
  return tag !== undefined && !/^tag:yaml\.org,2002:(str|int|float|bool|null)$/.test(tag);
}

/** @returns the text of a file, and whether group or others may read it; both of the same open file */
function readConfigFile(file: string): { content: string; readableByOthers: boolean } {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    const remedy = kindOf(error) === 'not-found' ? 'there is no such file' : messageOf(error);
    throw new FilestoreError('bad-config', `config file ${file}: ${remedy}`, { cause: error });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() && !stat.isFIFO()) throw new FilestoreError('bad-config', `config file ${file}: not a file`);
    return { content: readFileSync(fd, 'utf8'), readableByOthers: (stat.mode & 0o044) !== 0 };
  } finally {
    closeSync(fd);
  }
}
