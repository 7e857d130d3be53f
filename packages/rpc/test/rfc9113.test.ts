/**
 * What RFC 9113 demands of a server, case by case on a raw socket: each row is what a client says after the
 * handshake and the error it must get; and the bounds that go beyond the RFC. After every row another
 * connection still works.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { nativeChannel, nativeServer, type Channel, type RpcServer } from '@keelson/rpc';
import { HeaderDecoder } from '../src/hpack.ts';
import { Echo, ServerSide, echoTable } from './contract/service.ts';
import { RawClient, fields, message, requestFields } from './raw-client.ts';
import { PREFACE, TYPE, rawFrame, setting, type RawFrame, u32 } from './raw-frames.ts';

const END_STREAM = 1;
const END_HEADERS = 4;
const BOTH = END_STREAM | END_HEADERS;
const PADDED = 8;
const PRIORITY = 32;
const NO = 0;
const PROTOCOL = 1;
const FLOW = 3;
const CLOSED = 5;
const SIZE = 6;
const REFUSED = 7;
const COMPRESSION = 9;
const CALM = 11;

const seen = new ServerSide();
let server: RpcServer;
let channel: Channel;
let port: number;

beforeAll(async () => {
  server = nativeServer(echoTable(seen), { maxReceiveBytes: 100_000, maxConcurrentStreams: 100 });
  ({ port } = await server.listen({ host: '127.0.0.1', port: 0 }));
  channel = nativeChannel(`127.0.0.1:${port}`);
});

afterAll(async () => {
  channel.close();
  await server.close();
});

async function during<T>(act: (client: RawClient) => Promise<T>, handshake = true): Promise<T> {
  const client = await RawClient.open(port, handshake);
  try {
    return await act(client);
  } finally {
    client.close();
    expect(await channel.unary(Echo.unary, 'echo still here')).toBe('still here');
  }
}

const headers = (stream: number, flags: number, block = requestFields()): Buffer =>
  rawFrame(TYPE.headers, flags, stream, block);
const data = (stream: number, flags: number, bytes: Uint8Array = new Uint8Array()): Buffer =>
  rawFrame(TYPE.data, flags, stream, bytes);
/** A call that stays open: its handler never answers. */
const hanging = (stream: number): Buffer[] => [
  headers(stream, END_HEADERS),
  data(stream, END_STREAM, message('hang')),
];

