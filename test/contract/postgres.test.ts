/** A PostgreSQL of our own: that it comes up as an ordinary user even when the tests run as root, keeps data, and goes without a trace. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { withPostgres } from '../helpers/with-postgres.js';
import type { Postgres } from '../helpers/with-postgres.js';

describe('a real PostgreSQL on loopback', () => {
  let postgres: Postgres;
  before(async () => {
    postgres = await withPostgres();
  });
  after(async () => {
    const { dir } = postgres;
    await postgres.stop();
    assert.equal(fs.existsSync(dir), false);
  });

  it('makes databases with names that need quotes, and answers a client', async () => {
    await postgres.createDatabase('Prod-1');
    await postgres.sql('Prod-1', "CREATE TABLE ir_attachment (id int, store_fname text); INSERT INTO ir_attachment VALUES (1, 'ab/abc')");
    const client = new pg.Client({ connectionString: postgres.url('Prod-1') });
    await client.connect();
    const { rows } = await client.query<{ store_fname: string }>('SELECT store_fname FROM ir_attachment');
    await client.end();
    assert.deepEqual(rows, [{ store_fname: 'ab/abc' }]);
  });

  it('keeps its data over a stop and a start', async () => {
    await postgres.sql('postgres', 'CREATE TABLE kept (n int); INSERT INTO kept VALUES (42); CHECKPOINT');
    await postgres.down();
    await assert.rejects(postgres.sql('postgres', 'SELECT 1'));
    await postgres.up();
    assert.equal(await postgres.sql('postgres', 'SELECT n FROM kept'), '42');
  });
});
