/** The native transport over TLS: the contract suite, who the caller is, and what a failed handshake says. */
import { once } from 'node:events';
import { createServer as createPlainServer, type AddressInfo, type Server } from 'node:net';
import { createServer } from 'node:tls';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import {
  KeyPairFiles,
  MethodTable,
  RpcError,
  StatusCode,
  grpcJsServer,
  nativeChannel,
  nativeServer,
  type DialTls,
  type PeerCertificate,
  type RpcServer,
} from '@keelson/rpc';
import { TestAuthority, type Issued } from '../../store/test/tls-fixtures.ts';
import { Echo, ServerSide, echoTable, text } from './contract/service.ts';
import { transportContract, type RigOptions } from './contract/transport.ts';

const authority = new TestAuthority();
const stranger = new TestAuthority('stranger');
const server = authority.issue('server');
const client = authority.issue('client');
afterAll(() => {
  authority.dispose();
  stranger.dispose();
});

interface PortOptions {
  readonly pair?: Issued;
  readonly asks?: boolean;
  readonly protocols?: readonly string[];
}

/** A listener with TLS in front of an RPC server. */
async function listen(
  rpc: RpcServer,
  options: PortOptions = {},
): Promise<{ port: number; listener: Server }> {
  const { pair = server, asks = true, protocols = ['h2'] } = options;
  const listener = createServer(
    {
      cert: pair.certificate,
      key: pair.key,
      ca: authority.certified.certificate,
      requestCert: asks,
      rejectUnauthorized: asks,
      ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
    },
    (socket) => {
      socket.on('error', () => {});
      rpc.accept(socket);
    },
  );
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return { listener, port: (listener.address() as AddressInfo).port };
}

const dial = (pair?: Issued, ca = authority.certified.certificate): DialTls => {
  const files = pair === undefined ? undefined : new KeyPairFiles(pair.certFile, pair.keyFile);
  return () => ({ ca: [ca], ...files?.read() });
};

const rig =
  (serve: (table: MethodTable, options: RigOptions) => RpcServer) =>
  async (table: MethodTable, options: RigOptions) => {
    const rpc = serve(table, options);
    const { port, listener } = await listen(rpc);
    const channel = nativeChannel(`127.0.0.1:${port}`, { tls: dial(client) });
    return {
      channel,
      async close() {
        channel.close();
        listener.close();
        await rpc.close();
      },
    };
  };

transportContract('native over TLS', rig(nativeServer));
transportContract('grpc-js server, native channel, over TLS', rig(grpcJsServer));

describe('TLS', () => {
  const open: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).toReversed()) await each.close();
  });

  const who = { path: '/test.Who/Am', kind: 'unary', request: text, response: text } as const;
  let seen: (PeerCertificate | undefined)[] = [];
  const table = (): MethodTable => {
    seen = [];
    return echoTable(new ServerSide()).unary(who, (_request, call) => {
      seen.push(call.peerCertificate);
      return call.peerCertificate?.commonName ?? '-';
    });
  };
  const serve = async (options: PortOptions = {}, make = nativeServer): Promise<number> => {
    const rpc = make(table());
    const { port, listener } = await listen(rpc, options);
    open.push(listener, rpc);
    return port;
  };
  const channelTo = (port: number, tls?: DialTls): ReturnType<typeof nativeChannel> => {
    const channel = nativeChannel(`127.0.0.1:${port}`, tls === undefined ? {} : { tls });
    open.push(channel);
    return channel;
  };
  const failure = async (promise: Promise<unknown>): Promise<RpcError> => {
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof RpcError)) throw new Error('the call did not fail as it must');
    return error;
  };

  test.each([
    ['native', nativeServer],
    ['grpc-js', grpcJsServer],
  ])('%s: a call knows the certificate of its peer, if it was verified', async (_name, make) => {
    const names = { commonName: 'client', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
    expect(await channelTo(await serve({}, make), dial(client)).unary(who, '')).toBe('client');
    expect(seen).toEqual([names]);
    expect(await channelTo(await serve({ asks: false }, make), dial(client)).unary(who, '')).toBe('-');
    const plain = make(table());
    const { port } = await plain.listen({ host: '127.0.0.1', port: 0 });
    open.push(plain);
    expect(await channelTo(port).unary(who, '')).toBe('-');
  });

  test.each<[string, PortOptions, DialTls | undefined, string]>([
    [
      'a server of another authority',
      {},
      dial(client, stranger.certified.certificate),
      'authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority',
    ],
    [
      'a server for another name',
      { pair: authority.issue('far', { ipAddresses: ['10.0.0.1'], dnsNames: [] }) },
      dial(client),
      'authentication handshake failed: tls: failed to verify certificate: x509: certificate is valid for 10.0.0.1, not 127.0.0.1',
    ],
    ['a server that asks for a certificate', {}, dial(), 'remote error: tls: certificate required'],
    [
      'a server that speaks another protocol',
      { protocols: ['http/1.1'] },
      dial(client),
      'authentication handshake failed: remote error: tls: no application protocol',
    ],
    [
      'a server without protocols',
      { protocols: [] },
      dial(client),
      'authentication handshake failed: credentials: cannot check peer: missing selected ALPN property',
    ],
    ['no TLS from us', {}, undefined, ''],
  ])('%s', async (_name, options, tls, why) => {
    const port = await serve(options);
    const error = await failure(channelTo(port, tls).unary(Echo.unary, 'echo x'));
    expect(error.code).toBe(StatusCode.Unavailable);
    expect(error.message).toContain(`connection error: no connection to 127.0.0.1:${port}`);
    expect(error.message).toContain(why);
    expect(error.unsent).toBe(true);
    expect(seen).toEqual([]);
  });

  test('a server without TLS', async () => {
    const rpc = nativeServer(table());
    const { port } = await rpc.listen({ host: '127.0.0.1', port: 0 });
    open.push(rpc);
    const error = await failure(channelTo(port, dial(client)).unary(Echo.unary, 'echo x'));
    expect(error.message).toContain(
      'authentication handshake failed: tls: first record does not look like a TLS handshake',
    );
  });

  test('a server that never answers the handshake costs the call its deadline, no more', async () => {
    const deaf = createPlainServer((socket) => {
      open.push({ close: () => socket.destroy() });
    }).listen(0, '127.0.0.1');
    await once(deaf, 'listening');
    open.push(deaf);
    const channel = channelTo((deaf.address() as AddressInfo).port, dial(client));
    const error = await failure(channel.unary(Echo.unary, 'echo x', { timeoutMs: 50 }));
    expect(error.code).toBe(StatusCode.DeadlineExceeded);
    channel.close();
  });

  test('files are read for each connection: a bad pair fails attempts until it is good', async () => {
    const port = await serve();
    const pair = authority.issue('renewed');
    const files = new KeyPairFiles(pair.certFile, pair.keyFile);
    let broken = true;
    const channel = nativeChannel(`127.0.0.1:${port}`, {
      minBackoffMs: 1,
      maxBackoffMs: 1,
      tls: () => {
        if (broken) throw new Error('tls: private key does not match public key');
        return { ca: [authority.certified.certificate], ...files.read() };
      },
    });
    open.push(channel);
    const error = await failure(channel.unary(who, ''));
    expect(error.message).toContain(
      'authentication handshake failed: tls: private key does not match public key',
    );
    broken = false;
    while (channel.state === 'failed') await new Promise((resolve) => setImmediate(resolve));
    expect(await channel.unary(who, '')).toBe('renewed');
  });
});
