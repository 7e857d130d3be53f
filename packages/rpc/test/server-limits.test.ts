/**
 * Bounds that a server may be given beyond the RFC, and calls whose two directions end at different times: what
 * the other side sees of it, frame by frame.
 */
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  MethodTable,
  STRICT_RESETS,
  nativeServer,
  type NativeServerOptions,
  type RpcServer,
} from '@keelson/rpc';
import { Deadlines } from '../src/deadlines.ts';
import { dispatcher } from '../src/dispatch.ts';
import { DEFAULT_LIMITS } from '../src/limits.ts';
import { SlabPool } from '../src/out-buffer.ts';
import { ServerConnection } from '../src/server-connection.ts';
import { Turn } from '../src/turn.ts';
import { Echo, ServerSide, echoTable } from './contract/service.ts';
import { ManualClock } from './fuzz/rig.ts';
import { RawClient, message, requestFields } from './raw-client.ts';
import { PREFACE, TYPE, rawFrame, u32 } from './raw-frames.ts';

const END_STREAM = 1;
const END_HEADERS = 4;
const BOTH = END_STREAM | END_HEADERS;
const CANCEL = 8;
const CALM = 11;

const seen = new ServerSide();
const open: (RpcServer | RawClient)[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

async function connect(options: NativeServerOptions = {}): Promise<RawClient> {
  const server = nativeServer(echoTable(seen), options);
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const client = await RawClient.open(port);
  open.push(server, client);
  return client;
}

const headers = (stream: number, flags = END_HEADERS, path = '/test.Echo/Unary'): Buffer =>
  rawFrame(TYPE.headers, flags, stream, requestFields({ ':path': path }));
const data = (stream: number, flags: number, text: string): Buffer =>
  rawFrame(TYPE.data, flags, stream, message(text));
const cancelled = (stream: number): Buffer[] => [
  headers(stream),
  data(stream, END_STREAM, 'hang'),
  rawFrame(TYPE.reset, 0, stream, u32(CANCEL)),
];

/** An answer comes: the connection lives. */
async function alive(client: RawClient, stream: number): Promise<boolean> {
  client.send(headers(stream), data(stream, END_STREAM, 'echo x'));
  const frame = await client.find((each) => each.stream === stream && each.type === TYPE.data);
  return frame?.payload.equals(message('x')) ?? false;
}

describe('strict resets', () => {
  const { burst } = STRICT_RESETS;
  // Its refill is slow against the burst; the test takes no second.
  test.each([
    ['one less than the burst', burst - 1, true],
    ['the burst', burst, true],
    ['well over it', burst + 60, false],
  ])('%s', async (_name, count, lives) => {
    const client = await connect({ limits: { resets: STRICT_RESETS } });
    for (let i = 0; i < count; i++) client.send(...cancelled(2 * i + 1));
    if (lives) {
      expect(await alive(client, 2 * count + 1)).toBe(true);
    } else {
      expect(await client.goaway()).toBe(CALM);
      const goaway = client.frames.find(({ type }) => type === TYPE.goaway);
      expect(goaway?.payload.toString('latin1', 8)).toBe('too_many_resets');
    }
  });

  test('are not asked of clients unless said', async () => {
    const client = await connect();
    for (let i = 0; i < 1000; i++) client.send(...cancelled(2 * i + 1));
    expect(await alive(client, 2001)).toBe(true);
  });
});

describe('as many streams as allowed', () => {
  test.each([
    ['the last one', 2, true],
    ['one more', 3, false],
  ])('%s', async (_name, running, served) => {
    const client = await connect({ maxConcurrentStreams: 3 });
    const allowed = await client.find(({ type, flags }) => type === TYPE.settings && flags === 0);
    expect(allowed?.payload.readUInt16BE(0)).toBe(3);
    expect(allowed?.payload.readUInt32BE(2)).toBe(3);
    for (let i = 0; i < running; i++) client.send(headers(2 * i + 1), data(2 * i + 1, END_STREAM, 'hang'));
    if (served) expect(await alive(client, 2 * running + 1)).toBe(true);
    else {
      client.send(headers(2 * running + 1), data(2 * running + 1, END_STREAM, 'echo x'));
      expect(await client.reset(2 * running + 1)).toBe(7);
    }
  });
});

test('a bomb that nobody reads stays as small as it came', () => {
  const clock = new ManualClock();
  const table = new MethodTable().bidi(Echo.chat, (stream) => {
    stream.onMessage(() => {});
    stream.pause();
  });
  const pipe = {
    peer: 'test',
    peerCertificate: undefined,
    pendingBytes: 0,
    write: () => true,
    end: () => {},
    destroy: () => {},
  };
  const connection = new ServerConnection(pipe, {
    clock,
    limits: DEFAULT_LIMITS,
    pool: new SlabPool(),
    turn: new Turn(),
    deadlines: new Deadlines(clock),
    keepaliveIntervalMs: undefined,
    keepaliveTimeoutMs: 1000,
    receiveBytesMax: 2_000_000,
    streamsMax: undefined,
    accept: dispatcher(table, undefined, clock),
    gone: () => {},
  });
  const bomb = gzipSync(Buffer.alloc(1_900_000));
  const prefix = Buffer.concat([Buffer.from([1]), u32(bomb.length)]);
  const block = requestFields({ ':path': '/test.Echo/Chat' }, ['grpc-encoding', 'gzip']);
  connection.bytesArrived(
    Buffer.concat([PREFACE, rawFrame(TYPE.settings, 0, 0), rawFrame(TYPE.headers, END_HEADERS, 1, block)]),
  );
  for (let i = 0; i < 100; i++)
    connection.bytesArrived(rawFrame(TYPE.data, 0, 1, Buffer.concat([prefix, bomb])));
  expect(connection.heldBytes).toBe(100 * bomb.length);
  connection.closed('the end');
});

describe('half-closed', () => {
  test('the client said all: answers go on until the server ends', async () => {
    const client = await connect();
    client.send(headers(1, END_HEADERS, '/test.Echo/Counted'), data(1, END_STREAM, '3'));
    const last = await client.find(
      ({ stream, type, flags }) => stream === 1 && type === TYPE.headers && (flags & END_STREAM) !== 0,
    );
    expect(last).toBeDefined();
    expect(
      client.frames.filter(({ stream, type }) => stream === 1 && type === TYPE.data).length,
    ).toBeGreaterThan(0);
    // Both sides ended: there is nothing to reset.
    expect(await alive(client, 3)).toBe(true);
    expect(client.frames.filter(({ type }) => type === TYPE.reset)).toEqual([]);
  });

  test('the server said all first: the stream is reset with NO_ERROR, and what still comes is dropped', async () => {
    const client = await connect();
    client.send(headers(1, END_HEADERS, '/test.Echo/Missing'));
    expect(await client.reset(1)).toBe(0);
    client.send(data(1, 0, 'late'), data(1, END_STREAM, 'and later'));
    expect(await alive(client, 3)).toBe(true);
    expect(client.frames.filter(({ type }) => type === TYPE.goaway)).toEqual([]);
  });

  test('a stream that both ended is closed: DATA on it is an error', async () => {
    const client = await connect();
    expect(await alive(client, 1)).toBe(true);
    await client.find(
      ({ stream, flags, type }) => stream === 1 && type === TYPE.headers && (flags & END_STREAM) !== 0,
    );
    client.send(data(1, END_STREAM, 'more'));
    expect(await client.reset(1)).toBe(5);
    expect(await alive(client, 3)).toBe(true);
  });

  test('a stream the client reset is closed: what it still sends on it is an error', async () => {
    const client = await connect();
    client.send(...cancelled(1), data(1, 0, 'more'));
    expect(await client.reset(1)).toBe(5);
    expect(await alive(client, 3)).toBe(true);
    client.send(...cancelled(5), headers(5, BOTH));
    expect(await client.goaway()).toBe(5);
  });

  test('a client that ends without a message has called nothing', async () => {
    const client = await connect();
    client.send(headers(1, BOTH));
    const end = await client.find(({ stream, type }) => stream === 1 && type === TYPE.headers);
    expect(end?.flags).toBe(BOTH);
  });
});
