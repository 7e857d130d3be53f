import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';
import { TestAuthority } from '../../../store/test/tls-fixtures.ts';
import { CapturedIo } from '../../test/captured-io.ts';
import { startGateway } from './gateway.ts';
import type { Asked, Resolver, SrvRecord } from './targets.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const ASKED: Asked = {
  listenAddr: '127.0.0.1:0',
  endpoints: ['127.0.0.1:2379'],
  discoverySrv: '',
  discoverySrvName: '',
  insecureDiscovery: false,
  trustedCaFile: '',
};

/** Names that all are this machine's, and the records of a domain. */
function dns(records: Readonly<Record<string, readonly SrvRecord[]>> = {}): Resolver {
  return {
    srv: (name) =>
      name in records
        ? Promise.resolve(records[name])
        : Promise.reject(new Error(`querySrv ENOTFOUND ${name}`)),
    addresses: (host) =>
      host.endsWith('.invalid') ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(['127.0.0.1']),
  };
}

interface Running {
  readonly io: CapturedIo;
  readonly code: Promise<number>;
}

function start(asked: Partial<Asked>, resolver = dns()): Running {
  const io = new CapturedIo();
  const code = startGateway({ ...ASKED, ...asked }, 60_000, ['etcd'], io, { clock: systemClock, resolver });
  return { io, code };
}

/** At a port of this host that nobody had; another one, where somebody was quicker. */
async function startAt(host: string, asked: Partial<Asked>): Promise<Running & { readonly port: number }> {
  for (;;) {
    const free = createServer();
    const port = await listening(free);
    await new Promise((resolve) => void free.close(resolve));
    const running = start({ ...asked, listenAddr: `${host}:${port}` });
    const first = await Promise.race([running.code, running.io.line('ready to proxy')]);
    if (typeof first === 'string') return { ...running, port };
    expect(running.io.errText).toContain('address already in use');
  }
}

async function endpointsOf({ io, code }: Running): Promise<unknown> {
  const line: unknown = JSON.parse(await io.line('ready to proxy client requests'));
  await io.stop();
  expect(await code).toBe(0);
  return (line as { endpoints: unknown }).endpoints;
}

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => void server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

function tlsServer(authority: TestAuthority, dnsNames: readonly string[]): Promise<number> {
  const { certificate, key } = authority.issue(dnsNames.join(), { dnsNames });
  const server = createTlsServer(
    { cert: certificate, key },
    (socket) => void socket.on('error', () => {}).resume(),
  );
  server.on('tlsClientError', () => {});
  return listening(server);
}

