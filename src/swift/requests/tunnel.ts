/**
 * CONNECT: a proxy's way to a server it does not look into (RFC 9110, 9.3.6).
 * undici's own waits for the answer for ever, and takes a proxy that closes the connection for one worth asking again at once.
 */
import type { Socket } from 'node:net';
import type { HttpProxy } from './http-proxy.js';

const HEAD_LIMIT_BYTES = 16 * 1024;

/**
 * @param socket to the proxy; closed when there is no way through
 * @param target host and port behind it
 * @returns the socket, which then reaches the target
 * @throws WireFailure naming the proxy
 */
export function openTunnel(socket: Socket, proxy: HttpProxy, target: string, timeoutMs: number): Promise<Socket> {
  return new Promise<Socket>((resolve, reject) => {
    let head = Buffer.alloc(0);
    const leave = (): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onClose).off('close', onClose).off('error', onError);
    };
    const fail = (failure: Error): void => {
      leave();
      socket.on('error', () => undefined).destroy();
      reject(failure);
    };
    const onClose = (): void => fail(proxy.failure('unreachable', `closed the connection when asked for ${target}`));
    const onError = (error: Error): void => fail(proxy.unreached(error));
    const onData = (bytes: Buffer): void => {
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf('\r\n\r\n');
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1', 0, 16))?.[1];
      if (end < 0 && head.length < HEAD_LIMIT_BYTES) return;
      if (end < 0 || status === undefined) return fail(proxy.failure('unreachable', 'does not answer as an HTTP proxy does'));
      if (!status.startsWith('2')) return fail(proxy.refusal('unreachable', Number(status), target));
      leave();
      socket.pause();
      if (head.length > end + 4) socket.unshift(head.subarray(end + 4));
      resolve(socket);
    };
    const timer = setTimeout(() => {
      fail(proxy.failure('unreachable', `did not connect to ${target} within ${timeoutMs} ms`));
    }, timeoutMs);
    socket.on('data', onData).on('end', onClose).on('close', onClose).on('error', onError);
    const authorization = proxy.authorization === undefined ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`;
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
  });
}
