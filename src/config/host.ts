/** What configuration may look at besides files. The only reader of `process.env`, so tests give their own. */
import { homedir } from 'node:os';

export interface Host {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly workingDirectory: string;
  /** Effective user and group. */
  readonly uid: number;
  readonly gid: number;
}

export function thisHost(): Host {
  return {
    environment: process.env,
    home: homedir(),
    workingDirectory: process.cwd(),
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
  };
}

export function isRoot(host: Host): boolean {
  return host.uid === 0;
}

/** Where an ordinary user's data of one sort goes (XDG base directories), or the system's place for root. */
export function dataDirectory(host: Host, sort: 'cache' | 'spool'): string {
  if (isRoot(host)) return sort === 'cache' ? '/var/cache/odoo-swiftfs' : '/var/lib/odoo-swiftfs';
  const [variable, below] = sort === 'cache' ? ['XDG_CACHE_HOME', '.cache'] : ['XDG_DATA_HOME', '.local/share'];
  const base = host.environment[variable];
  return `${base !== undefined && base.startsWith('/') ? base : `${host.home}/${below}`}/odoo-swiftfs`;
}

/** Where the control sockets of this user's mounts are. */
export function controlDirectory(host: Host): string {
  if (isRoot(host)) return '/run/odoo-swiftfs';
  const runtime = host.environment['XDG_RUNTIME_DIR'];
  return runtime !== undefined && runtime.startsWith('/') ? `${runtime}/odoo-swiftfs` : `/tmp/odoo-swiftfs-${host.uid}`;
}
