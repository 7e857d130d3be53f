/**
 * What RFC 9113 and gRPC demand of a client, and what a channel makes of servers that go away, refuse, allow few
 * streams or break rules: a server of single frames on the other side.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { RpcError, StatusCode, nativeChannel, type Channel, type ClientStream } from '@keelson/rpc';
import { Echo } from './contract/service.ts';
import { fields, message } from './raw-client.ts';
import { TYPE, rawFrame } from './raw-frames.ts';
import { RawServer, type RawPeer } from './raw-server.ts';

const END_STREAM = 1;
const END_HEADERS = 4;
const MAX_STREAMS = 3;
const CANCEL = 8;
const FLOW_CONTROL = 3;

let server: RawServer;
let channel: Channel;

afterEach(() => {
  channel.close();
  server.close();
});

/** A channel connected to a server that said these settings. */
async function connected(...settings: (readonly [number, number])[]): Promise<RawPeer> {
  server = await RawServer.listen();
  channel = nativeChannel(`127.0.0.1:${server.port}`, { minBackoffMs: 1, maxBackoffMs: 10 });
  const ready = channel.connect(5000);
  const peer = await server.peer(0);
  peer.settings(...settings);
  await ready;
  return peer;
}

type Settled = { readonly value: string } | { readonly error: RpcError };

async function settle(promise: Promise<string>): Promise<Settled> {
  try {
    return { value: await promise };
  } catch (error) {
    if (error instanceof RpcError) return { error };
    throw error;
  }
}

function errorOf(settled: Settled): RpcError {
  if ('error' in settled) return settled.error;
  throw new Error(`the call did not fail: ${settled.value}`);
}

function endOf(stream: ClientStream<string, string>): Promise<RpcError | undefined> {
  return new Promise((resolve) => {
    stream.onMessage(() => {});
    stream.onEnd(resolve);
  });
}

describe('few streams allowed', () => {
  test('calls wait their turn, in order, and start as others end', async () => {
    const peer = await connected([MAX_STREAMS, 2]);
    const calls = ['a', 'b', 'c', 'd', 'e'].map((text) => channel.unary(Echo.unary, `echo ${text}`));
    expect(await peer.opened(2)).toEqual([1, 3]);
    peer.send(rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8, 1)));
    await peer.find(({ type, payload }) => type === TYPE.ping && payload[0] === 1);
    expect(peer.streams).toEqual([1, 3]);
    peer.answer(3, 'b');
    expect(await peer.opened(3)).toEqual([1, 3, 5]);
    peer.reset(1, CANCEL);
    expect(await peer.opened(4)).toEqual([1, 3, 5, 7]);
    peer.answer(5, 'c');
    peer.answer(7, 'd');
    expect(await peer.opened(5)).toEqual([1, 3, 5, 7, 9]);
    peer.answer(9, 'e');
    const settled = await Promise.all(calls.map(settle));
    expect(errorOf(settled[0]).code).toBe(StatusCode.Cancelled);
    expect(settled.slice(1)).toEqual(['b', 'c', 'd', 'e'].map((value) => ({ value })));
    // The messages of those who waited are theirs.
    const sent = peer.frames
      .filter(({ type }) => type === TYPE.data)
      .map(({ payload }) => payload.toString('latin1', 5));
    expect(sent.filter((text) => text !== '')).toEqual(['echo a', 'echo b', 'echo c', 'echo d', 'echo e']);
  });

  test('who gives up while waiting sent nothing', async () => {
    const peer = await connected([MAX_STREAMS, 1]);
    const first = channel.unary(Echo.unary, 'echo a');
    await peer.opened(1);
    const late = errorOf(await settle(channel.unary(Echo.unary, 'echo b', { timeoutMs: 20 })));
    expect([late.code, late.message, late.unsent]).toEqual([
      StatusCode.DeadlineExceeded,
      'context deadline exceeded',
      true,
    ]);
    const abort = new AbortController();
    const aborted = settle(channel.unary(Echo.unary, 'echo c', { signal: abort.signal }));
    abort.abort();
    expect(errorOf(await aborted)).toMatchObject({ code: StatusCode.Cancelled, unsent: true });
    peer.answer(1, 'a');
    expect(await first).toBe('a');
    expect(peer.streams).toEqual([1]);
  });

  test('none allowed now: they wait until some are', async () => {
    const peer = await connected([MAX_STREAMS, 0]);
    const call = channel.unary(Echo.unary, 'echo a');
    peer.send(rawFrame(TYPE.ping, 0, 0, Buffer.alloc(8, 2)));
    await peer.find(({ type }) => type === TYPE.ping);
    expect(peer.streams).toEqual([]);
    peer.settings([MAX_STREAMS, 1]);
    await peer.opened(1);
    peer.answer(1, 'a');
    expect(await call).toBe('a');
  });
});

