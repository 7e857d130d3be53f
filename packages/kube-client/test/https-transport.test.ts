/** Requests over real sockets: HTTP/2, HTTP/1.1 with and without TLS, and connections that end. */

import http2 from 'node:http2';
import https from 'node:https';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { afterEach, describe, expect, test } from '@jest/globals';
import { CertificateAuthority, type CertificatePair } from '@keelson/apiserver';
import { Prng, silentLogger, systemClock, type Clock } from '@keelson/base';

import { smallServer, type SmallServer } from '../../apiserver/test/small-server.ts';
import { until } from '../../base/test/until.ts';
import { HttpsTransport, type HttpsTransportOptions } from '../src/https-transport.ts';
import { Informer } from '../src/informer.ts';
import { KubeError } from '../src/kube-error.ts';
import { MetricSet } from '../src/metrics.ts';
import { RestClient } from '../src/rest-client.ts';

const MAPS = { group: '', version: 'v1', resource: 'configmaps' };
const authority = CertificateAuthority.create('test-ca', Date.now());
const serving: CertificatePair = authority.issue(
  { subject: { commonName: 'server' }, kind: 'server', names: ['127.0.0.1', 'localhost'] },
  Date.now(),
  1,
);
const IDENTITY = { cert: serving.certificate, key: serving.key };

const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

function transportTo(port: number, more: Partial<HttpsTransportOptions> = {}): HttpsTransport {
  const transport = new HttpsTransport({
    server: `https://127.0.0.1:${port}`,
    clock: systemClock,
    tls: { ca: authority.certificate },
    ...more,
  });
  ends.push(() => transport.close());
  return transport;
}

function clientOf(transport: HttpsTransport): RestClient {
  return new RestClient({ transport, clock: systemClock, metrics: new MetricSet(), userAgent: 'test/1' });
}

async function serve(plain = false): Promise<{ small: SmallServer; port: number }> {
  const small = smallServer();
  ends.push(() => small.stop());
  const { port } = await small.server.listen(0, '127.0.0.1', plain ? undefined : IDENTITY);
  return { small, port };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function writesAndReads(client: RestClient): Promise<void> {
  const made = await client.create(MAPS, 'n', { metadata: { name: 'taeglich' }, data: { k: 'é' } });
  expect(made.metadata.uid).toBeDefined();
  const { items } = await client.list(MAPS, 'n');
  expect(items.map(({ data }) => data)).toEqual([{ k: 'é' }]);
  await client.delete(MAPS, 'n', 'taeglich');
  await expect(client.get(MAPS, 'n', 'taeglich')).rejects.toThrow('configmaps "taeglich" not found');
}

test('an answer that is read late is whole: its end came before anybody looked', async () => {
  const { port } = await serve();
  const transport = transportTo(port);
  const answer = await transport.call('/api/v1/namespaces/default/configmaps');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(JSON.parse((await answer.bytes()).toString())).toMatchObject({ kind: 'ConfigMapList', items: [] });
});

test('an answer that is cut short is an error, whenever it is read', async () => {
  const server = http2.createSecureServer({ cert: serving.certificate, key: serving.key });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    stream.write('half of it', () => setTimeout(() => stream.session?.destroy(), 20));
  });
  const port = await listening(server);
  ends.push(() => void server.close());
  const transport = transportTo(port);
  for (const waitMs of [0, 50]) {
    const answer = await transport.call('/');
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await expect(answer.bytes()).rejects.toThrow();
  }
});

test('HTTP/2: requests, and watches as many as there are, on as many connections as they need', async () => {
  const { port, small } = await serve();
  const transport = transportTo(port);
  const client = clientOf(transport);
  await writesAndReads(client);
  const parts = { client, clock: systemClock, prng: new Prng(1), logger: silentLogger, resource: MAPS };
  // More than the streams that one connection may have.
  const informers = Array.from({ length: 260 }, (_, i) => new Informer({ ...parts, namespace: `n${i % 2}` }));
  for (const informer of informers) informer.start();
  await Promise.all(informers.map((informer) => informer.whenSynced()));
  await small.ask('POST', '/api/v1/namespaces/n1/configmaps', { metadata: { name: 'a' } });
  await until(() => informers.every(({ size }, i) => size === i % 2), 'each watch has it');
  await Promise.all(informers.map((informer) => informer.stop()));
});

test('HTTP/1.1 without TLS', async () => {
  const { port } = await serve(true);
  const transport = new HttpsTransport({ server: `http://127.0.0.1:${port}`, clock: systemClock });
  ends.push(() => transport.close());
  await writesAndReads(clientOf(transport));
});

