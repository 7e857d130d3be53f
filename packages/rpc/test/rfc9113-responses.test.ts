/**
 * What RFC 9113 demands of a client that reads responses: frames a server may not send and the GOAWAY or reset
 * each must get, responses that are malformed, and what must be tolerated.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { Metadata, RpcError, StatusCode, nativeChannel, type Channel } from '@keelson/rpc';
import { ClientConnection } from '../src/client-connection.ts';
import { Deadlines } from '../src/deadlines.ts';
import { DEFAULT_LIMITS } from '../src/limits.ts';
import { SlabPool } from '../src/out-buffer.ts';
import { Turn } from '../src/turn.ts';
import { Echo } from './contract/service.ts';
import { ManualClock } from './fuzz/rig.ts';
import { fields, message } from './raw-client.ts';
import { TYPE, rawFrame, setting, u32 } from './raw-frames.ts';
import { RawServer, type RawPeer } from './raw-server.ts';

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
const COMPRESSION = 9;
const CALM = 11;
const WINDOW_MAX = 2 ** 31 - 1;

let server: RawServer | undefined;
let channel: Channel | undefined;

afterEach(() => {
  channel?.close();
  server?.close();
});

/** A channel with one call of the stream 1 on its way. */
async function calling(): Promise<{ peer: RawPeer; outcome: Promise<string | RpcError>; dialled: Channel }> {
  server = await RawServer.listen();
  const dialled = nativeChannel(`127.0.0.1:${server.port}`, { minBackoffMs: 1, maxBackoffMs: 10 });
  channel = dialled;
  const ready = dialled.connect(5000);
  const peer = await server.peer(0);
  peer.settings();
  await ready;
  const outcome = dialled.unary(Echo.unary, 'echo a').catch((error: unknown) => {
    if (error instanceof RpcError) return error;
    throw error;
  });
  await peer.opened(1);
  return { peer, outcome, dialled };
}

const headers = (flags: number, ...pairs: [string, string][]): Buffer =>
  rawFrame(TYPE.headers, flags, 1, fields(...pairs));
const OK: [string, string][] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
const opened = headers(END_HEADERS, ...OK);
const data = (flags: number, text: string): Buffer => rawFrame(TYPE.data, flags, 1, message(text));
const trailers = headers(BOTH, ['grpc-status', '0']);