describe('GOAWAY', () => {
  test('calls it covers go on, others fail, new ones go to a new connection', async () => {
    const peer = await connected();
    const covered = channel.unary(Echo.unary, 'echo a');
    await peer.opened(1);
    const refused = settle(channel.unary(Echo.unary, 'echo b'));
    await peer.opened(2);
    peer.goaway(1);
    const error = errorOf(await refused);
    // Its bytes left: who may repeat it is for the caller to know.
    expect([error.code, error.message, error.unsent]).toEqual([
      StatusCode.Unavailable,
      'the server goes away (NO_ERROR)',
      false,
    ]);
    const later = channel.unary(Echo.unary, 'echo c');
    const next = await server.peer(1);
    next.settings();
    await next.opened(1);
    expect(peer.streams).toEqual([1, 3]);
    next.answer(1, 'c');
    expect(await later).toBe('c');
    peer.answer(1, 'a');
    expect(await covered).toBe('a');
    await peer.gone();
    expect(next.closed).toBe(false);
  });

  test('in the middle of an answer: the rest of it arrives', async () => {
    const peer = await connected();
    const stream = channel.bidi(Echo.chat);
    const got: string[] = [];
    const ended = new Promise<RpcError | undefined>((resolve) => {
      stream.onMessage((text) => got.push(text));
      stream.onEnd(resolve);
    });
    stream.write('hello');
    await peer.opened(1);
    peer.open(1);
    peer.send(rawFrame(TYPE.data, 0, 1, message('one')));
    peer.goaway(2 ** 31 - 1);
    peer.goaway(1);
    peer.send(rawFrame(TYPE.data, 0, 1, message('two')));
    // We may still write, too.
    stream.write('more');
    await peer.find(({ type, payload }) => type === TYPE.data && payload.toString('latin1', 5) === 'more');
    stream.end();
    await peer.find(({ type, flags }) => type === TYPE.data && (flags & END_STREAM) !== 0);
    peer.finish(1);
    expect(await ended).toBeUndefined();
    expect(got).toEqual(['one', 'two']);
    await peer.gone();
  });

  test('for an error: what was going on fails with it', async () => {
    const peer = await connected();
    const call = settle(channel.unary(Echo.unary, 'echo a'));
    await peer.opened(1);
    peer.goaway(0, 11);
    const error = errorOf(await call);
    expect(error.code).toBe(StatusCode.Unavailable);
    expect(error.message).toContain('ENHANCE_YOUR_CALM');
  });

  test('of calls that wait for a stream nothing is lost', async () => {
    const peer = await connected([MAX_STREAMS, 1]);
    const first = channel.unary(Echo.unary, 'echo a');
    await peer.opened(1);
    const second = channel.unary(Echo.unary, 'echo b');
    peer.goaway(1);
    const next = await server.peer(1);
    next.settings();
    await next.opened(1);
    next.answer(1, 'b');
    expect(await second).toBe('b');
    peer.answer(1, 'a');
    expect(await first).toBe('a');
  });
});

describe('half-closed', () => {
  test('an answer before we said all: what we still say is not sent', async () => {
    const peer = await connected();
    const stream = channel.bidi(Echo.chat);
    const ended = endOf(stream);
    stream.write('one');
    await peer.opened(1);
    peer.open(1);
    peer.finish(1);
    peer.reset(1, 0);
    expect(await ended).toBeUndefined();
    expect(stream.write('two')).toBe(false);
    // The connection is as good as before.
    const call = channel.unary(Echo.unary, 'echo b');
    await peer.opened(2);
    peer.answer(3, 'b');
    expect(await call).toBe('b');
    expect(peer.frames.some(({ payload }) => payload.toString('latin1').includes('two'))).toBe(false);
  });

  test('we said all: the server may go on for as long as it likes', async () => {
    const peer = await connected();
    const stream = channel.bidi(Echo.chat);
    const got: string[] = [];
    const ended = new Promise<RpcError | undefined>((resolve) => {
      stream.onMessage((text) => got.push(text));
      stream.onEnd(resolve);
    });
    stream.write('one');
    stream.end();
    await peer.find(({ type, flags }) => type === TYPE.data && (flags & END_STREAM) !== 0);
    peer.open(1);
    for (let i = 0; i < 20; i++) peer.send(rawFrame(TYPE.data, 0, 1, message(`m${i}`)));
    peer.finish(1);
    expect(await ended).toBeUndefined();
    expect(got).toHaveLength(20);
    // The stream ended on both sides: no reset is owed.
    const call = channel.unary(Echo.unary, 'echo b');
    await peer.opened(2);
    peer.answer(3, 'b');
    await call;
    expect(peer.frames.filter(({ type }) => type === TYPE.reset)).toEqual([]);
  });

  test('a status without messages is the answer to a call that is still being written', async () => {
    const peer = await connected();
    const stream = channel.bidi(Echo.chat);
    const ended = endOf(stream);
    stream.write('one');
    await peer.opened(1);
    const block = fields(
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['grpc-status', '7'],
      ['grpc-message', 'no'],
    );
    peer.send(rawFrame(TYPE.headers, END_HEADERS | END_STREAM, 1, block));
    expect(await ended).toMatchObject({ code: StatusCode.PermissionDenied, message: 'no' });
    // We had not ended: the server learns that no more comes.
    expect((await peer.find(({ type }) => type === TYPE.reset))?.stream).toBe(1);
  });
});