describe('errors of the connection', () => {
  test.each<[string, number, Buffer[]]>([
    ['4.2 a frame above the maximum', SIZE, [rawFrame(TYPE.data, 0, 1, Buffer.alloc(16_385))]],
    [
      '4.3 a header block that does not decode',
      COMPRESSION,
      [headers(1, BOTH, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))],
    ],
    [
      '4.3 another frame inside a header block',
      PROTOCOL,
      [headers(1, END_STREAM), rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8))],
    ],
    [
      '4.3 a CONTINUATION of another stream',
      PROTOCOL,
      [headers(1, END_STREAM), rawFrame(TYPE.continuation, END_HEADERS, 3)],
    ],
    ['5.1 DATA on an idle stream', PROTOCOL, [data(1, END_STREAM, message('x'))]],
    ['5.1 RST_STREAM on an idle stream', PROTOCOL, [rawFrame(TYPE.reset, 0, 1, u32(8))]],
    ['5.1 WINDOW_UPDATE on an idle stream', PROTOCOL, [rawFrame(TYPE.window, 0, 1, u32(8))]],
    ['5.1 CONTINUATION on an idle stream', PROTOCOL, [rawFrame(TYPE.continuation, END_HEADERS, 1)]],
    ['5.1.1 an even stream', PROTOCOL, [headers(2, BOTH)]],
    ['5.1.1 a stream below an earlier one', PROTOCOL, [...hanging(5), headers(3, BOTH)]],
    ['5.4.1 WINDOW_UPDATE of a wrong size', SIZE, [rawFrame(TYPE.window, 0, 0, Buffer.alloc(3))]],
    ['6.1 DATA on stream 0', PROTOCOL, [data(0, 0, Buffer.from('x'))]],
    [
      '6.1 padding as long as the frame',
      PROTOCOL,
      [headers(1, END_HEADERS), data(1, PADDED, Buffer.from([4, 0, 0, 0]))],
    ],
    ['6.1 padding without its length', PROTOCOL, [headers(1, END_HEADERS), data(1, PADDED)]],
    ['6.2 HEADERS on stream 0', PROTOCOL, [headers(0, BOTH)]],
    ['6.2 HEADERS with too much padding', PROTOCOL, [headers(1, BOTH | PADDED, Buffer.from([9, 0x83]))]],
    ['6.2 HEADERS with a torn priority', SIZE, [headers(1, BOTH | PRIORITY, Buffer.from([0, 0]))]],
    ['6.3 PRIORITY on stream 0', PROTOCOL, [rawFrame(TYPE.priority, 0, 0, Buffer.alloc(5))]],
    ['6.4 RST_STREAM on stream 0', PROTOCOL, [rawFrame(TYPE.reset, 0, 0, u32(8))]],
    ['6.4 RST_STREAM of a wrong size', SIZE, [...hanging(1), rawFrame(TYPE.reset, 0, 1, Buffer.alloc(5))]],
    ['6.5 SETTINGS on a stream', PROTOCOL, [rawFrame(TYPE.settings, 0, 1)]],
    ['6.5 SETTINGS of a wrong size', SIZE, [rawFrame(TYPE.settings, 0, 0, Buffer.alloc(5))]],
    ['6.5 an acknowledgement with a payload', SIZE, [rawFrame(TYPE.settings, 1, 0, Buffer.alloc(6))]],
    ['6.5.2 ENABLE_PUSH of 2', PROTOCOL, [rawFrame(TYPE.settings, 0, 0, setting(2, 2))]],
    ['6.5.2 INITIAL_WINDOW_SIZE of 2^31', FLOW, [rawFrame(TYPE.settings, 0, 0, setting(4, 2 ** 31))]],
    ['6.5.2 MAX_FRAME_SIZE of 16383', PROTOCOL, [rawFrame(TYPE.settings, 0, 0, setting(5, 16_383))]],
    ['6.5.2 MAX_FRAME_SIZE of 2^24', PROTOCOL, [rawFrame(TYPE.settings, 0, 0, setting(5, 2 ** 24))]],
    ['6.6 PUSH_PROMISE from a client', PROTOCOL, [rawFrame(TYPE.push, END_HEADERS, 1, u32(2))]],
    ['6.7 PING on a stream', PROTOCOL, [rawFrame(TYPE.ping, 0, 1, Buffer.alloc(8))]],
    ['6.7 PING of a wrong size', SIZE, [rawFrame(TYPE.ping, 0, 0, Buffer.alloc(7))]],
    ['6.8 GOAWAY on a stream', PROTOCOL, [rawFrame(TYPE.goaway, 0, 1, u32(0, 0))]],
    ['6.8 a torn GOAWAY', SIZE, [rawFrame(TYPE.goaway, 0, 0, u32(0))]],
    ['6.9 an increment of 0 for the connection', PROTOCOL, [rawFrame(TYPE.window, 0, 0, u32(0))]],
    ['6.9.1 a connection window above 2^31-1', FLOW, [rawFrame(TYPE.window, 0, 0, u32(2 ** 31 - 1))]],
    [
      '6.9.2 a setting that lifts a stream window above 2^31-1',
      FLOW,
      [
        ...hanging(1),
        rawFrame(TYPE.window, 0, 1, u32(2 ** 31 - 1 - 65_535)),
        rawFrame(TYPE.settings, 0, 0, setting(4, 65_536)),
      ],
    ],
    [
      '6.10 CONTINUATION behind END_HEADERS',
      PROTOCOL,
      [headers(1, END_HEADERS), rawFrame(TYPE.continuation, END_HEADERS, 1)],
    ],
    [
      'limits: a header block without end',
      CALM,
      [
        headers(1, END_STREAM),
        ...Array.from({ length: 40 }, () => rawFrame(TYPE.continuation, 0, 1, Buffer.from([0x82]))),
      ],
    ],
    [
      'limits: empty CONTINUATION frames',
      CALM,
      [headers(1, END_STREAM), ...Array.from({ length: 40 }, () => rawFrame(TYPE.continuation, 0, 1))],
    ],
    ['limits: too many settings', CALM, Array.from({ length: 200 }, () => rawFrame(TYPE.settings, 0, 0))],
    [
      'limits: pings while nothing runs',
      CALM,
      Array.from({ length: 5 }, () => rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8))),
    ],
    [
      'limits: DATA without a byte',
      CALM,
      [headers(1, END_HEADERS), ...Array.from({ length: 3000 }, () => data(1, 0))],
    ],
    [
      'limits: PRIORITY',
      CALM,
      [...hanging(1), ...Array.from({ length: 3000 }, () => rawFrame(TYPE.priority, 0, 1, Buffer.alloc(5)))],
    ],
    [
      'limits: streams we must reset (MadeYouReset)',
      CALM,
      Array.from({ length: 150 }, (_unused, i) => [
        headers(i * 2 + 1, END_HEADERS),
        rawFrame(TYPE.window, 0, i * 2 + 1, u32(0)),
      ]).flat(),
    ],
  ])('%s', async (_name, code, frames) => {
    await during(async (client) => {
      client.send(...frames);
      expect(await client.goaway()).toBe(code);
      await client.find(() => false);
      expect(client.closed).toBe(true);
    });
  });

  test('6.5 another frame before the settings', async () => {
    await during(async (client) => {
      client.send(PREFACE, rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8)));
      expect(await client.goaway()).toBe(PROTOCOL);
    }, false);
  });

  test('5.1 HEADERS on a stream that ended', async () => {
    await during(async (client) => {
      client.send(headers(1, END_HEADERS), data(1, END_STREAM, message('echo x')));
      await client.find((frame) => frame.type === TYPE.headers && (frame.flags & END_STREAM) !== 0);
      client.send(headers(1, BOTH));
      expect(await client.goaway()).toBe(CLOSED);
    });
  });

  test('6.9 more than the connection window', async () => {
    const small = nativeServer(echoTable(new ServerSide()), {
      limits: { connectionWindowBytes: 65_535, unreadBytesMax: -1 },
    });
    const { port } = await small.listen({ host: '127.0.0.1', port: 0 });
    const client = await RawClient.open(port);
    client.send(
      headers(1, END_HEADERS),
      ...Array.from({ length: 5 }, () => data(1, 0, Buffer.alloc(16_384))),
    );
    expect(await client.goaway()).toBe(FLOW);
    client.close();
    await small.close();
  });
});

