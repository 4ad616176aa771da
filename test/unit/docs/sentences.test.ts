/** Sentence, test, code: a sentence in bold in SEMANTICS.md or DURABILITY.md is the title of a test. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { projectRoot } from '../../helpers/project.js';

function testSources(): string {
  const folder = path.join(projectRoot, 'test');
  const files = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(test\.ts|py)$/.test(name));
  return files.map((name) => fs.readFileSync(path.join(folder, name), 'utf8')).join('\n');
}

for (const page of ['SEMANTICS.md', 'DURABILITY.md']) {
  it(`each bold sentence of docs/${page} is the title of a test`, () => {
    const text = fs.readFileSync(path.join(projectRoot, 'docs', page), 'utf8');
    const sentences = [...text.matchAll(/\*\*([^*]+\.)\*\*/g)].map((match) => (match[1] ?? '').replace(/\s+/g, ' '));
    assert.ok(sentences.length > 4, 'there are such sentences');
    const sources = testSources();
    const without = sentences.filter((sentence) => !sources.includes(sentence) && !sources.includes(sentence.replaceAll("'", "\\'")));
    assert.deepEqual(without, []);
  });
}