describe('what a server may not do', () => {
  test.each<[string, (peer: RawPeer) => void, StatusCode, string]>([
    [
      '5.1 DATA before HEADERS',
      (peer) => peer.send(rawFrame(TYPE.data, END_STREAM, 1, message('x'))),
      StatusCode.Internal,
      'DATA before HEADERS',
    ],
    [
      '8.1 no status',
      (peer) =>
        peer.send(rawFrame(TYPE.headers, END_HEADERS, 1, fields(['content-type', 'application/grpc']))),
      StatusCode.Internal,
      'a response without :status',
    ],
    [
      '8.1 trailers that do not end',
      (peer) => {
        peer.open(1);
        peer.send(rawFrame(TYPE.headers, END_HEADERS, 1, fields(['grpc-status', '0'])));
      },
      StatusCode.Internal,
      'trailers that do not end the stream',
    ],
    [
      '8.2 a name in upper case',
      (peer) => peer.send(rawFrame(TYPE.headers, END_HEADERS, 1, fields([':status', '200'], ['X', 'y']))),
      StatusCode.Internal,
      'RST_STREAM with error code: PROTOCOL_ERROR',
    ],
    [
      '8.4 a promise',
      (peer) => peer.send(rawFrame(TYPE.push, END_HEADERS, 1, Buffer.alloc(4))),
      StatusCode.Unavailable,
      'PUSH_PROMISE',
    ],
    [
      '6.4 a reset of a stream nobody opened',
      (peer) => peer.reset(99, 0),
      StatusCode.Unavailable,
      'RST_STREAM on an idle stream',
    ],
    [
      'an answer that is no gRPC',
      (peer) =>
        peer.send(
          rawFrame(
            TYPE.headers,
            END_HEADERS | END_STREAM,
            1,
            fields([':status', '502'], ['content-type', 'text/html']),
          ),
        ),
      StatusCode.Unavailable,
      '502',
    ],
    ['a refused stream', (peer) => peer.reset(1, 7), StatusCode.Unavailable, 'REFUSED_STREAM'],
    [
      'two answers to one request',
      (peer) => {
        peer.open(1);
        peer.send(rawFrame(TYPE.data, 0, 1, message('a')), rawFrame(TYPE.data, 0, 1, message('b')));
        peer.finish(1);
      },
      StatusCode.Internal,
      '2 responses to the unary call',
    ],
    [
      'none',
      (peer) => {
        peer.open(1);
        peer.finish(1);
      },
      StatusCode.Internal,
      '0 responses to the unary call',
    ],
    [
      'a torn message',
      (peer) => {
        peer.open(1);
        peer.send(rawFrame(TYPE.data, 0, 1, message('abc').subarray(0, 6)));
        peer.finish(1);
      },
      StatusCode.Internal,
      'unexpected EOF',
    ],
  ])('%s', async (_name, act, code, text) => {
    const peer = await connected();
    const call = settle(channel.unary(Echo.unary, 'echo a'));
    await peer.opened(1);
    act(peer);
    const error = errorOf(await call);
    expect(error.message).toContain(text);
    expect(error.code).toBe(code);
    expect(error.unsent).toBe(false);
  });

  test('6.9 more than the window of a stream that nobody reads', async () => {
    const peer = await connected();
    const stream = channel.bidi(Echo.chat);
    const ended = new Promise<RpcError | undefined>((resolve) => stream.onEnd(resolve));
    stream.write('one');
    await peer.opened(1);
    peer.open(1);
    const piece = message('x'.repeat(16_000));
    for (let i = 0; i < 20; i++) peer.send(rawFrame(TYPE.data, 0, 1, piece));
    const reset = await peer.find(({ type }) => type === TYPE.reset);
    expect(reset?.payload.readUInt32BE(0)).toBe(FLOW_CONTROL);
    expect(await ended).toMatchObject({ code: StatusCode.Internal });
    expect(channel.state).toBe('ready');
  });

  test('6.9.2 a window that the server lowers and lifts again loses nothing', async () => {
    const peer = await connected([4, 10]);
    const call = channel.unary(Echo.unary, `echo ${'x'.repeat(50)}`);
    await peer.opened(1);
    peer.settings([4, 0]);
    peer.settings([4, 1000]);
    await peer.find(({ type, flags }) => type === TYPE.data && (flags & END_STREAM) !== 0);
    const sent = Buffer.concat(
      peer.frames.filter(({ type }) => type === TYPE.data).map(({ payload }) => payload),
    );
    expect(sent).toEqual(message(`echo ${'x'.repeat(50)}`));
    peer.answer(1, 'x');
    expect(await call).toBe('x');
  });
});
