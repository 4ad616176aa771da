/** An exchange that is stopped before undici has begun it. */
import assert from 'node:assert/strict';
import net, { type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { Agent, type buildConnector } from 'undici';
import { exchange, stopOf } from '../../../src/swift/requests/wire.js';

void describe('an exchange', () => {
  void test('that waits for a connection ends when it is stopped, and is not sent later', async () => {
    let connected: buildConnector.Callback | undefined;
    const agent = new Agent({ connect: (_options, callback) => (connected = callback) });
    let received = '';
    const server = net.createServer((socket) => socket.on('error', () => undefined).on('data', (bytes) => (received += bytes.toString())));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const caller = new AbortController();
      const waiting = exchange(agent, {
        method: 'PUT',
        origin: 'http://swift',
        path: '/o',
        headers: {},
        body: 'x',
        stop: stopOf(caller.signal),
      });
      await new Promise((resolve) => setImmediate(resolve));
      caller.abort();
      await assert.rejects(waiting, /given up/);
      const { port } = server.address() as AddressInfo;
      const socket = net.connect(port, '127.0.0.1', () => connected?.(null, socket));
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(received, '');
    } finally {
      await agent.destroy();
      server.close();
    }
  });

  void test('that is answered by a 100 Continue, which nobody asked for, is lost, and named with what helps', async () => {
    const agent = new Agent();
    const server = net.createServer((socket) =>
      socket
        .on('error', () => undefined)
        .on('data', () => socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      await assert.rejects(exchange(agent, { method: 'PUT', origin: `http://127.0.0.1:${port}`, path: '/o', headers: {}, body: 'x' }), {
        reason: 'lost',
        message: '100 Continue came, which was not asked for; have what stands before Swift send none',
      });
    } finally {
      await agent.destroy();
      server.close();
    }
  });

  void test('of a caller who has given up is not begun', async () => {
    const agent = new Agent({ connect: () => assert.fail('connected') });
    const stop = stopOf(AbortSignal.abort());
    await assert.rejects(exchange(agent, { method: 'GET', origin: 'http://swift', path: '/', headers: {}, stop }), /given up/);
    await agent.destroy();
  });
});