describe('errors of a stream', () => {
  const bad = (change: Record<string, string | undefined>, ...more: [string, string][]): Buffer[] => [
    headers(1, BOTH, requestFields(change, ...more)),
  ];
  test.each<[string, number, Buffer[]]>([
    ['5.1 DATA behind END_STREAM', CLOSED, [...hanging(1), data(1, 0, Buffer.from('x'))]],
    ['5.1 HEADERS behind END_STREAM', CLOSED, [...hanging(1), headers(1, BOTH, fields(['x', 'y']))]],
    ['6.3 PRIORITY of a wrong size', SIZE, [...hanging(1), rawFrame(TYPE.priority, 0, 1, Buffer.alloc(4))]],
    ['6.9 an increment of 0', PROTOCOL, [...hanging(1), rawFrame(TYPE.window, 0, 1, u32(0))]],
    [
      '6.9.1 a stream window above 2^31-1',
      FLOW,
      [...hanging(1), rawFrame(TYPE.window, 0, 1, u32(2 ** 31 - 1))],
    ],
    [
      '8.1 trailers without END_STREAM',
      PROTOCOL,
      [headers(1, END_HEADERS), headers(1, END_HEADERS, fields(['x', 'y']))],
    ],
    [
      '8.1 a pseudo-header in trailers',
      PROTOCOL,
      [headers(1, END_HEADERS), headers(1, BOTH, fields([':path', 'y']))],
    ],
    [
      '8.1.1 more than content-length',
      PROTOCOL,
      [headers(1, END_HEADERS, requestFields({}, ['content-length', '1'])), data(1, 0, message('x'))],
    ],
    [
      '8.1.1 less than content-length',
      PROTOCOL,
      [
        headers(1, END_HEADERS, requestFields({}, ['content-length', '9'])),
        data(1, END_STREAM, message('x')),
      ],
    ],
    ['8.2.1 a name in upper case', PROTOCOL, bad({}, ['X-Upper', 'y'])],
    ['8.2.1 a value with a line feed', PROTOCOL, bad({}, ['x', 'a\nb'])],
    ['8.2.2 connection', PROTOCOL, bad({}, ['connection', 'keep-alive'])],
    ['8.2.2 transfer-encoding', PROTOCOL, bad({}, ['transfer-encoding', 'chunked'])],
    ['8.2.2 te other than trailers', PROTOCOL, bad({ te: 'gzip' })],
    ['8.3 an unknown pseudo-header', PROTOCOL, bad({}, [':x', 'y'])],
    [
      '8.3 a response pseudo-header',
      PROTOCOL,
      [headers(1, BOTH, Buffer.concat([fields([':status', '200']), requestFields()]))],
    ],
    [
      '8.3 a pseudo-header behind a field',
      PROTOCOL,
      [headers(1, BOTH, Buffer.concat([fields(['x', 'y']), requestFields()]))],
    ],
    ['8.3.1 no method', PROTOCOL, bad({ ':method': undefined })],
    ['8.3.1 no scheme', PROTOCOL, bad({ ':scheme': undefined })],
    ['8.3.1 no path', PROTOCOL, bad({ ':path': undefined })],
    ['8.3.1 an empty path', PROTOCOL, bad({ ':path': '' })],
    [
      '8.3.1 two methods',
      PROTOCOL,
      [headers(1, BOTH, Buffer.concat([fields([':method', 'POST']), requestFields()]))],
    ],
    [
      '6.9.1 more than the stream window',
      FLOW,
      [
        rawFrame(TYPE.headers, END_HEADERS, 1, requestFields({ ':path': '/test.Echo/Chat' })),
        ...floodOfData(),
      ],
    ],
  ])('%s', async (_name, code, frames) => {
    await during(async (client) => {
      seen.deaf = true;
      client.send(...frames);
      expect(await client.reset(1)).toBe(code);
      seen.deaf = false;
      client.send(headers(101, END_HEADERS), data(101, END_STREAM, message('echo next')));
      expect(
        (await client.find((frame) => frame.stream === 101 && frame.type === TYPE.data))?.payload,
      ).toEqual(message('next'));
    });
  });

  function floodOfData(): Buffer[] {
    const piece = message('x'.repeat(16_000));
    return Array.from({ length: 20 }, () => data(1, 0, piece));
  }

  test('the bound of streams counts handlers that still run (rapid reset)', async () => {
    await during(async (client) => {
      const called = seen.listenerCount('called');
      expect(called).toBe(0);
      for (let i = 0; i < 100; i++)
        client.send(...hanging(i * 2 + 1), rawFrame(TYPE.reset, 0, i * 2 + 1, u32(8)));
      client.send(...hanging(201));
      expect(await client.reset(201)).toBe(REFUSED);
    });
  });
});

