import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRecord } from '../../../src/filestore/database-record.js';
import { tempDir } from '../../helpers/temp-dir.js';

test('a record that is damaged, or of another version, is named with what helps', () => {
  const file = join(tempDir('record'), 'record.json');
  assert.equal(readRecord(file), undefined);
  for (const damaged of ['', '{"format":1,"data', 'null', '[]', '7']) {
    writeFileSync(file, damaged);
    assert.throws(() => readRecord(file), { kind: 'bad-config', message: /record\.json is damaged; .*move it away/ });
  }
  writeFileSync(file, '{"format":2}');
  assert.throws(() => readRecord(file), { kind: 'bad-config', message: /another version \(format 2\)/ });
});
