/** A connection's end over TLS, where what was written lies with us for a while. */

import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';

import { CertificateAuthority } from '../pki/authority.ts';
import { SocketConnection } from './socket-connection.ts';

test('all that was written goes out before the end, however often it is said', async () => {
  const nowMs = Date.now();
  const authority = CertificateAuthority.create('test', nowMs);
  const pair = authority.server('test', ['127.0.0.1'], nowMs);
  const server = createServer({ cert: pair.certificate, key: pair.key }, (socket) => {
    const connection = new SocketConnection(socket, Buffer.alloc(0));
    connection.write(Buffer.alloc(3_000_000, 'x'));
    connection.write(Buffer.from('the end'));
    connection.end();
    connection.end();
    void connection.closed.then(() => server.close());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const closed = once(server, 'close');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  const { port } = server.address() as AddressInfo;
  const client: TLSSocket = connect({ port, host: '127.0.0.1', ca: authority.certificate });
  let size = 0;
  let tail = '';
  for await (const chunk of client) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a socket without an encoding
    const bytes = chunk as Buffer;
    size += bytes.length;
    tail = (tail + bytes.subarray(-7).toString('latin1')).slice(-7);
  }
  expect([size, tail]).toEqual([3_000_007, 'the end']);
  await closed;
});