describe('answers', () => {
  const answer = async (client: RawClient, stream: number): Promise<Record<string, string>> => {
    await client.find(
      (frame) => frame.stream === stream && frame.type === TYPE.headers && (frame.flags & END_STREAM) !== 0,
    );
    const decoder = new HeaderDecoder(65_536, 128);
    const result: Record<string, string> = {};
    for (const frame of client.frames) {
      if (frame.type !== TYPE.headers) continue;
      const block = decoder.decode(frame.payload, 0, frame.payload.length).fields;
      if (frame.stream === stream)
        for (let i = 0; i < block.length; i += 2) result[block[i] ?? ''] = block[i + 1] ?? '';
    }
    return result;
  };

  test.each<[string, Buffer[], Record<string, string>]>([
    [
      'an ordinary call',
      [headers(1, END_HEADERS), data(1, END_STREAM, message('echo x'))],
      { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '0' },
    ],
    [
      'with padding, priority and CONTINUATION',
      [
        rawFrame(
          TYPE.headers,
          PADDED | PRIORITY,
          1,
          Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 9]), requestFields().subarray(0, 10), Buffer.alloc(2)]),
        ),
        rawFrame(TYPE.continuation, END_HEADERS, 1, requestFields().subarray(10)),
        data(1, PADDED | END_STREAM, Buffer.concat([Buffer.from([3]), message('echo x'), Buffer.alloc(3)])),
      ],
      { 'grpc-status': '0' },
    ],
    [
      'frames and settings of unknown kinds are ignored',
      [
        rawFrame(200, 255, 0, Buffer.from('x')),
        rawFrame(TYPE.settings, 0, 0, setting(99, 1)),
        headers(1, END_HEADERS),
        data(1, END_STREAM, message('echo x')),
      ],
      { 'grpc-status': '0' },
    ],
    [
      'request trailers',
      [headers(1, END_HEADERS), data(1, 0, message('echo x')), headers(1, BOTH, fields(['x', 'y']))],
      { 'grpc-status': '0' },
    ],
    [
      'no content-type',
      [headers(1, BOTH, requestFields({ 'content-type': undefined }))],
      { ':status': '415', 'grpc-status': '13', 'grpc-message': 'invalid gRPC request content-type ""' },
    ],
    [
      'a wrong content-type',
      [headers(1, BOTH, requestFields({ 'content-type': 'application/json' }))],
      { ':status': '415', 'grpc-status': '13' },
    ],
    [
      'a subtype',
      [
        headers(1, END_HEADERS, requestFields({ 'content-type': 'application/grpc+proto' })),
        data(1, END_STREAM, message('echo x')),
      ],
      { 'grpc-status': '0' },
    ],
    [
      'GET',
      [headers(1, BOTH, requestFields({ ':method': 'GET' }))],
      { ':status': '405', 'grpc-status': '13' },
    ],
    [
      'a malformed timeout',
      [headers(1, BOTH, requestFields({}, ['grpc-timeout', '5x']))],
      {
        ':status': '400',
        'grpc-status': '13',
        'grpc-message': 'malformed grpc-timeout: transport: timeout unit is not recognized: "5x"',
      },
    ],
    [
      'a timeout of nothing',
      [
        headers(1, END_HEADERS, requestFields({}, ['grpc-timeout', '0m'])),
        data(1, END_STREAM, message('hang')),
      ],
      { 'grpc-status': '4', 'grpc-message': 'context deadline exceeded' },
    ],
    [
      'an encoding nobody has',
      [headers(1, BOTH, requestFields({}, ['grpc-encoding', 'zstd']))],
      { 'grpc-status': '12', 'grpc-message': 'grpc: Decompressor is not installed for grpc-encoding "zstd"' },
    ],
    [
      'a compressed message without encoding',
      [
        headers(1, END_HEADERS),
        data(1, END_STREAM, Buffer.concat([Buffer.from([1]), message('x').subarray(1)])),
      ],
      { 'grpc-status': '13', 'grpc-message': 'grpc: compressed flag set with identity or empty encoding' },
    ],
    [
      'a flag that is none',
      [
        headers(1, END_HEADERS),
        data(1, END_STREAM, Buffer.concat([Buffer.from([2]), message('x').subarray(1)])),
      ],
      { 'grpc-status': '13', 'grpc-message': 'grpc: received unexpected payload format 2' },
    ],
    [
      'a length that lies',
      [headers(1, END_HEADERS), data(1, 0, Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))],
      {
        'grpc-status': '8',
        'grpc-message': 'grpc: received message larger than max (4294967295 vs. 100000)',
      },
    ],
    [
      'a message at the bound is taken, its length alone',
      [headers(1, END_HEADERS), data(1, END_STREAM, Buffer.from([0, 0, 1, 0x86, 0xa0]))],
      { 'grpc-status': '13', 'grpc-message': 'unexpected EOF' },
    ],
    [
      'one byte more is not',
      [headers(1, END_HEADERS), data(1, END_STREAM, Buffer.from([0, 0, 1, 0x86, 0xa1]))],
      { 'grpc-status': '8' },
    ],
    [
      'half a prefix',
      [headers(1, END_HEADERS), data(1, END_STREAM, Buffer.from([0, 0]))],
      { 'grpc-status': '13', 'grpc-message': 'unexpected EOF' },
    ],
    ['no message', [headers(1, BOTH)], { 'grpc-status': '13' }],
    [
      'two messages',
      [headers(1, END_HEADERS), data(1, END_STREAM, Buffer.concat([message('echo x'), message('echo y')]))],
      { 'grpc-status': '12' },
    ],
    [
      'an unknown method',
      [headers(1, BOTH, requestFields({ ':path': '/test.Echo/Nope' }))],
      { 'grpc-status': '12', 'grpc-message': 'unknown method Nope for service test.Echo' },
    ],
    [
      'an unknown service',
      [headers(1, BOTH, requestFields({ ':path': '/no.Such/Nope' }))],
      { 'grpc-status': '12', 'grpc-message': 'unknown service no.Such' },
    ],
    [
      'a path without a slash',
      [headers(1, BOTH, requestFields({ ':path': 'test.Echo' }))],
      { 'grpc-status': '12', 'grpc-message': 'malformed method name: "test.Echo"' },
    ],
    [
      'too many header pairs',
      [
        headers(
          1,
          BOTH,
          requestFields({}, ...Array.from({ length: 130 }, (): [string, string] => ['x', 'y'])),
        ),
      ],
      { ':status': '431', 'grpc-status': '8' },
    ],
  ])('%s', async (_name, frames, want) => {
    await during(async (client) => {
      client.send(...frames);
      expect(await answer(client, 1)).toMatchObject(want);
    });
  });

  test('one byte at a time', async () => {
    await during(async (client) => {
      const bytes = Buffer.concat([
        PREFACE,
        rawFrame(TYPE.settings, 0, 0),
        headers(1, END_HEADERS),
        data(1, END_STREAM, message('echo slow')),
      ]);
      for (const byte of bytes) {
        client.socket.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect((await client.find((frame) => frame.type === TYPE.data))?.payload).toEqual(message('slow'));
    }, false);
  });

  test('a window of one byte tears a response, and loses nothing of it', async () => {
    await during(async (client) => {
      client.send(
        rawFrame(TYPE.settings, 0, 0, setting(4, 1)),
        headers(1, END_HEADERS),
        data(1, END_STREAM, message('echo 123456789')),
      );
      const isData = (frame: RawFrame): boolean => frame.type === TYPE.data;
      for (let got = 1; got <= 14; got++) {
        await client.find(() => client.frames.filter(isData).length === got);
        client.send(rawFrame(TYPE.window, 0, 1, u32(1)));
      }
      expect(Buffer.concat(client.frames.filter(isData).map((frame) => frame.payload))).toEqual(
        message('123456789'),
      );
      expect(await answer(client, 1)).toMatchObject({ 'grpc-status': '0' });
    });
  });

  test('6.9.2 a window below zero waits until it is above', async () => {
    await during(async (client) => {
      client.send(headers(1, END_HEADERS), data(1, END_STREAM, message('size 65530')));
      await client.find(
        () =>
          client.frames.reduce(
            (sum, frame) => sum + (frame.type === TYPE.data ? frame.payload.length : 0),
            0,
          ) === 65_535,
      );
      client.send(rawFrame(TYPE.settings, 0, 0, setting(4, 10)), rawFrame(TYPE.window, 0, 0, u32(1000)));
      client.send(headers(3, END_HEADERS), data(3, END_STREAM, message('echo 1234567890')));
      await client.find(() => client.frames.some((frame) => frame.stream === 3 && frame.type === TYPE.data));
      client.send(rawFrame(TYPE.window, 0, 3, u32(5)));
      await answer(client, 3);
      const third = client.frames.filter((frame) => frame.stream === 3 && frame.type === TYPE.data);
      expect(third.map((frame) => frame.payload.length)).toEqual([10, 5]);
    });
  });

  test('6.7 a ping is answered with its payload; a table size of 0 is heeded', async () => {
    await during(async (client) => {
      client.send(
        rawFrame(TYPE.settings, 0, 0, setting(1, 0)),
        rawFrame(TYPE.ping, 0, 0, Buffer.from('12345678')),
      );
      const pong = await client.find((frame) => frame.type === TYPE.ping && frame.flags === 1);
      expect(pong?.payload.toString()).toBe('12345678');
      for (const stream of [1, 3]) {
        client.send(headers(stream, END_HEADERS), data(stream, END_STREAM, message('echo x')));
        await client.find((frame) => frame.stream === stream && (frame.flags & END_STREAM) !== 0);
      }
      const blocks = client.frames
        .filter((frame) => frame.type === TYPE.headers)
        .map((frame) => frame.payload);
      const decoder = new HeaderDecoder(65_536, 128, 0);
      expect(blocks.map((block) => decoder.decode(block, 0, block.length).fields.length)).toEqual([
        4, 2, 4, 2,
      ]);
    });
  });

  test('pings behind messages of a stream are no offence', async () => {
    seen.deaf = false;
    await during(async (client) => {
      client.send(headers(1, END_HEADERS, requestFields({ ':path': '/test.Echo/Chat' })));
      for (let i = 1; i <= 10; i++) {
        client.send(data(1, 0, message('x')));
        await client.find(() => client.frames.filter((frame) => frame.type === TYPE.data).length === i);
        client.send(rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8)));
        await client.find(() => client.frames.filter((frame) => frame.type === TYPE.ping).length === i);
      }
      client.send(...Array.from({ length: 4 }, () => rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8))));
      const goaway = await client.find((frame) => frame.type === TYPE.goaway);
      expect([goaway?.payload.readUInt32BE(4), goaway?.payload.toString('latin1', 8)]).toEqual([
        CALM,
        'too_many_pings',
      ]);
    });
  });

  test('gzip is read, and answered with gzip; a bomb is refused', async () => {
    const compressed = (text: string): Buffer => {
      const bytes = gzipSync(text);
      const head = Buffer.from([1, 0, 0, 0, 0]);
      head.writeUInt32BE(bytes.length, 1);
      return Buffer.concat([head, bytes]);
    };
    await during(async (client) => {
      const block = requestFields({}, ['grpc-encoding', 'gzip']);
      client.send(headers(1, END_HEADERS, block), data(1, END_STREAM, compressed('echo zipped')));
      const reply = (await client.find((frame) => frame.type === TYPE.data))?.payload ?? Buffer.alloc(5);
      expect(reply[0]).toBe(1);
      expect(gunzipSync(reply.subarray(5)).toString()).toBe('zipped');
      client.send(headers(3, END_HEADERS, block), data(3, END_STREAM, compressed('0'.repeat(10_000_000))));
      expect(await answer(client, 3)).toMatchObject({ 'grpc-status': '8' });
      client.send(headers(5, END_HEADERS, block), data(5, END_STREAM, Buffer.from([1, 0, 0, 0, 1, 7])));
      expect(await answer(client, 5)).toMatchObject({ 'grpc-status': '13' });
    });
  });

  test('a reader that stops reading its socket does not grow the server', async () => {
    const before = process.memoryUsage().arrayBuffers;
    await during(async (client) => {
      client.send(
        rawFrame(TYPE.settings, 0, 0, setting(4, 2 ** 31 - 1)),
        rawFrame(TYPE.window, 0, 0, u32(2 ** 31 - 1 - 65_535)),
      );
      client.socket.pause();
      const paused = seen.next('written');
      client.send(
        headers(1, END_HEADERS, requestFields({ ':path': '/test.Echo/Counted' })),
        data(1, END_STREAM, message('10000000 4096')),
      );
      await paused;
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
    });
  });

  test('a silent client is pinged, and cut when it does not answer', async () => {
    const watchful = nativeServer(echoTable(new ServerSide()), {
      keepaliveIntervalMs: 30,
      keepaliveTimeoutMs: 30,
    });
    const { port } = await watchful.listen({ host: '127.0.0.1', port: 0 });
    const client = await RawClient.open(port);
    const first = await client.find((frame) => frame.type === TYPE.ping);
    client.send(rawFrame(TYPE.ping, 1, 0, first?.payload ?? Buffer.alloc(0)));
    await client.find(() => client.frames.filter((frame) => frame.type === TYPE.ping).length === 2);
    await client.find(() => false);
    expect(client.closed).toBe(true);
    await watchful.close();
  });

  test('draining tells twice: no new streams soon, then the last one', async () => {
    const draining = nativeServer(echoTable(new ServerSide()));
    const { port } = await draining.listen({ host: '127.0.0.1', port: 0 });
    const client = await RawClient.open(port);
    client.send(headers(1, END_HEADERS), data(1, END_STREAM, message('echo x')));
    await client.find((frame) => frame.type === TYPE.headers && (frame.flags & END_STREAM) !== 0);
    const drained = draining.drain(10_000);
    const ping = await client.find((frame) => frame.type === TYPE.ping && frame.flags === 0);
    client.send(
      headers(3, END_HEADERS),
      data(3, END_STREAM, message('echo late')),
      rawFrame(TYPE.ping, 1, 0, ping?.payload ?? Buffer.alloc(0)),
    );
    await drained;
    await client.find(() => false);
    const goaways = client.frames
      .filter((frame) => frame.type === TYPE.goaway)
      .map((frame) => [frame.payload.readUInt32BE(0), frame.payload.readUInt32BE(4)]);
    expect(goaways).toEqual([
      [2 ** 31 - 1, NO],
      [3, NO],
    ]);
    expect(client.frames.some((frame) => frame.stream === 3 && frame.type === TYPE.data)).toBe(true);
    client.close();
  });
});
