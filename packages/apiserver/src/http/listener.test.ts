import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { gunzipSync } from 'node:zlib';

import { afterEach, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '@keelson/base';

import { until } from '../../../base/test/until.ts';
import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import { badRequest, tooManyRequests } from '../api/status.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import { pathNotFound } from '../handlers/paths.ts';
import { CertificateAuthority } from '../pki/authority.ts';
import { TypeTable } from '../schema/type-table.ts';
import { Door } from './door.ts';
import { callInProcess } from './in-process.ts';
import { Listener, type GoawayDice, type ListenerLimits, type PortSharing } from './listener.ts';
import { apiPipeline } from './pipeline.ts';

const codec = new ObjectCodec(new TypeTable());
const authority = CertificateAuthority.create('test-ca', systemClock.nowMs());
const server = authority.server('apiserver', ['localhost', '127.0.0.1'], systemClock.nowMs());

const BIG = Buffer.alloc(30_000_000, 'x');

/** What the tests ask of the handler, by path. */
function handlerOf(world: { watching: number; seen: ApiRequest[] }): Handler {
  const answer = async (request: ApiRequest): Promise<ApiResponse> => {
    world.seen.push(request);
    switch (request.path) {
      case '/echo': {
        const body = await request.body(3_000_000);
        return { kind: 'bytes', code: 200, contentType: 'text/plain', body };
      }
      case '/big':
        return { kind: 'bytes', code: 200, contentType: 'text/plain', body: BIG };
      case '/large':
        return { kind: 'bytes', code: 200, contentType: 'text/plain', body: Buffer.alloc(200_000, 'y') };
      case '/object':
        request.warn('old "thing"');
        request.warn('old "thing"');
        return {
          kind: 'object',
          code: 201,
          object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } },
        };
      case '/bad':
        throw badRequest('no');
      case '/busy':
        throw tooManyRequests('later', 7);
      case '/broken':
        throw new TypeError('a mistake');
      case '/slow':
        await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
        throw new Error('given up');
      case '/api/v1/pods':
        return { kind: 'stream', code: 200, contentType: 'application/json', chunks: watch(request) };
      case '/upgrade': {
        if (request.upgrade === undefined) return pathNotFound();
        return {
          kind: 'switch',
          code: 101,
          headers: new Map([
            ['upgrade', [request.upgrade]],
            ['connection', ['Upgrade']],
          ]),
          join: async (client) => {
            client.write(Buffer.from('hello '));
            for (let sum = ''; sum.length < 3;) {
              const chunk = await client.read();
              if (chunk === undefined) break;
              client.write(chunk);
              sum += chunk.toString();
            }
            client.end();
            await client.closed;
          },
          abandon: () => undefined,
        };
      }
      default:
        return pathNotFound();
    }
  };
  async function* watch(request: ApiRequest): AsyncGenerator<Buffer, void> {
    world.watching += 1;
    try {
      yield Buffer.from('{"type":"ADDED"}\n');
      await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
    } finally {
      world.watching -= 1;
    }
  }
  return answer;
}

const cleanup: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const task of cleanup.splice(0).toReversed()) await task();
});

async function start(
  options: {
    plain?: boolean;
    timeoutMs?: number;
    stallMs?: number;
    limits?: Partial<ListenerLimits>;
    goaway?: GoawayDice;
    sharing?: PortSharing;
    port?: number;
  } = {},
) {
  const world = { watching: 0, seen: [] as ApiRequest[] };
  let ids = 0;
  const handler = apiPipeline({
    clock: systemClock,
    uuid: () => `id-${(ids += 1)}`,
    handler: handlerOf(world),
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
  });
  const door = new Door({
    handler,
    codec,
    clock: systemClock,
    logger: silentLogger,
    ...(options.stallMs !== undefined && { stallMs: options.stallMs }),
  });
  const tls = { cert: server.certificate, key: server.key, clientCa: [authority.certificate] };
  const listener = new Listener({
    door,
    clock: systemClock,
    logger: silentLogger,
    ...(options.plain !== true && { tls }),
    ...(options.limits && { limits: options.limits }),
    ...(options.goaway && { goaway: options.goaway }),
    ...(options.sharing && { sharing: options.sharing }),
  });
  const { port } = await listener.listen(options.port ?? 0, '127.0.0.1');
  let stopped = false;
  const stop = async (graceMs: number): Promise<void> => {
    stopped = true;
    await listener.stop(graceMs);
  };
  cleanup.push(async () => {
    if (!stopped) await listener.stop(0);
  });
  return { world, door, port, stop };
}

