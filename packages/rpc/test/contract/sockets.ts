/**
 * What only a server on sockets can show: draining, reconnecting, dead ports, garbage, foreign clients. One
 * suite for every transport that has sockets.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { credentials, Client } from '@grpc/grpc-js';
import {
  RpcError,
  StatusCode,
  type Channel,
  type MethodTable,
  type RpcServer,
  type RpcServerOptions,
} from '@keelson/rpc';
import { freePorts } from '../../../base/test/free-ports.ts';
import { Echo, ServerSide, echoTable, text } from './service.ts';

export function socketContract(
  name: string,
  serveTable: (table: MethodTable, options?: RpcServerOptions) => RpcServer,
  dial: (address: string) => Channel,
): void {
  describe(`socket contract: ${name}`, () => {
    const open: { close(): unknown }[] = [];
    afterEach(async () => {
      for (const item of open.splice(0).toReversed()) await item.close();
    });

    async function serve(
      fixedPort = 0,
    ): Promise<{ server: RpcServer; seen: ServerSide; port: number; channel: Channel }> {
      const seen = new ServerSide();
      const server = serveTable(echoTable(seen), { maxReceiveBytes: 1 << 20 });
      const { port } = await server.listen({ host: '127.0.0.1', port: fixedPort });
      const channel = dial(`127.0.0.1:${port}`);
      open.push(server, channel);
      return { server, seen, port, channel };
    }

    function portOf(listener: Server): number {
      const address = listener.address();
      if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
      return address.port;
    }

    describe('drain', () => {
      test('running calls finish, new ones are refused, then the port is free', async () => {
        const [own] = await freePorts(1);
        const { server, seen, port, channel } = await serve(own);
        const called = seen.next('called');
        const late = channel.unary(Echo.unary, 'late');
        await called;
        let drained = false;
        const drain = server.drain(30_000).then(() => (drained = true));
        const other = dial(`127.0.0.1:${port}`);
        open.push(other);
        await expect(other.unary(Echo.unary, 'echo x')).rejects.toMatchObject({
          code: StatusCode.Unavailable,
          unsent: true,
        });
        expect(drained).toBe(false);
        seen.emit('release');
        expect(await late).toBe('late');
        await drain;
        expect(server.connectionCount).toBe(0);
        const again = serveTable(echoTable(new ServerSide()));
        await again.listen({ host: '127.0.0.1', port });
        await again.close();
      });

      test('what does not finish in time is cut', async () => {
        const { server, seen, channel } = await serve();
        const called = seen.next('called');
        const hanging = channel.unary(Echo.unary, 'hang').catch((error: unknown) => error);
        await called;
        const cancelled = seen.next('cancelled');
        await server.drain(50);
        await cancelled;
        expect(await hanging).toMatchObject({ code: StatusCode.Unavailable, unsent: false });
      });

      test('a server without connections drains at once', async () => {
        const { server } = await serve();
        await server.drain(30_000);
      });
    });

    describe('garbage on a raw socket', () => {
      test.each<[string, Buffer]>([
        ['random bytes', Buffer.from('0102030405deadbeef'.repeat(20), 'hex')],
        ['an HTTP/1.1 request', Buffer.from('POST /test.Echo/Unary HTTP/1.1\r\nhost: x\r\n\r\n')],
        [
          'a preface, then a frame longer than allowed',
          Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(9, 0xff)]),
        ],
      ])('%s closes that connection and disturbs no other', async (_name, bytes) => {
        const { port, channel } = await serve();
        expect(await channel.unary(Echo.unary, 'echo before')).toBe('before');
        const socket: Socket = connect(port, '127.0.0.1');
        socket.on('error', () => {});
        await once(socket, 'connect');
        const closed = once(socket, 'close');
        socket.resume();
        socket.end(bytes);
        expect(await channel.unary(Echo.unary, 'echo during')).toBe('during');
        await closed;
        expect(await channel.unary(Echo.unary, 'echo after')).toBe('after');
      });
    });

    describe('connections', () => {
      test('a call to a dead port fails at once and says that nothing was sent', async () => {
        const channel = dial(`127.0.0.1:${(await freePorts(1))[0]}`);
        open.push(channel);
        const error: unknown = await channel.unary(Echo.unary, 'echo x').catch((reason: unknown) => reason);
        expect(error).toMatchObject({ code: StatusCode.Unavailable, unsent: true });
        await expect(channel.connect(1000)).rejects.toBeInstanceOf(RpcError);
      });

      test('connect gives up on a port that never answers', async () => {
        // Accepts and says nothing: HTTP/2 settings never come.
        const silent = createServer((socket) => open.push({ close: () => socket.destroy() })).listen(
          0,
          '127.0.0.1',
        );
        await once(silent, 'listening');
        const channel = dial(`127.0.0.1:${portOf(silent)}`);
        open.push(silent, channel);
        await expect(channel.connect(50)).rejects.toMatchObject({ unsent: true });
      });

      test('the channel comes back when its server does; a cut call is not "unsent"', async () => {
        const [own] = await freePorts(1);
        const { server, seen, port, channel } = await serve(own);
        await channel.connect(30_000);
        expect(channel.state).toBe('ready');
        const called = seen.next('called');
        const cut = channel.unary(Echo.unary, 'hang').catch((error: unknown) => error);
        await called;
        await server.close();
        expect(await cut).toMatchObject({ code: StatusCode.Unavailable, unsent: false });
        const again = serveTable(echoTable(new ServerSide()));
        open.push(again);
        await again.listen({ host: '127.0.0.1', port });
        for (let attempt = 0; channel.state !== 'ready' && attempt < 200; attempt++) {
          await channel.connect(500).catch(
            () =>
              new Promise<void>((resolve) => {
                const stop = channel.onStateChange(() => {
                  stop();
                  resolve();
                });
              }),
          );
        }
        expect(await channel.unary(Echo.unary, 'echo back')).toBe('back');
      });

      test('a Unix socket serves too', async () => {
        const folder = await mkdtemp(join(tmpdir(), 'keelson-rpc-'));
        open.push({ close: () => rm(folder, { recursive: true, force: true }) });
        const server = serveTable(echoTable(new ServerSide()));
        const path = join(folder, 'rpc.sock');
        expect(await server.listen({ path })).toEqual({ host: path, port: 0 });
        const channel = dial(`unix:${path}`);
        open.push(server, channel);
        expect(await channel.unary(Echo.unary, 'echo x')).toBe('x');
      });

      test('a taken port is reported', async () => {
        const { port } = await serve();
        const second = serveTable(echoTable(new ServerSide()));
        open.push(second);
        await expect(second.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({
          code: 'EADDRINUSE',
        });
      });

      test('an ordinary grpc-js client is served', async () => {
        const { port } = await serve();
        const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
        open.push(client);
        const answer = await new Promise<string | undefined>((resolve, reject) => {
          client.makeUnaryRequest(
            Echo.unary.path,
            (message: string) => text.encode(message),
            (bytes) => text.decode(bytes),
            'echo stock',
            (error, value) => {
              if (error === null) resolve(value);
              else reject(error);
            },
          );
        });
        expect(answer).toBe('stock');
      });
    });
  });
}
