/**
 * Requests handed on over real sockets: a server of the API in front, a backend that behaves as each case says behind it.
 */

import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';

import { silentLogger, systemClock } from '@keelson/base';

import { until } from '../../../base/test/until.ts';
import type { ApiRequest, Handler } from '../api/exchange.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import { Door } from '../http/door.ts';
import { Listener } from '../http/listener.ts';
import { CertificateAuthority } from '../pki/authority.ts';
import { TypeTable } from '../schema/type-table.ts';
import { BackendError, type BackendTarget } from './backend.ts';
import { BackendCaller } from './backend-caller.ts';
import { handOn, type HandOnOptions } from './hand-on.ts';

const cleanup: (() => Promise<void> | void)[] = [];
const codec = new ObjectCodec(new TypeTable());

afterEach(async () => {
  for (const task of cleanup.splice(0).toReversed()) await task();
});

const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  'one.test': ['127.0.0.1'],
  'two.test': ['127.0.0.1', '169.254.1.1'],
  // Nobody listens at the first.
  'three.test': ['127.0.0.2', '127.0.0.1'],
};

interface Front {
  readonly port: number;
  readonly caller: BackendCaller;
  readonly errors: string[];
  readonly ca: string;
}

/** A server whose every request goes to the target. */
async function front(
  target: () => BackendTarget,
  more: Partial<HandOnOptions> = {},
  secure = false,
): Promise<Front> {
  const errors: string[] = [];
  const caller = new BackendCaller({
    clock: systemClock,
    lookup: (host) => Promise.resolve(ADDRESSES[host] ?? []),
  });
  const handler: Handler = async (request: ApiRequest) => {
    try {
      return await handOn(request, {
        caller,
        clock: systemClock,
        target: target(),
        path: request.context.target ?? '',
        host: 'backend.test',
        headers: new Map([['x-remote-user', ['jane']]]),
        drop: (name) => name.startsWith('x-remote-'),
        endless: request.query.get('watch') === 'true',
        ...more,
      });
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      errors.push(error.message);
      return { kind: 'bytes', code: 503, contentType: 'text/plain', body: Buffer.from(`${error.message}\n`) };
    }
  };
  const door = new Door({ handler, codec, clock: systemClock, logger: silentLogger });
  const authority = CertificateAuthority.create('front-ca', systemClock.nowMs());
  const { certificate: cert, key } = authority.server('front', ['127.0.0.1'], systemClock.nowMs());
  const listener = new Listener({
    door,
    clock: systemClock,
    logger: silentLogger,
    ...(secure ? { tls: { cert, key } } : {}),
  });
  const { port } = await listener.listen(0, '127.0.0.1');
  cleanup.push(async () => {
    caller.close();
    await listener.stop(0);
  });
  return { port, caller, errors, ca: authority.certificate };
}

async function listening(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP port has such an address
  return (server.address() as AddressInfo).port;
}

const plain = (port: number): BackendTarget => ({ host: '127.0.0.1', port });

/** Everything that comes until the server closes. */
function raw(port: number, text: string, onData?: (all: string, socket: Socket) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let all = '';
    socket.on('data', (chunk: Buffer) => {
      all += chunk.toString('latin1');
      onData?.(all, socket);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(all));
  });
}

const UPGRADE = 'GET /up HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n';
const CLOSE = 'Host: front\r\nConnection: close\r\n';