describe('errors of the connection', () => {
  test.each<[string, number, Buffer[]]>([
    ['4.2 a frame above the maximum', SIZE, [rawFrame(TYPE.data, 0, 1, Buffer.alloc(16_385))]],
    [
      '4.3 a header block that does not decode',
      COMPRESSION,
      [rawFrame(TYPE.headers, BOTH, 1, Buffer.from([0x80]))],
    ],
    ['4.3 a frame inside a header block', PROTOCOL, [headers(0), rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8))]],
    ['5.1 HEADERS on a stream nobody opened', PROTOCOL, [rawFrame(TYPE.headers, BOTH, 3, fields(...OK))]],
    ['5.1 DATA on a stream nobody opened', PROTOCOL, [rawFrame(TYPE.data, 0, 3)]],
    ['5.1 WINDOW_UPDATE on a stream nobody opened', PROTOCOL, [rawFrame(TYPE.window, 0, 3, u32(1))]],
    ['5.1 HEADERS on a stream that ended', CLOSED, [opened, data(0, 'a'), trailers, trailers]],
    ['5.1.1 HEADERS on an even stream', PROTOCOL, [rawFrame(TYPE.headers, BOTH, 2, fields(...OK))]],
    ['6.1 DATA on the connection', PROTOCOL, [rawFrame(TYPE.data, 0, 0)]],
    [
      '6.1 padding as long as its frame',
      PROTOCOL,
      [opened, rawFrame(TYPE.data, PADDED, 1, Buffer.from([1]))],
    ],
    ['6.2 a torn priority', SIZE, [rawFrame(TYPE.headers, BOTH | PRIORITY, 1, Buffer.alloc(4))]],
    ['6.4 RST_STREAM of a wrong size', SIZE, [rawFrame(TYPE.reset, 0, 1, Buffer.alloc(3))]],
    ['6.5 SETTINGS on a stream', PROTOCOL, [rawFrame(TYPE.settings, 0, 1)]],
    ['6.5 SETTINGS of a wrong size', SIZE, [rawFrame(TYPE.settings, 0, 0, Buffer.alloc(7))]],
    ['6.5 an acknowledgement with settings', SIZE, [rawFrame(TYPE.settings, ACK, 0, setting(4, 1))]],
    ['6.5.2 a server that enables push', PROTOCOL, [rawFrame(TYPE.settings, 0, 0, setting(2, 1))]],
    ['6.5.2 INITIAL_WINDOW_SIZE of 2^31', FLOW, [rawFrame(TYPE.settings, 0, 0, setting(4, 2 ** 31))]],
    ['6.5.2 MAX_FRAME_SIZE of 16383', PROTOCOL, [rawFrame(TYPE.settings, 0, 0, setting(5, 16_383))]],
    ['6.6, 8.4 a promise', PROTOCOL, [rawFrame(TYPE.push, END_HEADERS, 1, u32(2))]],
    ['6.7 PING of a wrong size', SIZE, [rawFrame(TYPE.ping, 0, 0, Buffer.alloc(9))]],
    ['6.8 GOAWAY on a stream', PROTOCOL, [rawFrame(TYPE.goaway, 0, 1, u32(1, 0))]],
    ['6.9 an increment of 0', PROTOCOL, [rawFrame(TYPE.window, 0, 0, u32(0))]],
    ['6.9.1 a connection window above 2^31-1', FLOW, [rawFrame(TYPE.window, 0, 0, u32(WINDOW_MAX))]],
    ['6.10 CONTINUATION of nothing', PROTOCOL, [rawFrame(TYPE.continuation, END_HEADERS, 1)]],
    ['limits: settings', CALM, Array.from({ length: 200 }, () => rawFrame(TYPE.settings, 0, 0))],
    [
      'limits: responses that only inform',
      CALM,
      Array.from({ length: 3000 }, () => headers(END_HEADERS, [':status', '103'])),
    ],
    [
      'limits: a header block without end',
      CALM,
      [headers(0), ...Array.from({ length: 40 }, () => rawFrame(TYPE.continuation, 0, 1))],
    ],
  ])('%s', async (_name, code, frames) => {
    const { peer, outcome } = await calling();
    peer.send(...frames);
    expect(await peer.goneWith()).toBe(code);
    await peer.gone();
    const result = await outcome;
    if (frames.includes(trailers)) expect(result).toBe('a');
    else expect(result).toMatchObject({ code: StatusCode.Unavailable, unsent: false });
  });

  test('3.4 another frame before the settings', async () => {
    server = await RawServer.listen();
    channel = nativeChannel(`127.0.0.1:${server.port}`, { minBackoffMs: 10_000 });
    const attempt = channel.connect(5000).catch((error: unknown) => error);
    const peer = await server.peer(0);
    peer.send(rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8)));
    expect(await peer.goneWith()).toBe(PROTOCOL);
    expect(await attempt).toMatchObject({ code: StatusCode.Unavailable });
  });
});

