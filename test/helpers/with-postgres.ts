/**
 * A real PostgreSQL of our own: initdb in a temporary directory, a free port, no password. PostgreSQL refuses to run as root, so as root
 * the user `postgres` (of the package), else `nobody`, runs it.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { atExit } from './at-exit.js';
import { freePorts, runOk } from './processes.js';
import { removeDir, tempDir } from './temp-dir.js';

export interface Postgres {
  readonly host: string;
  readonly port: number;
  /** A superuser without a password. */
  readonly user: string;
  readonly dir: string;
  url(database: string): string;
  createDatabase(name: string): Promise<void>;
  /** Runs SQL by psql. @returns rows as text, fields separated by `|` */
  sql(database: string, text: string): Promise<string>;
  /** Stops the server; `up` starts it again. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

/** Debian keeps each version's programs out of PATH. */
function binaryDirectory(): string {
  const base = '/usr/lib/postgresql';
  const versions = fs.existsSync(base) ? fs.readdirSync(base).filter((name) => fs.existsSync(path.join(base, name, 'bin/initdb'))) : [];
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) throw new Error('PostgreSQL is missing: run scripts/install-deps test');
  return path.join(base, newest, 'bin');
}

/** Who runs the server: nobody special unless we are root. */
function serverUser(): { uid: number; gid: number; name: string } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (found === undefined) throw new Error('neither the user postgres nor nobody exists');
  return { uid: Number(found[2]), gid: Number(found[3]), name: found[0] ?? '' };
}

export async function withPostgres(): Promise<Postgres> {
  const bin = binaryDirectory();
  const owner = serverUser();
  const dir = tempDir('postgres');
  const data = path.join(dir, 'data');
  if (owner !== undefined) fs.chownSync(dir, owner.uid, owner.gid);
  const as = { cwd: dir, env: { LC_ALL: 'C.UTF-8' }, ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }) };
  const user = 'postgres';
  await runOk(path.join(bin, 'initdb'), ['-D', data, '-U', user, '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'], as);
  const port = await freePorts(1);
  const settings = `-c listen_addresses=127.0.0.1 -c port=${port} -c unix_socket_directories= -c fsync=off -c max_connections=50`;
  const up = async (): Promise<void> => {
    await runOk(path.join(bin, 'pg_ctl'), ['-D', data, '-l', path.join(dir, 'log'), '-w', '-t', '120', '-o', settings, 'start'], as);
  };
  const downArguments = ['-D', data, '-m', 'immediate', '-w', 'stop'];
  const down = async (): Promise<void> => {
    if (fs.existsSync(path.join(data, 'postmaster.pid'))) await runOk(path.join(bin, 'pg_ctl'), downArguments, as);
  };
  const downNow = (): void => {
    if (!fs.existsSync(path.join(data, 'postmaster.pid'))) return;
    const { env: _env, ...spawnOptions } = as;
    execFileSync(path.join(bin, 'pg_ctl'), downArguments, { stdio: 'ignore', ...spawnOptions });
  };
  const takeBack = atExit(downNow);
  await up();

  const psql = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', String(port), '-U', user];
  const sql = async (database: string, text: string): Promise<string> =>
    (await runOk(path.join(bin, 'psql'), [...psql, '-d', database], { input: text, cwd: dir })).trim();
  return {
    host: '127.0.0.1',
    port,
    user,
    dir,
    url: (database) => `postgresql://${user}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    createDatabase: async (name) => {
      await sql('postgres', `CREATE DATABASE "${name.replaceAll('"', '""')}"`);
    },
    sql,
    down,
    up,
    stop: async () => {
      takeBack();
      await down();
      removeDir(dir);
    },
  };
}
