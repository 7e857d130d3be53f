/** What this server asks other servers for itself: in bounded time, a bounded answer, trusting whom it is told to trust. */

import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { afterEach, expect, test } from '@jest/globals';

import { silentLogger, systemClock } from '@keelson/base';

import { BackendCaller } from '../outbound/backend-caller.ts';
import { CertificateAuthority } from '../pki/authority.ts';
import { identityHeaders } from './identity.ts';
import { RemoteCaller, type OwnRequest } from './remote-caller.ts';
import type { RemoteApi } from './remote-api.ts';
import { ServiceResolver } from './service-resolver.ts';

const authority = CertificateAuthority.create('metrics-ca', systemClock.nowMs());
const pair = authority.server('metrics', ['metrics.kube-system.svc'], systemClock.nowMs());
const cleanup: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const task of cleanup.splice(0)) await task();
});

interface Asking {
  readonly ask: (more?: Partial<OwnRequest>) => ReturnType<RemoteCaller['ask']>;
  readonly open: () => number;
}

async function asking(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  api: Partial<RemoteApi> = {},
): Promise<Asking> {
  const server = createServer({ cert: pair.certificate, key: pair.key }, answer);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const caller = new BackendCaller({ clock: systemClock, lookup: () => Promise.resolve([]) });
  cleanup.push(
    () => caller.close(),
    async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  );
  const remote = new RemoteCaller({
    caller,
    clock: systemClock,
    resolver: new ServiceResolver({
      clock: systemClock,
      logger: silentLogger,
      toEndpoints: false,
      random: () => 0,
      changed: () => undefined,
    }),
    identity: identityHeaders(undefined),
    pair: () => undefined,
    rejectRedirects: true,
    timeoutMs: 1_000,
    isEndless: () => false,
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP port has such an address
  const { port } = server.address() as AddressInfo;
  const whole: RemoteApi = {
    name: 'v1.metrics.example.com',
    group: 'metrics.example.com',
    version: 'v1',
    groupPriority: 1,
    versionPriority: 1,
    service: { namespace: 'kube-system', name: 'metrics', port },
    caBundle: authority.certificate,
    unverified: false,
    available: true,
    ...api,
  };
  const usual = { path: '/apis', timeoutMs: 5_000, bytesMax: 1_000 };
  return {
    ask: (more = {}) => remote.ask(whole, { host: '127.0.0.1', port }, { ...usual, ...more }),
    open: () => caller.openCounts.answer,
  };
}

test('asks as the aggregator, with the tag of what is known', async () => {
  const { ask } = await asking((request, response) => {
    const { headers } = request;
    response.setHeader('etag', '"two"');
    response.end([headers['x-remote-user'], headers['x-remote-group'], headers['if-none-match']].join(' '));
  });
  const { code, body, etag } = await ask({ etag: '"one"' });
  expect([code, body.toString(), etag]).toEqual([
    200,
    'system:kube-aggregator system:masters "one"',
    '"two"',
  ]);
});

test('a server that never answers, or never ends, is given up in time', async () => {
  for (const answer of [
    () => undefined,
    (_request: IncomingMessage, response: ServerResponse) => void response.write('a'),
  ]) {
    const { ask, open } = await asking(answer);
    await expect(ask({ timeoutMs: 50 })).rejects.toThrow(
      'context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
    );
    expect(open()).toBe(0);
  }
});

test('an answer of the size that is allowed, and one byte more', async () => {
  let size = 1_000;
  const { ask, open } = await asking((_request, response) => void response.end(Buffer.alloc(size)));
  expect((await ask()).body.length).toBe(1_000);
  size = 1_001;
  await expect(ask()).rejects.toThrow('the answer has more than 1000 bytes');
  while (open() > 0) await new Promise((resolve) => setImmediate(resolve));
});

test.each([
  [
    'a bundle that is none',
    { caBundle: 'junk' },
    'unable to load root certificates: unable to parse bytes as PEM block',
  ],
  [
    'nobody vouches',
    { caBundle: '' },
    'tls: failed to verify certificate: x509: certificate signed by unknown authority',
  ],
  [
    'the certificate of another service',
    { service: { namespace: 'kube-system', name: 'other', port: 1 } },
    'tls: failed to verify certificate: x509: certificate is not valid for other.kube-system.svc',
  ],
])('%s', async (_name, api, message) => {
  const { ask } = await asking((_request, response) => void response.end(), api);
  await expect(ask()).rejects.toThrow(message);
});

test('any certificate will do where the APIService says so', async () => {
  const { ask } = await asking((_request, response) => void response.end('ok'), {
    caBundle: '',
    unverified: true,
  });
  expect((await ask()).body.toString()).toBe('ok');
});
