/**
 * What RFC 9113 demands of a server beyond errors of single frames (rfc9113.test.ts): the states of streams,
 * what must be tolerated, windows and settings while streams run, and what GOAWAY carries.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { nativeServer, type NativeServerOptions, type RpcServer } from '@keelson/rpc';
import { ServerSide, echoTable } from './contract/service.ts';
import { RawClient, fields, message, requestFields } from './raw-client.ts';
import { PREFACE, TYPE, rawFrame, setting, u32, type RawFrame } from './raw-frames.ts';

const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const BOTH = END_STREAM | END_HEADERS;
const PADDED = 8;
const PRIORITY = 32;
const PROTOCOL = 1;
const FLOW = 3;
const CLOSED = 5;
const SIZE = 6;
const CANCEL = 8;
const WINDOW_MAX = 2 ** 31 - 1;

const headers = (stream: number, flags: number, block = requestFields()): Buffer =>
  rawFrame(TYPE.headers, flags, stream, block);
const data = (stream: number, flags: number, bytes: Uint8Array = new Uint8Array()): Buffer =>
  rawFrame(TYPE.data, flags, stream, bytes);
const call = (stream: number, text: string): Buffer[] => [
  headers(stream, END_HEADERS),
  data(stream, END_STREAM, message(text)),
];
const ofStream =
  (stream: number, type: number) =>
  (frame: RawFrame): boolean =>
    frame.stream === stream && frame.type === type;
const ends =
  (stream: number) =>
  (frame: RawFrame): boolean =>
    frame.stream === stream && frame.type === TYPE.headers && (frame.flags & END_STREAM) !== 0;

let server: RpcServer;
let port: number;

beforeAll(async () => {
  server = nativeServer(echoTable(new ServerSide()));
  ({ port } = await server.listen({ host: '127.0.0.1', port: 0 }));
});
afterAll(() => server.close());

async function during(act: (client: RawClient) => Promise<void>, handshake = true): Promise<void> {
  const client = await RawClient.open(port, handshake);
  try {
    await act(client);
  } finally {
    client.close();
  }
}

/** With a server of its own. */
async function duringWith(
  options: NativeServerOptions,
  act: (client: RawClient) => Promise<void>,
): Promise<void> {
  const own = nativeServer(echoTable(new ServerSide()), options);
  const at = await own.listen({ host: '127.0.0.1', port: 0 });
  const client = await RawClient.open(at.port);
  try {
    await act(client);
  } finally {
    client.close();
    await own.close();
  }
}

/** A new call on the connection is answered. */
async function serves(client: RawClient, stream: number): Promise<void> {
  client.send(...call(stream, 'echo good'));
  expect((await client.find(ofStream(stream, TYPE.data)))?.payload).toEqual(message('good'));
  expect(await client.find(ends(stream))).toBeDefined();
}

/** What the client said was taken, in order: its ping came back. */
async function taken(client: RawClient, mark: number): Promise<void> {
  client.send(rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8, mark)));
  const pong = await client.find(
    ({ type, flags, payload }) => type === TYPE.ping && flags === ACK && payload[0] === mark,
  );
  expect(pong).toBeDefined();
}