describe('which endpoints are forwarded to', () => {
  test.each<[string, string[], string[]]>([
    ['as they are', ['127.0.0.1:1', '[::1]:2'], ['127.0.0.1:1', '[::1]:2']],
    ['without scheme and path', ['http://a:1', 'https://u@b:2/x?y'], ['a:1', 'b:2']],
    ['without a port', ['a', 'http://b'], ['a:2379', 'b:2379']],
  ])('%s', async (_name, endpoints, want) => {
    expect(await endpointsOf(start({ endpoints }))).toEqual(want);
  });

  const RECORDS = {
    '_etcd-client-ssl._tcp.cluster.test': [{ name: 's.cluster.test.', port: 1, priority: 1, weight: 2 }],
    '_etcd-client._tcp.cluster.test': [{ name: 'p.cluster.test', port: 2, priority: 0, weight: 0 }],
    '_etcd-client-blue._tcp.cluster.test': [{ name: 'b.cluster.test', port: 3, priority: 0, weight: 0 }],
  };

  test('those that DNS names, in place of those that were given', async () => {
    const asked = { discoverySrv: 'cluster.test', insecureDiscovery: true };
    expect(await endpointsOf(start(asked, dns(RECORDS)))).toEqual(['s.cluster.test:1', 'p.cluster.test:2']);
    expect(await endpointsOf(start({ ...asked, discoverySrvName: 'blue' }, dns(RECORDS)))).toEqual([
      'b.cluster.test:3',
    ]);
  });

  test('of those only the ones whose certificate is good for the domain, unless asked otherwise', async () => {
    const authority = new TestAuthority();
    const stranger = new TestAuthority('stranger');
    open.push(
      () => authority.dispose(),
      () => stranger.dispose(),
    );
    const good = await tlsServer(authority, ['cluster.test']);
    const wrongName = await tlsServer(authority, ['other.test']);
    const wrongAuthority = await tlsServer(stranger, ['cluster.test']);
    const plain = await listening(createServer((socket) => void socket.end('no TLS here')));
    const record = (port: number): SrvRecord => ({ name: '127.0.0.1', port, priority: 0, weight: 0 });
    const records = {
      '_etcd-client-ssl._tcp.cluster.test': [good, wrongName, wrongAuthority, plain].map(record),
      '_etcd-client._tcp.cluster.test': [record(plain)],
    };
    const asked = { discoverySrv: 'cluster.test', trustedCaFile: authority.caFile };
    const running = start(asked, dns(records));
    const warning = JSON.parse(await running.io.line('failed to validate')) as { error: string };
    expect(await endpointsOf(running)).toEqual([`127.0.0.1:${good}`]);
    expect(warning.error).toContain(`"https://127.0.0.1:${wrongName}" failed to dial (tls: failed to verify`);
    expect(warning.error).toContain('certificate signed by unknown authority');
    expect(warning.error).toContain(`"http://127.0.0.1:${plain}" is insecure`);
    // Nobody left: the endpoints that were given, as etcd.
    const unreadable = { ...asked, trustedCaFile: `${authority.caFile}.none` };
    expect(await endpointsOf(start(unreadable, dns(records)))).toEqual(['127.0.0.1:2379']);
  });
});

test('what cannot be started says why, and is 1', async () => {
  const io = async (asked: Partial<Asked>): Promise<string> => {
    const running = start(asked);
    expect(await running.code).toBe(1);
    return running.io.outText + running.io.errText.split('\n').slice(1).join('\n');
  };
  const taken = await listening(createServer());
  expect(await io({ discoverySrv: 'nowhere.test' })).toBe(
    'dns lookup errors: lookup _etcd-client-ssl._tcp.nowhere.test: no such host and ' +
      'lookup _etcd-client._tcp.nowhere.test: no such host\n',
  );
  expect(await io({ listenAddr: `127.0.0.1:${taken}` })).toBe(
    `listen tcp 127.0.0.1:${taken}: bind: address already in use\n`,
  );
  expect(await io({ listenAddr: '127.0.0.1:9', endpoints: ['a:9'] })).toBe(
    'SRV or endpoint (a:9->127.0.0.1:9) should not resolve to the gateway listen addr (127.0.0.1:9)\n',
  );
});

test('localhost is the loopback address of IPv4, as for every other etcd', async () => {
  const { io, code, port } = await startAt('localhost', { endpoints: ['elsewhere.test:1'] });
  const socket = connect(port, '127.0.0.1').resume();
  await new Promise((resolve) => void socket.once('connect', resolve));
  await io.stop();
  expect(await code).toBe(0);
});

test('a signal ends it, and the connections it forwards', async () => {
  const server = createServer((socket) => void socket.on('error', () => {}).write('hello'));
  const member = await listening(server);
  const { io, code, port } = await startAt('127.0.0.1', { endpoints: [`127.0.0.1:${member}`] });
  const socket = connect(port, '127.0.0.1');
  const ended = new Promise((resolve) => void socket.once('close', resolve));
  await new Promise((resolve) => void socket.once('data', resolve));
  await io.stop();
  expect(await code).toBe(0);
  await ended;
  expect(await io.line('received signal')).toContain('"signal":"SIGTERM"');
});