function session(port: number, options: object = {}): ClientHttp2Session {
  const client = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.certificate, ...options });
  client.on('error', () => {});
  cleanup.push(async () => {
    if (client.destroyed) return;
    client.destroy();
    await once(client, 'close');
  });
  return client;
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  const [headers] = await once(stream, 'response');
  if (!stream.readableEnded) await once(stream, 'end');
  return { status: Number(headers[':status']), headers, body: Buffer.concat(parts) };
}

function get(client: ClientHttp2Session, path: string, headers: object = {}): Promise<Answer> {
  return answerOf(client.request({ ':path': path, ...headers }));
}

test('HTTP/2: objects, refusals and the headers every answer carries', async () => {
  const { port } = await start();
  const client = session(port);
  const object = await get(client, '/object', { accept: 'application/json' });
  expect(object.status).toBe(201);
  expect(object.headers).toMatchObject({
    'audit-id': 'id-1',
    'cache-control': 'no-cache, private',
    'content-type': 'application/json',
    warning: String.raw`299 - "old \"thing\""`,
  });
  expect(object.body.toString()).toBe('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}\n');

  const yaml = await get(client, '/object', { accept: 'application/yaml' });
  expect(yaml.body.toString()).toBe('apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n');
  const protobuf = await get(client, '/object', { accept: 'application/vnd.kubernetes.protobuf' });
  expect(protobuf.headers['content-type']).toBe('application/vnd.kubernetes.protobuf');
  expect(protobuf.body.subarray(0, 4).toString('latin1')).toBe('k8s\0');
  const none = await get(client, '/object', { accept: 'text/html' });
  expect([none.status, none.headers['content-type']]).toEqual([406, 'application/json']);

  const bad = await get(client, '/bad', { 'audit-id': 'mine' });
  expect([bad.status, bad.headers['audit-id']]).toEqual([400, 'mine']);
  expect(JSON.parse(bad.body.toString())).toMatchObject({
    kind: 'Status',
    reason: 'BadRequest',
    message: 'no',
    code: 400,
  });
  const busy = await get(client, '/busy');
  expect([busy.status, busy.headers['retry-after']]).toEqual([429, '7']);
  const lost = await get(client, '/nowhere');
  expect([lost.status, lost.headers['content-type'], lost.body.toString()]).toEqual([
    404,
    'text/plain; charset=utf-8',
    '404 page not found\n',
  ]);
  const broken = await get(client, '/broken');
  expect([broken.status, broken.body.toString()]).toEqual([
    500,
    'This request caused apiserver to panic. Look in the logs for details.\n',
  ]);
  expect((await get(client, '/bad%zz')).status).toBe(400);
});

test('large bodies are compressed for those who take it', async () => {
  const { port } = await start();
  const client = session(port);
  const small = await get(client, '/large');
  expect([small.headers['content-encoding'], small.body.length]).toEqual([undefined, 200_000]);
  const packed = await get(client, '/large', { 'accept-encoding': 'deflate, gzip' });
  expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
  expect(gunzipSync(packed.body).length).toBe(200_000);
});

test('bodies are read within their limit', async () => {
  const { port } = await start();
  const client = session(port);
  const send = (body: Buffer, headers: object = {}) => {
    const stream = client.request({ ':path': '/echo', ':method': 'POST', ...headers });
    stream.on('error', () => {});
    stream.end(body);
    return answerOf(stream);
  };
  expect((await send(Buffer.from('hello'))).body.toString()).toBe('hello');
  const large = await send(Buffer.alloc(3_000_001));
  expect(large.status).toBe(413);
  expect(JSON.parse(large.body.toString())).toMatchObject({
    reason: 'RequestEntityTooLarge',
    message: 'Request entity too large: limit is 3000000',
  });
  expect((await send(Buffer.from('again'))).body.toString()).toBe('again');
});

test('a request that takes too long is answered 504, one whose body never comes too', async () => {
  const { port } = await start({ timeoutMs: 50 });
  const client = session(port);
  const slow = await get(client, '/slow');
  expect([slow.status, JSON.parse(slow.body.toString())]).toMatchObject([
    504,
    { reason: 'Timeout', message: 'Timeout: request did not complete within the allotted timeout' },
  ]);
  const stream = client.request({ ':path': '/echo', ':method': 'POST' }, { endStream: false });
  stream.on('error', () => {});
  stream.write('never ');
  expect((await answerOf(stream)).status).toBe(504);
  expect((await get(client, '/slow?timeout=x')).status).toBe(400);
});