describe('errors of a stream', () => {
  test.each<[string, number, Buffer[]]>([
    ['6.3 PRIORITY of a wrong size', SIZE, [rawFrame(TYPE.priority, 0, 1, Buffer.alloc(6))]],
    ['6.9 an increment of 0', PROTOCOL, [rawFrame(TYPE.window, 0, 1, u32(0))]],
    ['6.9.1 a stream window above 2^31-1', FLOW, [rawFrame(TYPE.window, 0, 1, u32(WINDOW_MAX))]],
    ['8.1 DATA before HEADERS', PROTOCOL, [data(0, 'a')]],
    ['8.1 a second response', PROTOCOL, [opened, opened]],
    ['8.1 an informational response that ends', PROTOCOL, [headers(BOTH, [':status', '100'])]],
    [
      '8.1 a pseudo-header in trailers',
      PROTOCOL,
      [opened, headers(BOTH, [':status', '200'], ['grpc-status', '0'])],
    ],
    [
      '8.1.1 more than content-length',
      PROTOCOL,
      [headers(END_HEADERS, ...OK, ['content-length', '3']), data(0, 'a')],
    ],
    [
      '8.1.1 less than content-length',
      PROTOCOL,
      [headers(END_HEADERS, ...OK, ['content-length', '9']), data(0, 'a'), trailers],
    ],
    ['8.1.1 a length that is no number', PROTOCOL, [headers(END_HEADERS, ...OK, ['content-length', 'x'])]],
    ['8.2.1 a value with a line feed', PROTOCOL, [headers(END_HEADERS, ...OK, ['x', 'a\nb'])]],
    ['8.2.1 a value that ends with a space', PROTOCOL, [headers(END_HEADERS, ...OK, ['x', 'a '])]],
    ['8.2.1 an empty name', PROTOCOL, [headers(END_HEADERS, ...OK, ['', 'a'])]],
    ['8.2.2 connection', PROTOCOL, [headers(END_HEADERS, ...OK, ['connection', 'close'])]],
    ['8.3 a request pseudo-header', PROTOCOL, [headers(END_HEADERS, ...OK, [':path', '/'])]],
    ['8.3.2 no status', PROTOCOL, [headers(END_HEADERS, ['content-type', 'application/grpc'])]],
    ['8.3.2 two', PROTOCOL, [headers(END_HEADERS, [':status', '200'], ...OK)]],
    ['8.3.2 behind a field', PROTOCOL, [headers(END_HEADERS, ['x', 'y'], ...OK)]],
    ['8.6 101', PROTOCOL, [headers(END_HEADERS, [':status', '101'])]],
  ])('%s', async (_name, code, frames) => {
    const { peer, outcome, dialled } = await calling();
    peer.send(...frames);
    const reset = await peer.find(({ type, stream }) => type === TYPE.reset && stream === 1);
    expect(reset?.payload.readUInt32BE(0)).toBe(code);
    expect(await outcome).toMatchObject({ code: StatusCode.Internal });
    const next = dialled.unary(Echo.unary, 'echo b');
    await peer.opened(2);
    peer.answer(3, 'b');
    expect(await next).toBe('b');
  });
});

