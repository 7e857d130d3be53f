/** Backends that offer HTTP/2: what is spoken, over how many connections, what is sent again and what is not. */

import {
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';

import { createServer as createRawServer } from 'node:tls';

import { afterEach, describe, expect, test } from '@jest/globals';

import { systemClock, type Clock } from '@keelson/base';

import { until } from '../../../base/test/until.ts';
import { CertificateAuthority } from '../pki/authority.ts';
import { BackendError, type BackendAnswer, type BackendRequest, type BackendTarget } from './backend.ts';
import { BackendCaller } from './backend-caller.ts';

const authority = CertificateAuthority.create('backend-ca', systemClock.nowMs());
const { certificate: cert, key } = authority.server('backend', ['backend.test'], systemClock.nowMs());
const cleanup: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const task of cleanup.splice(0).toReversed()) await task();
});

interface Backend {
  readonly target: BackendTarget;
  readonly sessions: ServerHttp2Session[];
  readonly streams: ServerHttp2Stream[];
  readonly opened: () => number;
}

type Answer = (stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>, count: number) => void;

async function listen(
  server: Http2SecureServer | ReturnType<typeof createTlsServer | typeof createRawServer>,
): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP port has such an address
  return (server.address() as AddressInfo).port;
}

function targetAt(port: number, more: Partial<BackendTarget> = {}): BackendTarget {
  return {
    host: '127.0.0.1',
    port,
    tls: { caBundle: authority.certificate, serverName: 'backend.test', http2: true },
    ...more,
  };
}

async function backend(
  answer: Answer,
  settings: { readonly maxConcurrentStreams?: number } = {},
): Promise<Backend> {
  const server = createSecureServer({ cert, key, allowHTTP1: true, settings });
  const sessions: ServerHttp2Session[] = [];
  const streams: ServerHttp2Stream[] = [];
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => undefined);
  });
  server.on('sessionError', () => undefined);
  server.on('stream', (stream, headers) => {
    streams.push(stream);
    stream.on('error', () => undefined);
    answer(stream, headers, streams.length);
  });
  let opened = 0;
  server.on('secureConnection', () => (opened += 1));
  const port = await listen(server);
  return { target: targetAt(port), sessions, streams, opened: () => opened };
}

function caller(clock: Pick<Clock, 'setTimer'> = systemClock): BackendCaller {
  const made = new BackendCaller({ clock, lookup: () => Promise.resolve([]) });
  cleanup.push(() => made.close());
  return made;
}

function request(more: Partial<BackendRequest> = {}): BackendRequest {
  return {
    method: 'GET',
    target: '/apis/x',
    headers: new Map([['host', ['backend.test']]]),
    signal: new AbortController().signal,
    ...more,
  };
}

async function* pieces(...texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) {
    await Promise.resolve();
    yield Buffer.from(text);
  }
}

async function textOf(answer: BackendAnswer): Promise<string> {
  let text = '';
  for await (const chunk of answer.chunks) text += chunk.toString();
  return text;
}

async function failure(promise: Promise<unknown>): Promise<BackendError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof BackendError))
    throw new Error('the call did not fail as it should', { cause: error });
  return error;
}

/** A frame of HTTP/2; its payload in hex. */
function frame(type: number, flags: number, stream: number, payload: string): Buffer {
  const bytes = Buffer.from(payload, 'hex');
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
}

/** Whether a frame of HEADERS came whole, behind the preface. */
function hasHeaders(came: Buffer): boolean {
  for (let at = 24; at + 9 <= came.length;) {
    const end = at + 9 + came.readUIntBE(at, 3);
    if (came.readUInt8(at + 3) === 1 && end <= came.length) return true;
    at = end;
  }
  return false;
}

/** Timers run when a test says so. */
function heldClock(): {
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly fire: (delayMs: number) => number;
} {
  const timers = new Map<object, { readonly delayMs: number; readonly task: () => void }>();
  return {
    clock: {
      setTimer: (delayMs, task) => {
        const timer = { cancel: () => void timers.delete(timer) };
        timers.set(timer, { delayMs, task });
        return timer;
      },
    },
    fire: (delayMs) => {
      const due = [...timers].filter(([, timer]) => timer.delayMs === delayMs);
      for (const [timer] of due) timers.delete(timer);
      for (const [, { task }] of due) task();
      return due.length;
    },
  };
}

