/** IPv6 addresses, which have brackets where a port may follow and none elsewhere. */

/** @param hostname as in a URL */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** @param hostname an IPv6 address without its brackets */
export function withPort(hostname: string, port: number): string {
  return `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`;
}