describe('tolerated', () => {
  test.each<[string, Buffer[]]>([
    [
      '4.1 flags that mean nothing',
      [rawFrame(TYPE.settings, 0xfe, 0), rawFrame(TYPE.ping, 0xfe, 0, Buffer.alloc(8))],
    ],
    [
      '5.1 PRIORITY on any stream',
      [
        rawFrame(TYPE.priority, 0, 99, Buffer.alloc(5)),
        rawFrame(TYPE.priority, 0, 1, u32(1, 0).subarray(0, 5)),
      ],
    ],
    ['5.5 frames of unknown types', [rawFrame(77, 255, 0, Buffer.alloc(3)), rawFrame(78, 1, 1)]],
    [
      '6.5.2 a setting nobody knows, push of 0',
      [rawFrame(TYPE.settings, 0, 0, Buffer.concat([setting(99, 1), setting(2, 0)]))],
    ],
    ['6.7 an answer to no ping', [rawFrame(TYPE.ping, ACK, 0, Buffer.alloc(8))]],
    [
      '8.1 responses that only inform',
      [headers(END_HEADERS, [':status', '100']), headers(END_HEADERS, [':status', '103'], ['link', 'x'])],
    ],
  ])('%s', async (_name, frames) => {
    const { peer, outcome } = await calling();
    peer.send(...frames, opened, data(0, 'a'), trailers);
    expect(await outcome).toBe('a');
    expect(peer.frames.filter(({ type }) => type === TYPE.goaway || type === TYPE.reset)).toEqual([]);
  });

  test('6.2, 6.10 padding, priority and CONTINUATION in a response', async () => {
    const { peer, outcome } = await calling();
    const block = fields(...OK);
    const first = Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 9]), block.subarray(0, 5), Buffer.alloc(1)]);
    peer.send(
      rawFrame(TYPE.headers, PADDED | PRIORITY, 1, first),
      rawFrame(TYPE.continuation, END_HEADERS, 1, block.subarray(5)),
      rawFrame(TYPE.data, PADDED, 1, Buffer.concat([Buffer.from([2]), message('a'), Buffer.alloc(2)])),
      trailers,
    );
    expect(await outcome).toBe('a');
  });

  test('6.7 a ping is answered; 6.5.3 settings are acknowledged', async () => {
    const { peer } = await calling();
    peer.settings([3, 7]);
    peer.send(rawFrame(TYPE.ping, 0, 0, Buffer.from('12345678')));
    const pong = await peer.find(({ type, flags }) => type === TYPE.ping && flags === ACK);
    expect(pong?.payload.toString()).toBe('12345678');
    expect(peer.frames.filter(({ type, flags }) => type === TYPE.settings && flags === ACK)).toHaveLength(2);
  });

  test('7 a reset with a code nobody knows', async () => {
    const { peer, outcome } = await calling();
    peer.reset(1, 0xabcd);
    expect(await outcome).toMatchObject({
      code: StatusCode.Internal,
      message: 'stream terminated by RST_STREAM with error code: unknown error code 0xabcd',
    });
  });
});

test('3.4, 6.5.2 what a client says first: the preface, and that nothing is to be pushed', async () => {
  const { peer } = await calling();
  const first = peer.frames[0];
  expect([first?.type, first?.stream]).toEqual([TYPE.settings, 0]);
  expect(first?.payload.subarray(0, 6)).toEqual(setting(2, 0));
});

test('5.1.1 when the numbers of streams are used up the connection takes no more calls', () => {
  const clock = new ManualClock();
  let retired = 0;
  const written: Buffer[] = [];
  const pipe = {
    peer: 'test',
    peerCertificate: undefined,
    pendingBytes: 0,
    write: (chunks: readonly Buffer[]) => {
      written.push(...chunks.map((chunk) => Buffer.from(chunk)));
      return true;
    },
    end: () => {},
    destroy: () => {},
  };
  const connection = new ClientConnection(pipe, {
    clock,
    limits: DEFAULT_LIMITS,
    pool: new SlabPool(),
    turn: new Turn(),
    deadlines: new Deadlines(clock),
    keepaliveIntervalMs: undefined,
    keepaliveTimeoutMs: 1000,
    receiveBytesMax: 1000,
    authority: 'x',
    scheme: 'http',
    ready: () => {},
    retired: () => retired++,
    vacated: () => {},
    gone: () => {},
  });
  connection.begin();
  connection.bytesArrived(rawFrame(TYPE.settings, 0, 0));
  // Two thousand million calls later.
  Reflect.set(connection, 'nextStream', WINDOW_MAX - 2);
  const sink = { headersArrived() {}, messageArrived() {}, drainArrived() {}, statusArrived() {} };
  const ids: number[] = [];
  while (connection.vacant) ids.push(connection.open('/a/B', new Metadata(), undefined, sink).id);
  expect(ids).toEqual([WINDOW_MAX - 2, WINDOW_MAX]);
  expect(retired).toBe(1);
  connection.flush();
  expect(Buffer.concat(written).includes(u32(WINDOW_MAX))).toBe(true);
  connection.closed('the end');
});