describe('3.4 the preface', () => {
  test("the server's first frame is SETTINGS, and the client's is acknowledged", async () => {
    await during(async (client) => {
      await client.find(({ type, flags }) => type === TYPE.settings && flags === ACK);
      expect(client.frames[0]).toMatchObject({ type: TYPE.settings, flags: 0, stream: 0 });
    });
  });

  test.each([
    ['of another protocol', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['with its last byte wrong', Buffer.concat([PREFACE.subarray(0, 23), Buffer.from('x')])],
  ])('a preface %s ends the connection', async (_name, bytes) => {
    await during(async (client) => {
      client.send(bytes);
      expect(await client.find(() => false)).toBeUndefined();
      expect(client.frames.every(({ type }) => type === TYPE.settings || type === TYPE.window)).toBe(true);
    }, false);
  });

  test('settings that are an acknowledgement are no first settings', async () => {
    await during(async (client) => {
      client.send(PREFACE, rawFrame(TYPE.settings, ACK, 0));
      expect(await client.goaway()).toBe(PROTOCOL);
    }, false);
  });
});

describe('tolerated', () => {
  test.each<[string, Buffer[]]>([
    [
      '4.1 flags that mean nothing',
      [
        rawFrame(TYPE.headers, END_HEADERS | 0xd2, 1, requestFields()),
        rawFrame(TYPE.data, END_STREAM | 0xf6, 1, message('hang')),
        rawFrame(TYPE.ping, 0xfe, 0, Buffer.alloc(8)),
        rawFrame(TYPE.window, 0xff, 0, u32(1)),
        rawFrame(TYPE.settings, 0xfe, 0, setting(4, 65_535)),
      ],
    ],
    [
      '4.1 the reserved bit of a stream number',
      [rawFrame(TYPE.headers, END_HEADERS, 0x8000_0001, requestFields())],
    ],
    ['6.9 the reserved bit of an increment', [rawFrame(TYPE.window, 0, 0, u32(0x8000_0001))]],
    ['5.1 PRIORITY on an idle stream', [rawFrame(TYPE.priority, 0, 7, Buffer.from([0, 0, 0, 0, 9]))]],
    [
      '5.3.2 a stream that depends on itself',
      [
        rawFrame(TYPE.priority, 0, 9, Buffer.from([0, 0, 0, 9, 0])),
        headers(9, BOTH | PRIORITY, Buffer.concat([Buffer.from([0x80, 0, 0, 9, 0]), requestFields()])),
      ],
    ],
    [
      '5.5 frames of unknown types on any stream',
      [rawFrame(99, 0xff, 7, Buffer.alloc(20)), rawFrame(250, 0, 0)],
    ],
    ['6.5 empty settings', [rawFrame(TYPE.settings, 0, 0)]],
    [
      '6.5.2 every setting at its bounds',
      [
        ...[0, 1].map((value) => rawFrame(TYPE.settings, 0, 0, setting(2, value))),
        ...[16_384, 2 ** 24 - 1].map((value) => rawFrame(TYPE.settings, 0, 0, setting(5, value))),
        ...[0, 2 ** 32 - 1].map((value) => rawFrame(TYPE.settings, 0, 0, setting(6, value))),
        ...[0, 2 ** 32 - 1].map((value) => rawFrame(TYPE.settings, 0, 0, setting(1, value))),
        ...[0, 2 ** 32 - 1].map((value) => rawFrame(TYPE.settings, 0, 0, setting(3, value))),
        ...[0, WINDOW_MAX].map((value) => rawFrame(TYPE.settings, 0, 0, setting(4, value))),
      ],
    ],
    ['6.5.2 a setting nobody knows', [rawFrame(TYPE.settings, 0, 0, setting(0xfff0, 7))]],
    ['6.7 an answer to a ping nobody sent', [rawFrame(TYPE.ping, ACK, 0, Buffer.alloc(8))]],
    [
      '6.8 GOAWAY of a client: calls go on',
      [rawFrame(TYPE.goaway, 0, 0, Buffer.concat([u32(0, 0), Buffer.from('bye')]))],
    ],
    ['6.9.1 a connection window of 2^31-1', [rawFrame(TYPE.window, 0, 0, u32(WINDOW_MAX - 65_535))]],
    [
      '6.9.1 a stream window of 2^31-1',
      [...call(1, 'hang'), rawFrame(TYPE.window, 0, 1, u32(WINDOW_MAX - 65_535))],
    ],
    [
      '6.10 as many CONTINUATION frames as wanted, also empty ones',
      [
        headers(1, END_STREAM, requestFields().subarray(0, 9)),
        rawFrame(TYPE.continuation, 0, 1),
        ...Array.from({ length: 20 }, (_unused, i) =>
          rawFrame(TYPE.continuation, 0, 1, requestFields().subarray(9 + i, 10 + i)),
        ),
        rawFrame(TYPE.continuation, END_HEADERS, 1, requestFields().subarray(29)),
      ],
    ],
  ])('%s', async (_name, frames) => {
    await during(async (client) => {
      client.send(...frames);
      await serves(client, 101);
      expect(client.frames.filter(({ type }) => type === TYPE.goaway)).toEqual([]);
    });
  });
});

describe('4.2 a frame above the maximum, of every type', () => {
  test.each(Array.from({ length: 11 }, (_unused, type) => type))('type %i', async (type) => {
    await during(async (client) => {
      // The length alone is enough: nothing of the frame has to come.
      client.send(...call(1, 'hang'), rawFrame(type, 0, 1, Buffer.alloc(16_385)).subarray(0, 9));
      expect(await client.goaway()).toBe(SIZE);
    });
  });
});

describe('5.1 states', () => {
  test('5.5 an unknown frame inside a header block', async () => {
    await during(async (client) => {
      client.send(headers(1, END_STREAM), rawFrame(99, 0, 1));
      expect(await client.goaway()).toBe(PROTOCOL);
    });
  });

  test('6.10 CONTINUATION on stream 0', async () => {
    await during(async (client) => {
      client.send(rawFrame(TYPE.continuation, END_HEADERS, 0));
      expect(await client.goaway()).toBe(PROTOCOL);
    });
  });

  test('half-closed: WINDOW_UPDATE and PRIORITY are taken, RST_STREAM ends it', async () => {
    await during(async (client) => {
      client.send(
        ...call(1, 'hang'),
        rawFrame(TYPE.window, 0, 1, u32(10)),
        rawFrame(TYPE.priority, 0, 1, Buffer.alloc(5)),
        rawFrame(TYPE.reset, 0, 1, u32(CANCEL)),
      );
      await serves(client, 3);
      expect(client.frames.filter(({ stream }) => stream === 1)).toEqual([]);
    });
  });

  test('closed: WINDOW_UPDATE, RST_STREAM and PRIORITY are passed over', async () => {
    await during(async (client) => {
      await serves(client, 1);
      client.send(
        rawFrame(TYPE.window, 0, 1, u32(10)),
        rawFrame(TYPE.window, 0, 1, u32(0)),
        rawFrame(TYPE.reset, 0, 1, u32(CANCEL)),
        rawFrame(TYPE.priority, 0, 1, Buffer.alloc(5)),
      );
      await serves(client, 3);
      expect(client.frames.filter(({ type }) => type === TYPE.reset || type === TYPE.goaway)).toEqual([]);
    });
  });

  test('5.1.1 a stream that was passed by is closed', async () => {
    await during(async (client) => {
      await serves(client, 5);
      client.send(data(3, 0, Buffer.from('x')));
      expect(await client.reset(3)).toBe(CLOSED);
      client.send(headers(1, BOTH));
      expect(await client.goaway()).toBe(PROTOCOL);
    });
  });

  test('5.1.1 the last stream there is', async () => {
    await during((client) => serves(client, WINDOW_MAX));
  });

  test('5.4.1, 6.8 GOAWAY names the last stream that was looked at', async () => {
    await during(async (client) => {
      client.send(...call(1, 'hang'), ...call(7, 'hang'), data(0, 0));
      expect(await client.goaway()).toBe(PROTOCOL);
      const goaway = client.frames.find(({ type }) => type === TYPE.goaway);
      expect(goaway?.payload.readUInt32BE(0)).toBe(7);
      // Nothing follows it.
      await client.find(() => false);
      expect(client.frames.at(-1)).toBe(goaway);
    });
  });
});

describe('windows and settings while streams run', () => {
  const payloadOf = (client: RawClient, stream: number): Buffer =>
    Buffer.concat(client.frames.filter(ofStream(stream, TYPE.data)).map(({ payload }) => payload));

  test('6.1 padding counts, also where it is all there is', async () => {
    await duringWith({ limits: { streamWindowBytes: 1000 } }, async (client) => {
      const padded = data(1, PADDED, Buffer.concat([Buffer.from([200]), Buffer.alloc(200)]));
      client.send(
        headers(1, END_HEADERS),
        data(1, 0, message('echo').subarray(0, 5)),
        ...Array<Buffer>(5).fill(padded),
      );
      expect(await client.reset(1)).toBe(FLOW);
      await serves(client, 3);
    });
  });

  test('6.9 a stream window of 0 holds DATA and nothing else', async () => {
    await during(async (client) => {
      client.send(rawFrame(TYPE.settings, 0, 0, setting(4, 0)), ...call(1, 'echo waits'));
      expect(await client.find(ofStream(1, TYPE.headers))).toBeDefined();
      await taken(client, 1);
      expect(payloadOf(client, 1)).toHaveLength(0);
      client.send(rawFrame(TYPE.window, 0, 1, u32(10)));
      expect(await client.find(ends(1))).toBeDefined();
      expect(payloadOf(client, 1)).toEqual(message('waits'));
    });
  });

  test('6.9.2 a larger initial window lets every waiting stream go on', async () => {
    await during(async (client) => {
      client.send(rawFrame(TYPE.settings, 0, 0, setting(4, 3)));
      client.send(...call(1, 'echo first'), ...call(3, 'echo third'));
      await client.find(() => payloadOf(client, 1).length === 3 && payloadOf(client, 3).length === 3);
      client.send(rawFrame(TYPE.settings, 0, 0, setting(4, 10)));
      for (const stream of [1, 3]) expect(await client.find(ends(stream))).toBeDefined();
      expect(payloadOf(client, 1)).toEqual(message('first'));
      expect(payloadOf(client, 3)).toEqual(message('third'));
    });
  });

  test('6.5.3 what new settings allow leaves behind their acknowledgement', async () => {
    await during(async (client) => {
      client.send(rawFrame(TYPE.settings, 0, 0, setting(4, 0)), ...call(1, 'echo x'));
      await client.find(ofStream(1, TYPE.headers));
      client.send(rawFrame(TYPE.settings, 0, 0, Buffer.concat([setting(1, 0), setting(4, 100)])));
      expect(await client.find(ends(1))).toBeDefined();
      const acks = client.frames.flatMap(({ type, flags }, i) =>
        type === TYPE.settings && flags === ACK ? [i] : [],
      );
      // The handshake's, the window's of 0, and the last one, which grants the window and asks for an empty table.
      expect(acks).toHaveLength(3);
      expect(client.frames.findIndex(ofStream(1, TYPE.data))).toBeGreaterThan(acks[2] ?? Infinity);
      expect(client.frames.findIndex(ends(1))).toBeGreaterThan(acks[2] ?? Infinity);
    });
  });

  test('6.8 nothing is said behind GOAWAY, also where credit is due', async () => {
    await duringWith({ limits: { connectionWindowBytes: 65_535 } }, async (client) => {
      const full = message('x'.repeat(16_000));
      client.send(
        headers(1, END_HEADERS, requestFields({ ':path': '/test.Echo/Chat' })),
        ...Array<Buffer>(3).fill(data(1, 0, full)),
        data(0, 0),
      );
      expect(await client.goaway()).toBe(PROTOCOL);
      await client.find(() => false);
      expect(client.frames.at(-1)?.type).toBe(TYPE.goaway);
    });
  });

  test('6.9.1 the connection window is shared, in turns', async () => {
    await during(async (client) => {
      client.send(
        rawFrame(TYPE.settings, 0, 0, setting(4, 1_000_000)),
        ...call(1, 'size 100000'),
        ...call(3, 'size 100000'),
      );
      const total = (): number => payloadOf(client, 1).length + payloadOf(client, 3).length;
      await client.find(() => total() === 65_535);
      await taken(client, 2);
      expect(total()).toBe(65_535);
      const before = payloadOf(client, 3).length;
      client.send(rawFrame(TYPE.window, 0, 0, u32(50_000)));
      await client.find(() => total() === 115_535);
      // The second had its turns though the first could have taken all.
      expect(payloadOf(client, 3).length - before).toBeGreaterThan(10_000);
      client.send(rawFrame(TYPE.window, 0, 0, u32(200_000)));
      for (const stream of [1, 3]) expect(await client.find(ends(stream))).toBeDefined();
      expect(total()).toBe(200_010);
    });
  });

  test('6.5.3 each settings frame is acknowledged, and the last value of a frame counts', async () => {
    await during(async (client) => {
      const twice = Buffer.concat([setting(4, 100), setting(4, 2)]);
      client.send(rawFrame(TYPE.settings, 0, 0, twice), ...call(1, 'echo x'));
      await client.find(ofStream(1, TYPE.data));
      const acks = client.frames.filter(({ type, flags }) => type === TYPE.settings && flags === ACK);
      expect(acks.map(({ payload }) => payload.length)).toEqual([0, 0]);
      expect(payloadOf(client, 1)).toHaveLength(2);
    });
  });

  test('4.2 no frame of ours is larger than the client takes at least', async () => {
    await during(async (client) => {
      client.send(rawFrame(TYPE.settings, 0, 0, setting(5, 2 ** 24 - 1)), ...call(1, 'size 60000'));
      await client.find(ends(1));
      expect(Math.max(...client.frames.map(({ payload }) => payload.length))).toBe(16_384);
    });
  });
});

describe('8 fields of a request', () => {
  const block = (change: Record<string, string | undefined>, ...more: [string, string][]): Buffer =>
    requestFields(change, ...more);
  const before = (...pairs: [string, string][]): Buffer => Buffer.concat([fields(...pairs), requestFields()]);

  test.each<[string, Buffer]>([
    ['8.2.1 an empty name', block({}, ['', 'y'])],
    ['8.2.1 a name with a space', block({}, ['x y', 'y'])],
    ['8.2.1 a name with a colon inside', block({}, ['x:y', 'y'])],
    ['8.2.1 a name with a control character', block({}, ['x\u007f', 'y'])],
    ['8.2.1 a name above ASCII', block({}, ['x\u00e9', 'y'])],
    ['8.2.1 a value with NUL', block({}, ['x', 'a\0b'])],
    ['8.2.1 a value with CR', block({}, ['x', 'a\rb'])],
    ['8.2.1 a value that begins with a space', block({}, ['x', ' y'])],
    ['8.2.1 a value that ends with a tab', block({}, ['x', 'y\t'])],
    ['8.2.1 a path with LF', block({ ':path': '/test.Echo/Unary\n' })],
    ['8.2.1 an authority with CR', block({ ':authority': 'x\ry' })],
    ['8.2.1 a content-type with NUL', block({ 'content-type': 'application/grpc\0' })],
    ['8.2.1 a timeout with LF', block({}, ['grpc-timeout', '1S\n'])],
    ['8.2.2 keep-alive', block({}, ['keep-alive', 'timeout=1'])],
    ['8.2.2 proxy-connection', block({}, ['proxy-connection', 'close'])],
    ['8.2.2 upgrade', block({}, ['upgrade', 'h2c'])],
    ['8.3 a pseudo-header with an empty name', before([':', 'x'])],
    ['8.3.1 two schemes', before([':scheme', 'http'])],
    ['8.3.1 two paths', before([':path', '/x'])],
    ['8.3.1 two authorities', before([':authority', 'x'])],
    ['8.3.1 two hosts', block({}, ['host', 'x'], ['host', 'x'])],
    ['8.1.1 two lengths', block({}, ['content-length', '6'], ['content-length', '7'])],
    ['8.1.1 a negative length', block({}, ['content-length', '-1'])],
    ['8.1.1 a length and no content', block({}, ['content-length', '6'])],
    ['8.5 CONNECT with a path', block({ ':method': 'CONNECT', ':scheme': undefined })],
    ['8.5 CONNECT without authority', fields([':method', 'CONNECT'])],
  ])('%s: malformed', async (_name, malformed) => {
    await during(async (client) => {
      client.send(headers(1, BOTH, malformed));
      expect(await client.reset(1)).toBe(PROTOCOL);
      await serves(client, 3);
    });
  });

  test.each<[string, Buffer, Buffer]>([
    ['8.2.1 bytes above ASCII in a value', block({}, ['x', 'caf\u00e9']), message('echo good')],
    ['8.2.1 a space inside a value', block({}, ['x', 'a b']), message('echo good')],
    ['8.2.1 an empty value', block({}, ['x', '']), message('echo good')],
    ['8.2.3 cookies in crumbs', block({}, ['cookie', 'a=b'], ['cookie', 'c=d']), message('echo good')],
    [
      '8.1.1 one length twice',
      block({}, ['content-length', '14'], ['content-length', '14']),
      message('echo good'),
    ],
    [
      '8.3.1 host instead of authority',
      block({ ':authority': undefined }, ['host', 'x']),
      message('echo good'),
    ],
  ])('%s: served', async (_name, good, bytes) => {
    await during(async (client) => {
      client.send(headers(1, END_HEADERS, good), data(1, END_STREAM, bytes));
      expect((await client.find(ofStream(1, TYPE.data)))?.payload).toEqual(message('good'));
    });
  });

  test('8.1 trailers owe what headers owe', async () => {
    await during(async (client) => {
      for (const [i, trailer] of [
        ['X', 'y'],
        ['x', 'y '],
        ['connection', 'close'],
        [':status', '200'],
      ].entries()) {
        const stream = 2 * i + 1;
        const [name = '', value = ''] = trailer;
        client.send(headers(stream, END_HEADERS), headers(stream, BOTH, fields([name, value])));
        expect(await client.reset(stream)).toBe(PROTOCOL);
      }
      await serves(client, 101);
    });
  });

  test('8.5 CONNECT is well-formed, and not served', async () => {
    await during(async (client) => {
      client.send(headers(1, BOTH, fields([':method', 'CONNECT'], [':authority', 'x'])));
      expect(await client.find(ends(1))).toBeDefined();
      expect(client.frames.filter(({ type }) => type === TYPE.reset)).toEqual([]);
      await serves(client, 3);
    });
  });
});
