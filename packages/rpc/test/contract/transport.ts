/**
 * What every transport owes its users, as one suite: run it on each implementation. Only loopback, no
 * fixed ports, no sleeps.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  Metadata,
  RpcError,
  StatusCode,
  type CallHooks,
  type CallOutcome,
  type Channel,
  type ClientStream,
  type MethodTable,
} from '@keelson/rpc';
import { Echo, Missing, ServerSide, echoTable } from './service.ts';

/** One server with one channel to it. */
export interface Rig {
  readonly channel: Channel;
  close(): Promise<void>;
}

export interface RigOptions {
  readonly maxReceiveBytes: number;
  readonly hooks: CallHooks;
}

export const MAX_RECEIVE_BYTES = 100_000;

async function failure(promise: Promise<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(RpcError);
    if (error instanceof RpcError) return error;
  }
  throw new Error('the call did not fail');
}

/** Every message and the end of a stream. */
function collected(stream: Pick<ClientStream<string, string>, 'onMessage' | 'onEnd'>): Promise<{
  messages: string[];
  error: RpcError | undefined;
}> {
  return new Promise((resolve) => {
    const messages: string[] = [];
    stream.onMessage((message) => messages.push(message));
    stream.onEnd((error) => resolve({ messages, error }));
  });
}

export function transportContract(
  name: string,
  open: (table: MethodTable, options: RigOptions) => Promise<Rig>,
): void {
  describe(`transport contract: ${name}`, () => {
    let seen: ServerSide;
    let rig: Rig;
    let channel: Channel;
    let outcomes: [string, CallOutcome][];
    let unexpected: unknown[];
    let bytes: { received: number; sent: number };

    beforeEach(async () => {
      seen = new ServerSide();
      outcomes = [];
      unexpected = [];
      bytes = { received: 0, sent: 0 };
      rig = await open(echoTable(seen), {
        maxReceiveBytes: MAX_RECEIVE_BYTES,
        hooks: {
          before(call) {
            if (call.metadata.text('token') === 'none') throw new Missing('a token');
            if (call.metadata.text('token') === 'bad') {
              throw new RpcError(StatusCode.Unauthenticated, 'etcdserver: invalid auth token');
            }
            call.attachment = 'someone';
          },
          after: (call, outcome) => outcomes.push([call.path, outcome]),
          received: (_call, count) => (bytes.received += count),
          sent: (_call, count) => (bytes.sent += count),
          unexpected: (_call, error) => unexpected.push(error),
        },
      });
      channel = rig.channel;
    });

    afterEach(() => rig.close());

    test('an error of the domain leaves as the table says, from handlers, listeners and hooks', async () => {
      const missing = (what: string): object => ({
        code: StatusCode.NotFound,
        message: `${what} is missing`,
      });
      expect(await failure(channel.unary(Echo.unary, 'miss it'))).toMatchObject(missing('it'));
      const metadata = Metadata.of({ token: 'none' });
      expect(await failure(channel.unary(Echo.unary, 'echo', { metadata }))).toMatchObject(
        missing('a token'),
      );
      const counted = await collected(channel.serverStream(Echo.counted, '1 2 miss'));
      expect(counted.error).toMatchObject(missing('that'));
      const chat = channel.bidi(Echo.chat);
      const heard = collected(chat);
      chat.write('miss');
      expect((await heard).error).toMatchObject(missing('this'));
      expect(unexpected).toEqual([]);
    });

    test('a unary call answers, and the hooks saw it', async () => {
      expect(await channel.unary(Echo.unary, 'echo hello')).toBe('hello');
      expect(seen.attachment).toBe('someone');
      expect(outcomes).toHaveLength(1);
      expect(outcomes[0]?.[0]).toBe('/test.Echo/Unary');
      expect(outcomes[0]?.[1]).toMatchObject({
        code: 0,
        receivedCount: 1,
        receivedBytes: 10,
        sentCount: 1,
        sentBytes: 5,
      });
      expect(outcomes[0]?.[1].durationMs).toBeGreaterThanOrEqual(0);
      expect(bytes).toEqual({ received: 10, sent: 5 });
    });

    test('an empty message is a message', async () => {
      expect(await channel.unary(Echo.unary, 'echo ')).toBe('');
    });

    test.each([
      ['an RpcError arrives as it is', 'fail', StatusCode.FailedPrecondition, 'étcd: 100% not ready\n'],
      ['any other error becomes Unknown with its text', 'throw', StatusCode.Unknown, 'a bug of the handler'],
      [
        'a request that does not decode',
        'garbage',
        StatusCode.Internal,
        'grpc: error unmarshalling request: proto: illegal wireType 7',
      ],
      [
        'a response that does not encode',
        'unencodable',
        StatusCode.Internal,
        'grpc: error while marshaling: string field contains invalid UTF-8',
      ],
    ])('unary failure: %s', async (_name, request, code, details) => {
      const wire = request === 'unencodable' ? 'unencodable now' : request;
      const error = await failure(channel.unary(Echo.unary, wire));
      expect([error.code, error.message, error.unsent]).toEqual([code, details, false]);
      expect(outcomes.map(([, outcome]) => outcome.code)).toEqual([code]);
    });

    test('what is no RpcError is reported, an RpcError is not', async () => {
      await failure(channel.unary(Echo.unary, 'fail'));
      expect(unexpected).toEqual([]);
      await failure(channel.unary(Echo.unary, 'throw'));
      expect(unexpected).toHaveLength(1);
    });

    test("an error's metadata arrives as trailers", async () => {
      const error = await failure(channel.unary(Echo.unary, 'fail'));
      expect(error.metadata?.text('why')).toBe('test');
    });

    test('metadata goes there, headers and trailers come back', async () => {
      const metadata = Metadata.of({ token: 'abc' });
      metadata.add('many', '1');
      metadata.add('Many', '2');
      let headers: Metadata | undefined;
      let trailers: Metadata | undefined;
      const answer = await channel.unary(Echo.unary, 'headers', {
        metadata,
        onHeaders: (received) => (headers = received),
        onTrailers: (received) => (trailers = received),
      });
      expect(answer).toMatch(/^abc\|1,? ?2\|true$/);
      expect(headers?.text('x-header')).toBe('h');
      expect(trailers?.text('x-trailer')).toBe('t');
      expect(trailers?.first('x-bin')).toEqual(Buffer.from([0, 255]));
    });

    test('the before hook refuses a call before its handler runs', async () => {
      const error = await failure(
        channel.unary(Echo.unary, 'echo x', { metadata: Metadata.of({ token: 'bad' }) }),
      );
      expect([error.code, error.message]).toEqual([
        StatusCode.Unauthenticated,
        'etcdserver: invalid auth token',
      ]);
      expect(seen.deadlines).toEqual([]);
      expect(outcomes.map(([, outcome]) => outcome.code)).toEqual([StatusCode.Unauthenticated]);
    });

    test.each([
      ['method', Echo.missing],
      ['service', Echo.otherService],
    ])('an unknown %s is Unimplemented', async (_name, descriptor) => {
      expect((await failure(channel.unary(descriptor, 'x'))).code).toBe(StatusCode.Unimplemented);
    });

    test('a request above the limit is refused by its size, and the next call works', async () => {
      const request = `echo ${'x'.repeat(MAX_RECEIVE_BYTES)}`;
      const error = await failure(channel.unary(Echo.unary, request));
      expect([error.code, error.message]).toEqual([
        StatusCode.ResourceExhausted,
        `grpc: received message larger than max (${request.length} vs. ${MAX_RECEIVE_BYTES})`,
      ]);
      expect(await channel.unary(Echo.unary, 'echo x')).toBe('x');
    });

    test('messages of megabytes come back whole', async () => {
      expect((await channel.unary(Echo.unary, 'size 5000000')).length).toBe(5_000_000);
      const most = 'y'.repeat(MAX_RECEIVE_BYTES - 5);
      expect(await channel.unary(Echo.unary, `echo ${most}`)).toBe(most);
    });

    test('a deadline ends the call on both sides', async () => {
      const cancelled = seen.next('cancelled');
      // On a busy machine a short one passes before the call is there: then the next has more time.
      for (let timeoutMs = 300; seen.deadlines.length === 0; timeoutMs *= 2) {
        const error = await failure(channel.unary(Echo.unary, 'hang', { timeoutMs }));
        expect([error.code, error.message]).toEqual([
          StatusCode.DeadlineExceeded,
          'context deadline exceeded',
        ]);
      }
      await cancelled;
      expect(seen.deadlines[0]).toBeGreaterThan(0);
      // A client that gives up resets the stream: the server may see that first.
      expect([StatusCode.DeadlineExceeded, StatusCode.Cancelled]).toContain(seen.cancelled[0]);
      expect(outcomes).toHaveLength(seen.cancelled.length);
    });

    test('a call without deadline has none', async () => {
      await channel.unary(Echo.unary, 'echo x');
      expect(seen.deadlines).toEqual([undefined]);
    });

    test('aborting cancels the call on both sides', async () => {
      const controller = new AbortController();
      const called = seen.next('called');
      const outcome = failure(channel.unary(Echo.unary, 'hang', { signal: controller.signal }));
      await called;
      const cancelled = seen.next('cancelled');
      controller.abort();
      const error = await outcome;
      expect([error.code, error.message]).toEqual([StatusCode.Cancelled, 'context canceled']);
      await cancelled;
      expect(seen.cancelled).toEqual([StatusCode.Cancelled]);
    });

    test('a signal that is aborted already sends nothing', async () => {
      const error = await failure(channel.unary(Echo.unary, 'echo x', { signal: AbortSignal.abort() }));
      expect([error.code, error.unsent]).toEqual([StatusCode.Cancelled, true]);
      expect(seen.deadlines).toEqual([]);
    });

    test('a server stream delivers all in order and ends', async () => {
      const { messages, error } = await collected(channel.serverStream(Echo.counted, '1000 10'));
      expect(error).toBeUndefined();
      expect(messages).toHaveLength(1000);
      expect(messages.every((message, i) => message === `${i}`.padEnd(10, '.'))).toBe(true);
    });

    test('a server stream of nothing ends with OK', async () => {
      expect(await collected(channel.serverStream(Echo.counted, '0 1'))).toEqual({
        messages: [],
        error: undefined,
      });
    });

    test('a server stream ends with its error', async () => {
      const { error } = await collected(channel.serverStream(Echo.counted, '1 1 fail'));
      expect([error?.code, error?.message]).toEqual([StatusCode.OutOfRange, 'enough']);
    });

    test('a slow reader stops the writer, and gets everything in the end', async () => {
      const count = 2000;
      const stream = channel.serverStream(Echo.counted, `${count} 4096`);
      const firstPause = seen.next('written');
      const messages: string[] = [];
      const ended = new Promise<RpcError | undefined>((resolve) => stream.onEnd(resolve));
      const firstMessage = new Promise<void>((resolve) => {
        stream.onMessage((message) => {
          messages.push(message);
          if (messages.length === 1) stream.pause();
          resolve();
        });
      });
      await Promise.all([firstMessage, firstPause]);
      // Whatever the windows on the way hold: far from all of the 8 MB.
      expect(seen.writtenAtFirstPause).toBeLessThan(200);
      expect(messages.length).toBeLessThan(10);
      stream.resume();
      expect(await ended).toBeUndefined();
      expect(messages).toHaveLength(count);
    });

    test('a stream can be iterated, at the reader’s pace', async () => {
      const got: string[] = [];
      for await (const message of channel.serverStream(Echo.counted, '300 1000')) got.push(message);
      expect(got).toHaveLength(300);
      expect(got[299]?.startsWith('299.')).toBe(true);
    });

    test('leaving the iteration cancels the stream; its error is thrown', async () => {
      const cancelled = seen.next('cancelled');
      for await (const message of channel.serverStream(Echo.counted, '100000 1000')) {
        expect(message.startsWith('0.')).toBe(true);
        break;
      }
      await cancelled;
      await expect(async () => {
        for await (const _message of channel.serverStream(Echo.counted, '0 1 fail'))
          expect(_message).toBe('');
      }).rejects.toMatchObject({ code: StatusCode.OutOfRange });
    });

    test('10,000 messages echo in order over one bidirectional call, with back-pressure heeded', async () => {
      const stream = channel.bidi(Echo.chat);
      const outcome = collected(stream);
      for (let i = 0; i < 10_000; i++) {
        if (!stream.write(`message ${i}`)) await stream.ready();
      }
      stream.end();
      expect(stream.closed).toBe(true);
      const { messages, error } = await outcome;
      expect(error).toBeUndefined();
      expect(messages).toHaveLength(10_001);
      expect(messages.slice(0, -1).every((message, i) => message === `message ${i}`)).toBe(true);
      expect(messages.at(-1)).toBe('end');
    });

    test('half-closing without a message still reaches the server', async () => {
      const stream = channel.bidi(Echo.chat);
      const outcome = collected(stream);
      stream.end();
      stream.end();
      expect(await outcome).toEqual({ messages: ['end'], error: undefined });
    });

    test.each([
      ['by its handler', 'bye', StatusCode.Aborted, 'bye'],
      ['by a listener that throws', 'explode', StatusCode.Unknown, 'a bug of a listener'],
      [
        'by a message that does not decode',
        'garbage',
        StatusCode.Internal,
        'grpc: failed to unmarshal the received message: proto: illegal wireType 7',
      ],
    ])('a bidirectional call fails %s', async (_name, message, code, details) => {
      const stream = channel.bidi(Echo.chat);
      const outcome = collected(stream);
      stream.write(message);
      const { error } = await outcome;
      expect([error?.code, error?.message]).toEqual([code, details]);
      expect(stream.write('after the end')).toBe(false);
      await stream.ready();
    });

    test('cancelling a bidirectional call reaches the server; onEnd comes once', async () => {
      const stream = channel.bidi(Echo.chat);
      const called = seen.next('called');
      let ends = 0;
      const ended = new Promise<RpcError | undefined>((resolve) => {
        stream.onEnd((error) => {
          ends++;
          resolve(error);
        });
      });
      stream.write('x');
      await called;
      const cancelled = seen.next('cancelled');
      stream.cancel();
      stream.cancel();
      expect((await ended)?.code).toBe(StatusCode.Cancelled);
      await cancelled;
      expect(ends).toBe(1);
    });

    test('a server that reads nothing still learns of the cancellation', async () => {
      seen.deaf = true;
      const stream = channel.bidi(Echo.chat);
      const called = seen.next('called');
      for (let i = 0; i < 50; i++) stream.write(`${i}`.padEnd(4096));
      await called;
      const cancelled = seen.next('cancelled');
      stream.cancel();
      await cancelled;
      expect(seen.cancelled).toEqual([StatusCode.Cancelled]);
    });

    test('a response that does not decode fails the call on this side', async () => {
      const error = await failure(channel.unary(Echo.unary, 'echo garbage'));
      expect([error.code, error.message]).toEqual([
        StatusCode.Internal,
        'grpc: failed to unmarshal the received message: proto: illegal wireType 7',
      ]);
    });

    test('closing the channel cancels what runs and refuses what comes', async () => {
      const called = seen.next('called');
      const running = failure(channel.unary(Echo.unary, 'hang'));
      await called;
      const cancelled = seen.next('cancelled');
      channel.close();
      expect((await running).code).toBe(StatusCode.Cancelled);
      await cancelled;
      const refused = await failure(channel.unary(Echo.unary, 'echo x'));
      expect([refused.code, refused.unsent]).toEqual([StatusCode.Unavailable, true]);
      expect(channel.state).toBe('closed');
      expect((await failure(channel.connect(1000))).unsent).toBe(true);
    });

    test('many calls at once keep apart', async () => {
      const answers = await Promise.all(
        Array.from({ length: 500 }, (_unused, i) => channel.unary(Echo.unary, `echo ${i}`)),
      );
      expect(answers).toEqual(Array.from({ length: 500 }, (_unused, i) => `${i}`));
    });
  });
}