test('5,000 cancelled watches and a list nobody reads disturb no other stream', async () => {
  const { port, world } = await start();
  const client = session(port);
  await once(client, 'connect');
  // As Go clients: a stream that is not read does not use up the connection's window.
  client.setLocalWindowSize(16_000_000);
  const stalled = client.request({ ':path': '/big' });
  stalled.on('error', () => {});
  await once(stalled, 'response');
  let goaway = false;
  client.on('goaway', () => (goaway = true));
  for (let round = 0; round < 10; round += 1) {
    const streams = Array.from({ length: 500 }, () => client.request({ ':path': '/api/v1/pods?watch=true' }));
    const answered = streams.map((stream) => once(stream, 'response'));
    for (const stream of streams) stream.on('error', () => {});
    await Promise.all(answered);
    const closed = streams.map((stream) => once(stream, 'close'));
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    await Promise.all(closed);
    expect((await get(client, '/object')).status).toBe(201);
  }
  expect(goaway).toBe(false);
  // The stalled list goes on once it is read, and is whole.
  let size = 0;
  stalled.on('data', (part: Buffer) => (size += part.length));
  await once(stalled, 'end');
  expect(size).toBe(BIG.length);
  while (world.watching > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(world.seen.filter(({ path }) => path === '/api/v1/pods')).toHaveLength(5_000);
});

test('an answer that nobody takes is given up', async () => {
  const { port, door } = await start({ stallMs: 30 });
  const client = session(port);
  const stalled = client.request({ ':path': '/big' });
  stalled.on('error', () => {});
  await once(stalled, 'response');
  await until(() => door.activeCount === 0, 'nothing is answered any more');
  expect((await get(client, '/object')).status).toBe(201);
});

test('stopping: watches end in order, what is answered is answered, GOAWAY, then nothing', async () => {
  const { port, stop, world } = await start();
  const client = session(port);
  const watch = client.request({ ':path': '/api/v1/pods?watch=true' });
  const [headers] = await once(watch, 'response');
  expect(headers[':status']).toBe(200);
  let text = '';
  watch.on('data', (part: Buffer) => (text += part.toString()));
  let code = -1;
  client.on('goaway', (given: number) => (code = given));
  const closed = once(client, 'close');
  const ended = once(watch, 'end');
  await stop(10_000);
  await ended;
  await closed;
  expect([text, watch.rstCode, code]).toEqual([
    '{"type":"ADDED"}\n',
    constants.NGHTTP2_NO_ERROR,
    constants.NGHTTP2_NO_ERROR,
  ]);
  expect(world.watching).toBe(0);
});

test('a request that the dice choose is the last of its connection, and none is lost', async () => {
  const misses = 999_999_999;
  const rolls = [misses, misses, misses, 9_999_999];
  const dice: GoawayDice = { chance: 0.01, random: () => rolls.shift() ?? misses };
  const { port, world } = await start({ goaway: dice });
  const client = session(port);
  const watch = client.request({ ':path': '/api/v1/pods?watch=true' });
  await once(watch, 'response');
  const told = once(client, 'goaway');
  const streams = Array.from({ length: 10 }, () => client.request({ ':path': '/object' }));
  const answers = await Promise.all(
    streams.map(async (stream) => {
      try {
        return (await answerOf(stream)).status;
      } catch {
        // Behind the last one: a client may send it again, since nobody looked at it.
        expect(stream.rstCode).toBe(constants.NGHTTP2_REFUSED_STREAM);
        return (await get(session(port), '/object')).status;
      }
    }),
  );
  expect((await told)[0]).toBe(constants.NGHTTP2_NO_ERROR);
  expect(answers).toEqual(answers.map(() => 201));
  expect(world.seen.filter(({ path }) => path === '/object')).toHaveLength(10);
  // The watch goes on where it was; new requests go elsewhere.
  expect([client.closed, watch.closed, world.watching]).toEqual([true, false, 1]);
});

test('HTTP/1.1 and calls inside the process know no such end', async () => {
  const { port, door } = await start({ plain: true, goaway: { chance: 1, random: () => 0 } });
  expect(await raw(port, 'GET /object HTTP/1.1\r\nHost: x\r\n\r\n', 'GET / HTTP/1.0\r\n\r\n')).toMatch(
    /201 Created.*404 Not Found/s,
  );
  expect((await callInProcess(door, '/object')).code).toBe(201);
});

test('a port is shared by those who all ask for it', async () => {
  const sharing = { port: true };
  const { port } = await start({ sharing });
  const second = await start({ sharing, port });
  expect(second.port).toBe(port);
  expect((await get(session(port), '/object')).status).toBe(201);
  const at = `127.0.0.1:${port}`;
  await expect(start({ port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
    message: `failed to create listener: failed to listen on ${at}: listen tcp ${at}: bind: address already in use`,
  });
});

test('HTTP/1.1 on the same port, with a certificate that is accepted, one that is not, and none', async () => {
  const { port, world } = await start();
  const now = systemClock.nowMs();
  const mine = authority.client({ commonName: 'jane', organizations: ['ops'] }, now);
  const foreign = CertificateAuthority.create('other', now).client({ commonName: 'eve' }, now);
  const call = async (identity: { cert?: string; key?: string }): Promise<string> => {
    const request = httpsRequest({
      host: '127.0.0.1',
      port,
      path: '/object',
      ca: authority.certificate,
      agent: false,
      ...identity,
    });
    request.end();
    const [response] = await once(request, 'response');
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part);
    return `${response.httpVersion} ${response.statusCode} ${Buffer.concat(parts).length}`;
  };
  expect(await call({})).toBe('1.1 201 63');
  expect(await call({ cert: mine.certificate, key: mine.key })).toBe('1.1 201 63');
  expect(await call({ cert: foreign.certificate, key: foreign.key })).toBe('1.1 201 63');
  const [none, known, unknown] = world.seen.map(({ peer }) => peer);
  expect([none.certificates.length, none.certificateError, none.secure]).toEqual([0, undefined, true]);
  expect(known.certificates.length).toBeGreaterThan(0);
  expect([unknown.certificates.length, typeof unknown.certificateError]).toEqual([0, 'string']);
});

/** Sends bytes as they are and gives what comes back until the connection ends. */
async function raw(port: number, ...pieces: string[]): Promise<string> {
  const socket = connectTcp(port, '127.0.0.1');
  let text = '';
  socket.on('data', (part) => (text += part.toString('latin1')));
  socket.on('error', () => {});
  for (const piece of pieces) socket.write(piece);
  await once(socket, 'close');
  return text;
}

test('plain HTTP/1.1, byte by byte', async () => {
  const { port } = await start({ plain: true, limits: { headersMs: 200 } });
  const kept = await raw(
    port,
    'GET /object HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  );
  expect(kept.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 201', 'HTTP/1.1 404']);
  expect(await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\nA: ', 'x'.repeat(200_000))).toContain('431');
  expect(await raw(port, 'nonsense\r\n\r\n')).toContain('400 Bad Request');
  // Headers that never end.
  expect(await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\n')).not.toContain('200');
  // A body that is refused ends its connection: the rest of it is no request.
  const refused = await raw(
    port,
    'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\nGET /object',
  );
  expect(refused).toContain('HTTP/1.1 413');
  expect(refused).toContain('connection: close');
});

test('a body that is too large: who still sends it reads the refusal; a small one that nobody read is no harm', async () => {
  const { port } = await start({ plain: true });
  // More than any buffer between the two: a client that writes all of it first needs a server that takes it.
  const body = 'x'.repeat(16 * 1024 * 1024);
  const refused = await raw(
    port,
    `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`,
    body,
  );
  expect(refused).toMatch(/^HTTP\/1\.1 413 .*"reason": ?"RequestEntityTooLarge"/s);
  const kept = await raw(
    port,
    `POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`,
    'GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  );
  expect(kept.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 404']);
});

test('connections that leave HTTP go through the pipeline and are taken over, or answered', async () => {
  const { port } = await start({ plain: true });
  const ask = (path: string) =>
    raw(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nyou`);
  expect(await ask('/upgrade')).toMatch(/^HTTP\/1\.1 101 .*hello you$/s);
  expect(await ask('/nowhere')).toMatch(/^HTTP\/1\.1 404 .*404 page not found\n$/s);
});

test('calls inside the process', async () => {
  const { door, world } = await start();
  const object = await callInProcess(door, '/object');
  expect([object.code, (await object.bytes()).length]).toEqual([201, 63]);
  const echo = await callInProcess(door, '/echo', { method: 'POST', body: Buffer.from('hi') });
  expect((await echo.bytes()).toString()).toBe('hi');
  const controller = new AbortController();
  const watch = await callInProcess(door, '/api/v1/pods?watch=true', { signal: controller.signal });
  for await (const part of watch.chunks) {
    expect(part.toString()).toBe('{"type":"ADDED"}\n');
    break;
  }
  while (world.watching > 0) await new Promise((resolve) => setImmediate(resolve));
  const big = await callInProcess(door, '/big');
  let size = 0;
  for await (const part of big.chunks) size += part.length;
  expect(size).toBe(BIG.length);
});
