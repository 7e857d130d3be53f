/** HTTP under pressure: readers that do not read, bytes that are no request, members that stop meanwhile. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { connect, type Socket } from 'node:net';
import { loadDescriptors } from '@keelson/proto';
import fc from 'fast-check';
import { until } from '../../base/test/until.ts';
import { JsonChunks } from '../src/http/json-chunks.ts';
import { JsonError, readJson } from '../src/http/json-reader.ts';
import { MappingError, ProtoJson } from '../src/http/proto-json.ts';
import { ask, LineStream, TestWebSocket } from './http-calls.ts';
import { serving, stopServing } from './serving.ts';
import { WatchedClock } from './watched-clock.ts';

const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await stopServing();
});

const b64 = (text: string): string => Buffer.from(text).toString('base64');

/** A POST on a socket that is not read before it is asked to. */
function silentPost(port: number, path: string, body: string): Socket {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.pause();
  socket.on('error', () => {});
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  return socket;
}

describe('a client that does not read', () => {
  test('has its watch fall behind instead of filling the member, and misses nothing', async () => {
    const { port, cluster } = await serving();
    const { hub, state } = cluster.server(0).replica;
    const socket = silentPost(port, '/v3/watch', JSON.stringify({ create_request: { key: b64('k') } }));
    await until(() => hub.watcherCount === 1, 'the watcher');
    const client = cluster.client();
    const value = Buffer.alloc(200_000, 'v');
    let puts = 0;
    while (hub.unsyncedCount === 0 && puts < 300) {
      await client.kv.put('k', value);
      puts++;
    }
    expect(hub.unsyncedCount).toBe(1);
    // What the kernel, the socket and the stream hold between them; far from what was put in the end.
    for (; puts < 300; puts++) await client.kv.put('k', value);
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.resume();
    const last = `"mod_revision":"${state.mvcc.currentRevision}"`;
    await until(() => text.includes(last), 'the last event');
    const seen = [...text.matchAll(/"mod_revision":"(\d+)"/g)].map((match) => Number(match[1]));
    expect(seen).toEqual(Array.from({ length: 300 }, (_, i) => i + 2));
  });
});

describe('bytes that are no request', () => {
  test('a reader refuses what it cannot read, in its own words only', async () => {
    const mapping = new ProtoJson(await loadDescriptors());
    const types = ['RangeRequest', 'TxnRequest', 'WatchRequest', 'LeaseGrantRequest', 'AuthUserAddRequest'];
    const piece = fc.oneof(
      fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ':',
        ',',
        '"',
        '\\u',
        'null',
        'true',
        '-',
        '1e9',
        '"key"',
        '"request_put"',
      ),
      fc.string({ maxLength: 4 }),
      fc.json({ maxDepth: 2 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom(...types), (pieces, type) => {
        const text = pieces.join('');
        for (const each of [text, ...new JsonChunks(1 << 16).push(Buffer.from(text))]) {
          try {
            mapping.encode(`etcdserverpb.${type}`, readJson(each), each);
          } catch (error) {
            expect(error instanceof JsonError || error instanceof MappingError).toBe(true);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('a member goes on serving whatever a WebSocket is sent', async () => {
    const { port, url } = await serving();
    const noise = fc.uint8Array({ minLength: 1, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(noise, async (bytes) => {
        const { webSocket } = await TestWebSocket.open(port, '/v3/watch');
        webSocket.raw(Buffer.from(bytes));
        webSocket.close();
        webSocket.destroy();
      }),
      { numRuns: 50 },
    );
    expect((await ask(`${url}/health`)).status).toBe(200);
  });

  test.each<[string, string, string]>([
    ['no HTTP', 'GET\r\n\r\n', ''],
    ['a line without an end', `GET /${'x'.repeat(100_000)}`, 'HTTP/1.1 431'],
    ['headers without end', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(20_000)}`, 'HTTP/1.1 431'],
    [
      'two lengths',
      'POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}',
      'HTTP/1.1 400',
    ],
    ['a target that is no path', 'GET http:// HTTP/1.1\r\nHost: x\r\n\r\n', 'HTTP/1.1 404'],
    ['a percent that means nothing', 'GET /%zz?%zz HTTP/1.1\r\nHost: x\r\n\r\n', 'HTTP/1.1 404'],
  ])('%s', async (_name, sent, answer) => {
    const { port, url } = await serving();
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    let said = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      said += chunk;
    });
    socket.on('error', () => {});
    socket.write(sent);
    await until(
      () => said.includes('\r\n\r\n') || socket.destroyed || socket.readableEnded,
      'an answer or the end',
    );
    expect(said.slice(0, answer.length)).toBe(answer);
    expect((await ask(`${url}/health`)).status).toBe(200);
  });
});

test('a member with open streams, sockets and idle connections still stops at once', async () => {
  const clock = new WatchedClock();
  const { cluster, port, url, post } = await serving({}, 1, clock);
  const watch = new LineStream(`${url}/v3/watch`, JSON.stringify({ create_request: { key: b64('k') } }));
  await watch.next();
  const { webSocket } = await TestWebSocket.open(port, '/v3/watch');
  webSocket.send(`{"create_request":{"key":"${b64('k')}"}}`);
  await webSocket.next();
  await post('/v3/lock/lock', { name: b64('m') });
  const waiting = post('/v3/lock/lock', { name: b64('m') }).catch(() => undefined);
  const idle = connect(port, '127.0.0.1');
  sockets.push(idle);
  idle.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => idle.once('data', resolve));
  const idleClosed = new Promise((resolve) => idle.once('close', resolve));
  clock.watch();
  await cluster.stopMember(0);
  expect(clock.ranOut).toEqual([]);
  // Each has ended; none of them would by itself within this test's time.
  await idleClosed;
  await waiting;
  while ((await watch.next()) !== undefined);
  while ((await webSocket.next()) !== undefined);
});