describe('an ordinary request', () => {
  test('trailers come back behind the body', async () => {
    const port = await listening(
      createServer((_message, response) => {
        response.writeHead(200, { trailer: 'X-Sum' });
        response.write('a');
        response.addTrailers({ 'X-Sum': '1' });
        response.end('b');
      }),
    );
    const { port: plainPort } = await front(() => plain(port));
    const text = await raw(plainPort, `GET /a HTTP/1.1\r\n${CLOSE}\r\n`);
    expect(text).toMatch(/\r\ntrailer: X-Sum\r\n/);
    expect(text.endsWith('0\r\nx-sum: 1\r\n\r\n')).toBe(true);
    const { port: securePort, ca } = await front(() => plain(port), {}, true);
    const session = connectHttp2(`https://127.0.0.1:${securePort}`, { ca });
    cleanup.push(() => session.destroy());
    const stream = session.request({ ':path': '/a' });
    const trailers = new Promise((resolve) => stream.once('trailers', resolve));
    stream.resume();
    expect(await trailers).toMatchObject({ 'x-sum': '1' });
  });

  test('trailers that are none, or said twice, do no harm', async () => {
    const behind = 'Keep-Alive: 5\r\nContent-Type: text/html\r\nIf-Match: 1\r\nX-Sum: 1\r\n';
    let more = 'ETag: "a"\r\nETag: "b"\r\n';
    const port = await listening(
      createTcpServer((socket) => {
        socket.once('data', () =>
          socket.end(
            'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n' +
              `2\r\nab\r\n0\r\n${behind}${more}\r\n`,
          ),
        );
      }),
    );
    const { port: securePort, ca } = await front(() => plain(port), {}, true);
    const session = connectHttp2(`https://127.0.0.1:${securePort}`, { ca });
    cleanup.push(() => session.destroy());
    const ask = async (): Promise<[string, Record<string, unknown>]> => {
      const stream = session.request({ ':path': '/a' });
      let trailers: Record<string, unknown> = {};
      let text = '';
      stream.on('trailers', (fields) => (trailers = Object.fromEntries(Object.entries(fields))));
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      await new Promise((resolve, reject) => {
        stream.once('end', resolve);
        stream.once('error', reject);
      });
      return [text, trailers];
    };
    expect(await ask()).toEqual(['ab', { 'x-sum': '1', etag: '"a"' }]);
    // This one HTTP/2 says once at most, too: the answer is whole without them.
    more = 'User-Agent: a\r\nUser-Agent: b\r\n';
    expect(await ask()).toEqual(['ab', {}]);
  });

  test('goes on with its headers but those of a connection, and comes back as it was', async () => {
    const seen: { headers: Record<string, unknown>; url: string | undefined; body: string }[] = [];
    const port = await listening(
      createServer((message, response) => {
        let body = '';
        message.on('data', (chunk: Buffer) => (body += chunk.toString()));
        message.on('end', () => {
          seen.push({ headers: message.headers, url: message.url, body });
          response.writeHead(201, {
            'content-type': 'application/json',
            'x-own': ['a', 'b'],
            'access-control-allow-origin': '*',
            'audit-id': 'theirs',
            connection: 'x-hop',
            'x-hop': '1',
          });
          response.end('{"made":true}');
        });
      }),
    );
    const { port: at } = await front(() => plain(port));
    const answer = await raw(
      at,
      'POST /apis/x/v1/things?b=1&a=%20 HTTP/1.1\r\nHost: front\r\nConnection: close, X-Secret-Hop\r\n' +
        'X-Secret-Hop: 1\r\nTE: trailers\r\nX-Forwarded-For: 10.0.0.9\r\nX-Remote-User: root\r\nX-Remote-Extra-Scopes: all\r\n' +
        'Accept: application/json\r\nContent-Length: 5\r\n\r\nhello',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(answer).toContain('x-own: a\r\nx-own: b\r\n');
    expect(answer).toContain('{"made":true}');
    expect(answer).not.toMatch(/access-control|theirs|x-hop/i);
    expect(seen[0]?.url).toBe('/apis/x/v1/things?b=1&a=%20');
    expect(seen[0]?.body).toBe('hello');
    expect(seen[0]?.headers).toMatchObject({
      host: 'backend.test',
      'x-forwarded-for': '10.0.0.9, 127.0.0.1',
      'x-remote-user': 'jane',
      accept: 'application/json',
    });
    expect(seen[0]?.headers['te']).toBe('trailers');
    for (const name of ['x-secret-hop', 'x-remote-extra-scopes']) {
      expect(seen[0]?.headers[name]).toBeUndefined();
    }
  });

  test('streams at once, and its end reaches the backend (a watch)', async () => {
    let gone: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (gone = resolve));
    const port = await listening(
      createServer((message, response) => {
        response.write('{"type":"ADDED"}\n');
        message.on('close', () => gone());
        response.on('close', () => gone());
      }),
    );
    const { port: at, caller } = await front(() => plain(port));
    await raw(at, `GET /w?watch=true HTTP/1.1\r\nHost: front\r\n\r\n`, (all, socket) => {
      if (all.includes('ADDED')) socket.destroy();
    });
    await ended;
    await until(() => caller.openCounts.answer === 0);
  });

  test.each([
    [
      'a redirect (CVE-2022-3172)',
      'HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 2\r\n\r\nno',
      /^HTTP\/1\.1 502 .*the backend attempted to redirect this request, which is not permitted$/s,
    ],
    ['no HTTP', 'rubbish\r\n\r\n', /^HTTP\/1\.1 503 /],
    [
      'a code that is none',
      'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n',
      /^HTTP\/1\.1 503 .*malformed HTTP status code "999"\n$/s,
    ],
    ['an end before its answer', '', /^HTTP\/1\.1 503 .*EOF\n$/s],
    ['headers without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`, /^HTTP\/1\.1 503 /],
    [
      'a switch that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nroot shell',
      /^HTTP\/1\.1 503 (?!.*root shell)/s,
    ],
  ])('a backend that answers with %s', async (_name, text, expected) => {
    const port = await listening(createTcpServer((socket) => socket.once('data', () => socket.end(text))));
    const { port: at, caller } = await front(() => plain(port));
    expect(await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toMatch(expected);
    await until(() => caller.openCounts.answer === 0);
  });

  test('over HTTP/2 nothing that a backend says of its connection, or says twice, breaks the answer', async () => {
    const port = await listening(
      createTcpServer((socket) =>
        socket.once('data', () =>
          socket.end(
            'HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nHTTP2-Settings: a\r\nUpgrade: h2c\r\n' +
              'Content-Type: text/plain\r\nContent-Type: text/html\r\nETag: "a"\r\nETag: "b"\r\nX-Own: a\r\nX-Own: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
          ),
        ),
      ),
    );
    const { port: at, ca } = await front(() => plain(port), {}, true);
    const session = connectHttp2(`https://127.0.0.1:${at}`, { ca });
    const stream = session.request({ ':path': '/x' });
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      stream.on('response', (all) => resolve(all));
      stream.on('error', reject);
    });
    let body = '';
    for await (const chunk of stream) body += String(chunk);
    session.close();
    expect([headers[':status'], headers['content-type'], headers['etag'], headers['x-own'], body]).toEqual([
      200,
      'text/plain',
      '"a"',
      'a, b',
      'hi',
    ]);
    expect(headers['x-hop']).toBeUndefined();
  });

  test('an answer that is cut short does not look whole', async () => {
    const port = await listening(
      createTcpServer((socket) =>
        socket.once('data', () =>
          socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'),
        ),
      ),
    );
    const { port: at } = await front(() => plain(port));
    const answer = await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`);
    expect(answer).toContain('hello');
    expect(answer).not.toContain('\r\n0\r\n\r\n');
  });

  test('an answer that takes too long is cut off', async () => {
    const port = await listening(createServer((_message, response) => void response.write('slow')));
    const { port: at, caller } = await front(() => plain(port), { wholeMs: 50 });
    expect(await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toContain('slow');
    await until(() => caller.openCounts.answer === 0);
  });
});

describe('where it goes', () => {
  const authority = CertificateAuthority.create('test-ca', systemClock.nowMs());
  const pair = authority.server('backend', ['metrics.kube-system.svc'], systemClock.nowMs());

  async function secure(): Promise<number> {
    return await listening(
      createTlsServer({ cert: pair.certificate, key: pair.key }, (message, response) => {
        response.end(`${message.method} ok`);
      }),
    );
  }

  test.each([
    [
      'the bundle vouches for it',
      { caBundle: authority.certificate, serverName: 'metrics.kube-system.svc' },
      'GET ok',
    ],
    [
      'nobody vouches for it',
      { caBundle: '', serverName: 'metrics.kube-system.svc' },
      'tls: failed to verify certificate: x509: certificate signed by unknown authority',
    ],
    [
      'another name',
      { caBundle: authority.certificate, serverName: 'other.kube-system.svc' },
      'tls: failed to verify certificate: x509: certificate is not valid for other.kube-system.svc',
    ],
    ['any certificate will do', { caBundle: '', unverified: true }, 'GET ok'],
  ])('TLS: %s', async (_name, tls, expected) => {
    const port = await secure();
    const { port: at } = await front(() => ({ host: '127.0.0.1', port, tls }));
    for (let time = 0; time < 2; time += 1) {
      expect(await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toContain(expected);
    }
  });

  test('a name is looked up once, all its addresses judged, and one of them dialed (CVE-2020-8562, CVE-2022-3294)', async () => {
    const port = await listening(createServer((_message, response) => response.end('there')));
    const judged: string[] = [];
    const target = (host: string): BackendTarget => ({
      host,
      port,
      checkAddress: (address) => {
        judged.push(address);
        if (address.startsWith('169.254.')) throw new BackendError('dial', 'address not allowed');
      },
    });
    let host = 'one.test';
    const { port: at } = await front(() => target(host));
    expect(await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toContain('there');
    host = 'two.test';
    expect(await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toContain('address not allowed');
    expect(judged).toEqual(['127.0.0.1', '127.0.0.1', '169.254.1.1']);
    host = 'three.test';
    expect(await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toContain('there');
    host = 'none.test';
    expect(await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toContain(
      'dial tcp: lookup none.test: no such host',
    );
  });

  test('nobody there', async () => {
    const { port: at } = await front(() => plain(1));
    expect(await raw(at, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)).toContain(
      'dial tcp 127.0.0.1:1: connect: connection refused',
    );
    expect(await raw(at, `${UPGRADE}\r\n`)).toContain('dial tcp 127.0.0.1:1: connect: connection refused');
  });
});

describe('a request that leaves HTTP', () => {
  test('is a tunnel both ways, with what came early', async () => {
    const heads: string[] = [];
    const port = await listening(
      createTcpServer((socket) => {
        let all = '';
        socket.on('data', (chunk: Buffer) => {
          all += chunk.toString('latin1');
          const end = all.indexOf('\r\n\r\n');
          if (end < 0) return;
          if (heads.length === 0) {
            heads.push(all.slice(0, end));
            socket.write(
              'HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\nearly;',
            );
          }
          if (all.endsWith('ping')) socket.end('pong');
        });
      }),
    );
    const { port: at, caller } = await front(() => plain(port));
    const answer = await raw(at, `${UPGRADE}X-Remote-Group: system:masters\r\n\r\np`, (all, socket) => {
      if (all.endsWith('early;')) socket.write('ing');
    });
    expect(answer).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n.*early;pong$/is);
    expect(heads[0]).toMatch(/upgrade: SPDY\/3\.1/);
    expect(heads[0]).toMatch(/x-remote-user: jane/);
    expect(heads[0]).not.toMatch(/system:masters/);
    await until(() => caller.openCounts.switch === 0);
  });

  test('holds back who sends faster than the other side reads', async () => {
    let taken = 0;
    const port = await listening(
      createTcpServer((socket) => {
        socket.once('data', () => {
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n',
          );
          socket.pause();
        });
      }),
    );
    const { port: at } = await front(() => plain(port));
    const socket = connect(at, '127.0.0.1', () => socket.write(`${UPGRADE}\r\n`));
    await new Promise((resolve) => socket.once('data', resolve));
    const piece = Buffer.alloc(64 * 1024);
    // Until the kernel's buffers and ours are full: a bound, not all there is.
    for (let idle = 0; idle < 5 && taken < 200_000_000;) {
      if (socket.write(piece)) {
        taken += piece.length;
        continue;
      }
      const more = await Promise.race([
        new Promise<boolean>((resolve) => socket.once('drain', () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 100)),
      ]);
      idle = more ? 0 : idle + 1;
    }
    expect(taken).toBeLessThan(100_000_000);
    socket.destroy();
  });

  test.each([
    [
      'a refusal is handed back',
      'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno',
      /^HTTP\/1\.1 403 .*no$/s,
    ],
    [
      'a redirect is not (CVE-2020-8559)',
      'HTTP/1.1 302 Found\r\nLocation: https://evil/\r\n\r\n',
      /^HTTP\/1\.1 503 .*invalid upgrade response: status code 302\n$/s,
    ],
    [
      'an answer in place of a switch is not',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      /^HTTP\/1\.1 503 .*status code 200\n$/s,
    ],
  ])('%s, and the backend connection is closed (CVE-2018-1002105)', async (_name, text, expected) => {
    const later: string[] = [];
    let closed: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (closed = resolve));
    const port = await listening(
      createTcpServer((socket) => {
        socket.once('data', () => {
          socket.write(text);
          socket.on('data', (chunk: Buffer) => later.push(chunk.toString()));
        });
        socket.on('close', closed);
      }),
    );
    const { port: at, caller } = await front(() => plain(port));
    const smuggled = 'GET /apis/x/v1/secrets HTTP/1.1\r\nX-Remote-User: root\r\n\r\n';
    expect(await raw(at, `${UPGRADE}\r\n${smuggled}`)).toMatch(expected);
    await ended;
    expect(later).toEqual([]);
    await until(() => caller.openCounts.switch === 0);
  });

  test('with a body is refused', async () => {
    const { port: at } = await front(() => plain(1));
    const answer = await raw(
      at,
      'POST /up HTTP/1.1\r\nHost: front\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('the stop of the server ends tunnels', async () => {
    const port = await listening(
      createTcpServer((socket) =>
        socket.once('data', () =>
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\nin',
          ),
        ),
      ),
    );
    const { port: at, caller } = await front(() => plain(port));
    const stop = cleanup.pop();
    const answer = raw(at, `${UPGRADE}\r\n`, (all) => {
      if (all.endsWith('in')) void stop?.();
    });
    expect(await answer).toMatch(/101 Switching/);
    await until(() => caller.openCounts.switch === 0);
  });
});

test('more calls than may be open are refused before anything is dialed', async () => {
  const caller = new BackendCaller({ clock: systemClock, lookup: () => Promise.resolve([]), callsMax: 1 });
  const port = await listening(createServer(() => undefined));
  const asked = { method: 'GET', target: '/', headers: new Map() };
  const first = new AbortController();
  const held = caller.send(plain(port), { ...asked, signal: first.signal });
  await expect(caller.send(plain(port), { ...asked, signal: new AbortController().signal })).rejects.toThrow(
    'too many requests are handed on to other servers',
  );
  first.abort();
  await expect(held).rejects.toThrow('context canceled');
  expect(caller.openCounts).toEqual({ answer: 0, switch: 0 });
  caller.close();
});
