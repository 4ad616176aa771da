/**
 * The list of hosts that are reached without a proxy, as curl and requests read it: `*` is every host; a name stands for itself and what is
 * below it, with or without a dot or `*.` before it; a port limits it; an IPv6 address may have its brackets or not; `10.0.0.0/8` is a block of
 * addresses, for hosts that are named by their address (no name is looked up for it).
 */
import { BlockList, isIP } from 'node:net';
import { FilestoreError } from '../../base/errors.js';
import { withoutBrackets } from './hostname.js';

interface Entry {
  readonly host: string;
  readonly port: number | undefined;
}

export class NoProxy {
  readonly #entries: readonly Entry[];
  readonly #blocks = new BlockList();

  /** @param list by commas or blanks. @throws FilestoreError bad-config for a block that is none */
  constructor(list: string) {
    this.#entries = list.split(/[,\s]+/).flatMap((text) => (text === '' || this.#addBlock(text) ? [] : entryOf(text)));
  }

  /** @param hostname an IPv6 address without its brackets */
  has(hostname: string, port: number): boolean {
    const host = canonical(hostname);
    const family = isIP(host);
    if (family !== 0 && this.#blocks.check(host, family === 6 ? 'ipv6' : 'ipv4')) return true;
    return this.#entries.some((entry) => {
      if (entry.port !== undefined && entry.port !== port) return false;
      return entry.host === '*' || host === entry.host || host.endsWith(`.${entry.host}`);
    });
  }

  /** @returns whether it is a block of addresses */
  #addBlock(text: string): boolean {
    const [, bracketed = '', bits = ''] = /^([^/]+)\/(.*)$/.exec(text) ?? [];
    const address = withoutBrackets(bracketed);
    const family = isIP(address);
    if (family === 0) return false;
    if (!/^\d{1,3}$/.test(bits) || Number(bits) > (family === 6 ? 128 : 32)) {
      throw new FilestoreError('bad-config', `${text} is no block of addresses such as 10.0.0.0/8 or fd00::/8; check no_proxy (NO_PROXY)`);
    }
    this.#blocks.addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4');
    return true;
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
  return URL.canParse(url) ? withoutBrackets(new URL(url).hostname) : host.toLowerCase();
}