test('HTTP/1.1 with TLS, where the server has nothing else; credentials and a base path', async () => {
  const seen: string[] = [];
  const server = https.createServer({ ...IDENTITY, ALPNProtocols: ['http/1.1'] }, (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ metadata: { name: 'a' } }));
  });
  const port = await listening(server);
  ends.push(() => void server.close());
  const transport = transportTo(port, {
    server: `https://127.0.0.1:${port}/cluster/`,
    authorization: () => Promise.resolve('Bearer t'),
  });
  const found = await clientOf(transport).get(MAPS, 'n', 'a');
  expect(found.metadata.name).toBe('a');
  expect(seen).toEqual(['GET /cluster/api/v1/namespaces/n/configmaps/a Bearer t']);
  transport.close();
});

describe('a server that', () => {
  test('another authority vouches for is not talked to, unless that is wanted', async () => {
    const { port } = await serve();
    const other = CertificateAuthority.create('other', Date.now()).certificate;
    const refused = clientOf(transportTo(port, { tls: { ca: other } })).list(MAPS, 'n');
    await expect(refused).rejects.toMatchObject({ code: 'TRANSPORT' });
    const taken = clientOf(transportTo(port, { tls: { insecure: true } })).list(MAPS, 'n');
    expect((await taken).items).toEqual([]);
  });

  test('ends its connections is connected to again, and watches go on', async () => {
    const { port, small } = await serve();
    const sessions = new Set<http2.Http2Session>();
    // Stands before the server and can cut what runs through it.
    const upstream = transportTo(port);
    const server = http2.createSecureServer(IDENTITY, (request, response) => {
      const controller = new AbortController();
      response.once('close', () => controller.abort());
      void (async () => {
        const parts: Buffer[] = [];
        for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
        const answer = await upstream.call(request.url, {
          method: request.method,
          headers: { accept: 'application/json', 'content-type': 'application/json' },
          ...(parts.length === 0 ? {} : { body: Buffer.concat(parts) }),
          signal: controller.signal,
        });
        response.writeHead(answer.code, { 'content-type': 'application/json' });
        for await (const chunk of answer.chunks) response.write(chunk);
        response.end();
      })().catch(() => response.stream.destroy());
    });
    server.on('session', (session) => sessions.add(session));
    const front = await listening(server);
    ends.push(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    const client = clientOf(transportTo(front));
    const parts = { client, clock: systemClock, prng: new Prng(1), logger: silentLogger, resource: MAPS };
    const informer = new Informer({ ...parts, namespace: 'n' });
    ends.push(() => informer.stop());
    informer.start();
    await informer.whenSynced();
    for (const session of sessions) session.destroy();
    await small.ask('POST', '/api/v1/namespaces/n/configmaps', { metadata: { name: 'after' } });
    await until(() => informer.size === 1, 'the watch goes on');
    expect(sessions.size).toBe(2);
  });

  test('answers no ping is given up, with what runs on the connection', async () => {
    const timers = new Set<() => void>();
    // Time stands still but for the timers of this test.
    const clock: Clock = {
      nowMs: () => systemClock.nowMs(),
      monotonicMs: () => elapsedMs,
      setTimer: (_delayMs, task) => {
        timers.add(task);
        return { cancel: () => void timers.delete(task) };
      },
    };
    let elapsedMs = 0;
    const server = http2.createSecureServer(IDENTITY);
    let asked = 0;
    server.on('stream', (stream) => {
      asked += 1;
      stream.on('error', () => undefined);
    });
    server.on('session', (session) => {
      session.on('error', () => undefined);
      ends.push(() => session.destroy());
    });
    const upstream = await listening(server);
    ends.push(() => void server.close());
    // A network between the two that loses everything once the request has arrived.
    const sockets: Socket[] = [];
    const network = createServer((socket) => {
      const onward = connect(upstream, '127.0.0.1');
      for (const one of [socket, onward]) one.on('error', () => undefined);
      socket.pipe(onward).pipe(socket);
      sockets.push(socket, onward);
    });
    const port = await listening(network);
    ends.push(() => {
      for (const socket of sockets) socket.destroy();
      network.close();
    });
    const transport = transportTo(port, { clock });
    const call = transport.call('/hangs').catch((error: Error) => error.message);
    await until(() => asked === 1, 'the request arrived');
    for (const socket of sockets) socket.unpipe().pause();
    const fire = (): void => {
      const due = [...timers];
      timers.clear();
      for (const task of due) task();
    };
    elapsedMs += 30_000;
    fire();
    elapsedMs += 15_000;
    fire();
    expect(await call).toMatch(/does not answer a ping|ended without an answer/);
  });

  test('is not there is an error that says so', async () => {
    const server = https.createServer(IDENTITY);
    const port = await listening(server);
    await new Promise((resolve) => server.close(resolve));
    const error: unknown = await clientOf(transportTo(port))
      .list(MAPS, 'n')
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(KubeError);
    expect((error as KubeError).message).toContain('ECONNREFUSED');
  });
});