describe('what is said', () => {
  test('a request as it would be over HTTP/1.1, but for what concerns a connection', async () => {
    const seen: Record<string, unknown>[] = [];
    let body = '';
    const { target } = await backend((stream, headers) => {
      seen.push({ ...headers });
      stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
      stream.on('end', () => {
        stream.respond(
          { ':status': 201, 'x-own': ['a', 'b'], 'content-type': 'text/plain' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-behind': 'all' }));
        stream.end('done');
      });
    });
    const answer = await caller().send(
      target,
      request({
        method: 'POST',
        target: '/apis/x?a=%20b',
        headers: new Map([
          ['host', ['services.example:443']],
          ['transfer-encoding', ['chunked']],
          ['connection', ['keep-alive']],
          ['te', ['trailers']],
          ['x-remote-group', ['one', 'two']],
          ['content-type', ['application/json']],
        ]),
        body: pieces('{"a"', ':1}'),
      }),
    );
    expect(answer.code).toBe(201);
    expect([...answer.headers].filter(([name]) => name !== 'date')).toEqual([
      ['x-own', ['a', 'b']],
      ['content-type', ['text/plain']],
    ]);
    expect(await textOf(answer)).toBe('done');
    expect([...answer.trailers()]).toEqual([['x-behind', ['all']]]);
    expect(body).toBe('{"a":1}');
    expect(seen[0]).toMatchObject({
      ':method': 'POST',
      ':path': '/apis/x?a=%20b',
      ':scheme': 'https',
      ':authority': 'services.example:443',
      te: 'trailers',
      'x-remote-group': 'one, two',
    });
    expect(Object.keys(seen[0])).not.toEqual(expect.arrayContaining(['transfer-encoding']));
    expect(Object.keys(seen[0])).not.toEqual(expect.arrayContaining(['connection']));
  });

  test.each<[string, Partial<BackendRequest>]>([
    [
      'a value with the end of a line',
      { headers: new Map([['x-remote-user', ['jane\r\nx-remote-group: root']]]) },
    ],
    ['a name that is none', { headers: new Map([['x remote', ['jane']]]) }],
    ['a path with a space', { target: '/a b' }],
    ['a path with the end of a line', { target: '/a\r\nhost: b' }],
  ])('%s is not sent', async (_name, more) => {
    const { target, streams } = await backend((stream) =>
      stream.respond({ ':status': 200 }, { endStream: true }),
    );
    const error = await failure(caller().send(target, request(more)));
    expect(error.message).toMatch(/^net\/http: /);
    expect(streams).toHaveLength(0);
  });
});

describe('connections', () => {
  test('one carries all requests, those that came while it was made too; a watch holds up nobody', async () => {
    const { target, opened, streams } = await backend((stream, headers) => {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/watch') stream.write('event');
      else stream.end(String(headers[':path']));
    });
    const calls = caller();
    const watching = new AbortController();
    const [watch, ...answers] = await Promise.all([
      calls.send(target, request({ target: '/watch', signal: watching.signal })),
      ...['/a', '/b', '/c'].map((path) => calls.send(target, request({ target: path }))),
    ]);
    expect(await Promise.all(answers.map(textOf))).toEqual(['/a', '/b', '/c']);
    const chunks = watch.chunks[Symbol.asyncIterator]();
    expect((await chunks.next()).value?.toString()).toBe('event');
    expect(await textOf(await calls.send(target, request({ target: '/d' })))).toBe('/d');
    expect(opened()).toBe(1);
    await until(() => calls.openCounts.answer === 1);
    const next = chunks.next();
    watching.abort();
    await expect(next).rejects.toThrow('unexpected EOF');
    await until(() => streams[0].destroyed && calls.openCounts.answer === 0);
    // The connection outlives the watch.
    expect(await textOf(await calls.send(target, request({ target: '/e' })))).toBe('/e');
    expect(opened()).toBe(1);
  });

  test('a further one is made where the server lets no more streams in', async () => {
    const held: ServerHttp2Stream[] = [];
    const { target, opened } = await backend(
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.write('x');
        held.push(stream);
      },
      { maxConcurrentStreams: 2 },
    );
    const calls = caller();
    for (let count = 1; count <= 3; count += 1) await calls.send(target, request());
    expect(opened()).toBe(2);
    for (const stream of held) stream.end();
    await until(() => calls.openCounts.answer === 3 || calls.openCounts.answer === 0);
  });

  test('other trust or another certificate is another connection', async () => {
    const { target, opened } = await backend((stream) =>
      stream.respond({ ':status': 200 }, { endStream: true }),
    );
    const calls = caller();
    await calls.send(target, request());
    const other = { caBundle: '', serverName: 'backend.test', unverified: true, http2: true };
    await calls.send({ ...target, tls: other }, request());
    expect(opened()).toBe(2);
    const wrong = { caBundle: authority.certificate, serverName: 'other.test', http2: true };
    const error = await failure(calls.send({ ...target, tls: wrong }, request()));
    expect([error.kind, error.message]).toEqual([
      'dial',
      'tls: failed to verify certificate: x509: certificate is not valid for other.test',
    ]);
  });

  test('one that is made while the last of the others leaves is known, too', async () => {
    const { target, sessions, opened } = await backend(
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.write('x');
      },
      { maxConcurrentStreams: 1 },
    );
    const calls = caller();
    const first = await calls.send(target, request());
    const sent = calls.send(target, request());
    // A further connection is being made by the time this is heard of.
    sessions[0].destroy();
    const second = await sent;
    first.abandon();
    second.abandon();
    await until(() => calls.openCounts.answer === 0);
    await calls.send(target, request());
    expect(opened()).toBe(2);
  });

  test('a certificate to show that cannot be read is told as over HTTP/1.1', async () => {
    for (const http2 of [true, false]) {
      const tls = { caBundle: '', serverName: 'backend.test', http2, pair: { cert: 'none', key: 'none' } };
      const error = await failure(caller().send(targetAt(1, { tls }), request()));
      expect([error.kind, error.message.slice(0, 10)]).toEqual(['exchange', 'net/http: ']);
    }
  });

  test('a server that speaks HTTP/1.1 alone is spoken to in that, over the connection that asked', async () => {
    let opened = 0;
    const server = createTlsServer({ cert, key }, (message, response) => {
      response.end(`${message.httpVersion} ${message.method}`);
    });
    server.on('secureConnection', () => (opened += 1));
    const target = targetAt(await listen(server));
    const calls = caller();
    expect(await textOf(await calls.send(target, request()))).toBe('1.1 GET');
    expect(opened).toBe(1);
    for (let count = 0; count < 3; count += 1) {
      expect(await textOf(await calls.send(target, request()))).toBe('1.1 GET');
    }
    // The second is kept for those behind it; the server is not asked each time.
    expect(opened).toBe(2);
    const body = {
      method: 'POST',
      headers: new Map([
        ['host', ['b']],
        ['transfer-encoding', ['chunked']],
      ]),
    };
    expect(await textOf(await calls.send(target, request({ ...body, body: pieces('a') })))).toBe('1.1 POST');
  });

  test('what would leave HTTP goes over HTTP/1.1, whatever the server offers', async () => {
    const server = createSecureServer({ cert, key, allowHTTP1: true });
    server.on('upgrade', (message: { httpVersion: string }, socket: Socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Said: ${message.httpVersion}\r\n\r\n`,
      );
    });
    server.on('stream', (stream) => stream.respond({ ':status': 200 }, { endStream: true }));
    const target = targetAt(await listen(server));
    const calls = caller();
    await calls.send(target, request());
    const result = await calls.upgrade(
      target,
      request({
        headers: new Map([
          ['host', ['b']],
          ['connection', ['Upgrade']],
          ['upgrade', ['SPDY/3.1']],
        ]),
      }),
    );
    expect(result.kind).toBe('switch');
    expect(result.headers.get('x-said')).toEqual(['1.1']);
    if (result.kind === 'switch') result.connection.destroy();
  });

  test('is dropped when a ping stays without answer', async () => {
    // A server that greets, and is silent from then on.
    const server = createRawServer({ cert, key, ALPNProtocols: ['h2'] });
    server.on('secureConnection', (socket) => {
      socket.on('error', () => undefined);
      socket.write(frame(4, 0, 0, ''));
      socket.resume();
    });
    const target = targetAt(await listen(server), { dialMs: 1 });
    const { clock, fire } = heldClock();
    const calls = caller(clock);
    const failed = failure(calls.send(target, request({ method: 'POST' })));
    await until(() => fire(30_000) > 0);
    // The greeting was heard in the first half minute, or the handshake.
    let pinged = fire(15_000);
    await until(() => {
      if (pinged === 0) {
        fire(30_000);
        pinged = fire(15_000);
      }
      return pinged > 0;
    });
    expect((await failed).message).toBe('http2: client connection lost');
  });
});

describe('what a server did not begin', () => {
  const refuseFirst: Answer = (stream, _headers, count) => {
    if (count === 1) stream.close(7);
    else stream.respond({ ':status': 200 }, { endStream: true });
  };

  test.each(['GET', 'DELETE'])('%s without a body is sent again', async (method) => {
    const { target, streams, opened } = await backend(refuseFirst);
    const calls = caller();
    expect((await calls.send(target, request({ method }))).code).toBe(200);
    expect([streams.length, opened()]).toEqual([2, 1]);
    await until(() => calls.openCounts.answer === 0);
  });

  test('a call that is sent again is counted meanwhile', async () => {
    const { target, streams } = await backend((stream, _headers, count) => {
      if (count <= 2) stream.close(7);
      else stream.respond({ ':status': 200 }, { endStream: true });
    });
    const { clock, fire } = heldClock();
    const calls = caller(clock);
    const answer = calls.send(target, request());
    await until(() => streams.length === 2 && streams[1].destroyed);
    // The pause before the third.
    let paused = 0;
    await until(() => {
      expect(calls.openCounts.answer).toBe(1);
      paused = fire(1_000);
      return paused > 0;
    });
    expect((await answer).code).toBe(200);
    await until(() => calls.openCounts.answer === 0);
  });

  test('a request whose body was begun is not', async () => {
    const { target, streams } = await backend(refuseFirst);
    const error = await failure(caller().send(target, request({ method: 'POST', body: pieces('a') })));
    expect(error.message).toMatch(/^stream error: stream ID \d+; REFUSED_STREAM; received from peer$/);
    expect(streams).toHaveLength(1);
  });

  test('nor one that the server broke off for another reason', async () => {
    const { target, streams } = await backend((stream) => stream.close(2));
    const error = await failure(caller().send(target, request()));
    expect(error.message).toMatch(/^stream error: stream ID \d+; INTERNAL_ERROR; received from peer$/);
    expect(streams).toHaveLength(1);
  });

  test('a server that goes away gets no further request; what it works on comes to its end', async () => {
    const { target, sessions, opened, streams } = await backend((stream, headers) => {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/long') stream.write('a');
      else stream.end('short');
    });
    const calls = caller();
    const long = await calls.send(target, request({ target: '/long' }));
    sessions[0].goaway(0, streams[0].id ?? 1);
    const chunks = long.chunks[Symbol.asyncIterator]();
    expect((await chunks.next()).value?.toString()).toBe('a');
    await until(async () => {
      await textOf(await calls.send(target, request()));
      return opened() === 2;
    });
    streams[0].end('b');
    expect((await chunks.next()).value?.toString()).toBe('b');
    expect((await chunks.next()).done).toBe(true);
  });

  test('a read over a connection that was lost meanwhile is sent once more over a new one', async () => {
    const { target, sessions, opened } = await backend((stream, _headers, count) => {
      if (count === 2) sessions[0].destroy();
      else stream.respond({ ':status': 200 }, { endStream: true });
    });
    const calls = caller();
    await calls.send(target, request());
    expect((await calls.send(target, request())).code).toBe(200);
    expect(opened()).toBe(2);
  });

  test('a write over one is not', async () => {
    const { target, sessions, streams } = await backend((stream, _headers, count) => {
      if (count === 2) sessions[0].destroy();
      else stream.respond({ ':status': 200 }, { endStream: true });
    });
    const calls = caller();
    await calls.send(target, request());
    const error = await failure(calls.send(target, request({ method: 'POST' })));
    expect(error.kind).toBe('exchange');
    expect(streams).toHaveLength(2);
  });
});

describe('an answer that is cut short is seen to be', () => {
  test.each<[string, (socket: Socket) => void]>([
    ['by a reset', (socket) => socket.write(frame(3, 0, 1, '00000002'))],
    ['by a cancel', (socket) => socket.write(frame(3, 0, 1, '00000008'))],
    ['by the end of the connection', (socket) => socket.destroy()],
    ['by a GOAWAY with an error', (socket) => socket.write(frame(7, 0, 0, '0000000100000001'))],
  ])('%s', async (_name, cut) => {
    // Node's own server ends a stream in order before it resets it.
    const server = createRawServer({ cert, key, ALPNProtocols: ['h2'] });
    const sockets: Socket[] = [];
    server.on('secureConnection', (socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.write(frame(4, 0, 0, ''));
      let answered = false;
      let came = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        came = Buffer.concat([came, chunk]);
        if (answered || !hasHeaders(came)) return;
        answered = true;
        // :status 200 is one octet of HPACK; then a piece of the body.
        socket.write(
          Buffer.concat([
            frame(4, 1, 0, ''),
            frame(1, 4, 1, '88'),
            frame(0, 0, 1, Buffer.from('half').toString('hex')),
          ]),
        );
      });
    });
    const target = targetAt(await listen(server));
    const answer = await caller().send(target, request());
    const chunks = answer.chunks[Symbol.asyncIterator]();
    expect((await chunks.next()).value?.toString()).toBe('half');
    cut(sockets[0]);
    await expect(chunks.next()).rejects.toThrow('unexpected EOF');
  });

  test('a caller that stops makes no further connection, and asks nobody again', async () => {
    const { target, streams, opened } = await backend((stream, headers) => {
      if (headers[':path'] !== '/held') stream.respond({ ':status': 200 }, { endStream: true });
    });
    const calls = caller();
    await calls.send(target, request());
    const held = failure(calls.send(target, request({ target: '/held' })));
    await until(() => streams.length === 2);
    calls.close();
    expect((await held).message).toBe('the server stops');
    expect((await failure(calls.send(target, request()))).message).toBe('the server stops');
    expect([streams.length, opened()]).toEqual([2, 1]);
  });

  test('a caller that stops does not wait for a connection that does not come about', async () => {
    let came = false;
    const silent = createTcpServer((socket) => {
      came = true;
      socket.on('error', () => undefined);
      cleanup.push(() => void socket.destroy());
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    cleanup.push(() => void silent.close());
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP port has such an address
    const { port } = silent.address() as AddressInfo;
    const { clock } = heldClock();
    const calls = caller(clock);
    const failed = failure(calls.send(targetAt(port), request()));
    await until(() => came);
    calls.close();
    expect(await failed).toMatchObject({ kind: 'dial', message: 'the server stops' });
  });

  test('a caller that stops ends what is under way', async () => {
    const { target } = await backend((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('half');
    });
    const calls = caller();
    const answer = await calls.send(target, request());
    const chunks = answer.chunks[Symbol.asyncIterator]();
    await chunks.next();
    calls.close();
    await expect(chunks.next()).rejects.toThrow('unexpected EOF');
    await until(() => calls.openCounts.answer === 0);
  });
});

test('a request that is given up while the connection is made does not take it from the others', async () => {
  const gate = { open: (): void => undefined };
  const opened = new Promise<void>((resolve) => (gate.open = resolve));
  const { target } = await backend((stream) => stream.respond({ ':status': 200 }, { endStream: true }));
  // The handshake waits behind a relay until the test lets it through.
  const { connect } = await import('node:net');
  const relay = createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    void opened.then(() => {
      const onward = connect(target.port, '127.0.0.1');
      onward.on('error', () => socket.destroy());
      cleanup.push(() => void onward.destroy());
      socket.pipe(onward).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  cleanup.push(() => void relay.close());
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP port has such an address
  const { port } = relay.address() as AddressInfo;
  const calls = caller();
  const gone = new AbortController();
  const first = failure(calls.send({ ...target, port }, request({ signal: gone.signal })));
  const second = calls.send({ ...target, port }, request());
  gone.abort();
  expect((await first).kind).toBe('cancelled');
  gate.open();
  expect((await second).code).toBe(200);
  await until(() => calls.openCounts.answer === 0);
});
