/**
 * The list of hosts that are reached without a proxy, as curl and requests read it: `*` is every host; a name stands for itself and what is
 * below it, with or without a dot or `*.` before it; a port limits it; an IPv6 address may have its brackets or not.
 */

interface Entry {
  readonly host: string;
  readonly port: number | undefined;
}

export class NoProxy {
  readonly #entries: readonly Entry[];

  /** @param list by commas or blanks */
  constructor(list: string) {
    this.#entries = list.split(/[,\s]+/).flatMap((text) => (text === '' ? [] : entryOf(text)));
  }

  /** @param hostname an IPv6 address without its brackets */
  has(hostname: string, port: number): boolean {
    const host = canonical(hostname);
    return this.#entries.some((entry) => {
      if (entry.port !== undefined && entry.port !== port) return false;
      return entry.host === '*' || host === entry.host || host.endsWith(`.${entry.host}`);
    });
  }
}

function entryOf(text: string): Entry {
  const [, bracketed, bracketedPort] = /^\[(.+)\](?::(\d+))?$/.exec(text) ?? [];
  if (bracketed !== undefined) return { host: canonical(bracketed), port: portOf(bracketedPort) };
  const [, name, port] = /^([^:]+):(\d+)$/.exec(text) ?? [];
  const host = (name ?? text).replace(/^\*?\./, '');
  return { host: canonical(host), port: portOf(port) };
}

function portOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** In lower case; an IPv6 address in its shortest form, of which it has many. */
function canonical(host: string): string {
  if (!host.includes(':')) return host.toLowerCase();
  const url = `http://[${host}]`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : host.toLowerCase();
}
