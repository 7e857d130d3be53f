/** A server's connection under test: a client says anything; in the end a good call must still be answered. */
import { MethodTable, Metadata, RpcError, StatusCode } from '../../src/index.ts';
import type { Prng } from '@keelson/base';
import { dispatcher } from '../../src/dispatch.ts';
import { HeaderDecoder } from '../../src/hpack.ts';
import { ServerConnection } from '../../src/server-connection.ts';
import { Echo } from '../contract/service.ts';
import { message, requestFields } from '../raw-client.ts';
import { PREFACE, TYPE, rawFrame, setting, u32 } from '../raw-frames.ts';
import { Speaker, type Conversation } from './corpus.ts';
import { BrokenPromise } from './judge.ts';
import { Talk, turn, type Outcome } from './talk.ts';

/** As the contract's service, and every handler comes to an end when its call does. */
const table = new MethodTable()
  .unary(Echo.unary, (request, call) => {
    const [verb, rest = ''] = request.split(/ (.*)/s);
    switch (verb) {
      case 'echo':
        return rest;
      case 'fail':
        throw new RpcError(StatusCode.FailedPrecondition, 'étcd: not ready\n', Metadata.of({ why: 'x' }));
      case 'throw':
        return Promise.reject(new Error('a bug of the handler'));
      case 'headers':
        call.setHeader('x-header', 'h');
        call.setTrailer('x-trailer', 't');
        return Promise.resolve('headers');
      case 'size':
        return 'x'.repeat(Number(rest));
      default:
        return new Promise<string>((resolve) => call.onCancel(() => resolve('')));
    }
  })
  .serverStream(Echo.counted, async (request, stream) => {
    const [count = 0, size = 0] = request.split(' ').map(Number);
    for (let i = 0; i < Math.min(300, count) && !stream.closed; i++)
      if (!stream.write(`${i}`.padEnd(size, '.'))) await stream.ready();
    if (request.endsWith('fail')) throw new RpcError(StatusCode.OutOfRange, 'enough');
  })
  .bidi(Echo.chat, (stream) => {
    stream.onMessage((text) => {
      if (text === 'bye') return stream.fail(new RpcError(StatusCode.Aborted, 'bye'));
      if (text === 'explode') throw new Error('a bug of a listener');
      if (text === 'stop') return stream.pause();
      if (!stream.write(text)) {
        stream.pause();
        stream.onDrain(() => stream.resume());
      }
    });
    stream.onHalfClose(() => stream.end());
  });

export async function converseWithServer(
  prng: Prng,
  framesMax: number,
  conversations: readonly Conversation[],
): Promise<Outcome> {
  const talk = new Talk(prng, 'server', 0);
  const streamsMax = prng.chance(1, 2) ? 20 : undefined;
  const connection = new ServerConnection(talk.pipe, {
    ...talk.shared,
    streamsMax,
    accept: dispatcher(table, undefined, talk.clock),
    gone: () => {},
  });
  talk.start(connection);
  const speaker = new Speaker(prng, 'client', conversations);
  connection.bytesArrived(PREFACE);
  if (!prng.chance(1, 100)) talk.say([rawFrame(TYPE.settings, 0, 0)]);
  // Without settings in time the connection is cut.
  else talk.mayClose = true;
  while (talk.alive && talk.frames < framesMax) {
    talk.say(Array.from({ length: prng.between(1, 6) }, () => speaker.next()).flat());
    await talk.pause();
    if (prng.chance(1, 400)) {
      connection.drain();
      talk.mayClose = true;
    }
  }
  if (talk.alive) await farewell(talk, connection);
  const outcome = talk.end();
  connection.closed('the end');
  await turn();
  leftovers(talk, connection);
  return outcome;
}

/** All is cancelled; nothing may be left of it, and the next call is served. */
async function farewell(talk: Talk, connection: ServerConnection): Promise<void> {
  const { judge, pipe, clock } = talk;
  pipe.slow = false;
  talk.drainPipe();
  clock.advance(60_000);
  await turn();
  if (talk.alive) talk.finishTorn();
  talk.resetAll([...judge.streams].filter(([id, told]) => id % 2 === 1 && !told.reset).map(([id]) => id));
  for (let i = 0; i < 4 && talk.alive; i++) {
    await turn();
    connection.flush();
  }
  if (!talk.alive || talk.mayClose) return;
  leftovers(talk, connection);
  if (judge.last > 2 ** 31 - 3) return;
  const id = Math.max(judge.last + 2, 1);
  talk.say([
    rawFrame(TYPE.settings, 0, 0, Buffer.concat([setting(4, 65_535), setting(1, 4096)])),
    ...(judge.windowLeft < 1000 ? [rawFrame(TYPE.window, 0, 0, u32(65_535))] : []),
    rawFrame(TYPE.headers, 4, id, requestFields()),
    rawFrame(TYPE.data, 1, id, message('echo good')),
  ]);
  await turn();
  if (!talk.alive) return;
  connection.flush();
  judge.settled();
  const decoder: unknown = Reflect.get(connection, 'decoder');
  if (decoder instanceof HeaderDecoder) judge.sameTable(decoder.table());
  const told = judge.streams.get(id);
  if (told?.endSaid !== true || told.headers !== 2 || told.sentBytes !== message('good').length)
    throw new BrokenPromise('it lives, and a good call is not answered');
}

function leftovers(talk: Talk, connection: ServerConnection): void {
  if (connection.streamCount > 0) throw new BrokenPromise(`${connection.streamCount} streams are left`);
  if (talk.alive && connection.heldBytes > 0)
    throw new BrokenPromise(`${connection.heldBytes} bytes are left`);
  const running: unknown = Reflect.get(connection, 'runningOn');
  if (running !== 0) throw new BrokenPromise(`${String(running)} handlers count as running`);
  const filed = talk.shared.deadlines.count;
  if (filed > 0) throw new BrokenPromise(`${filed} deadlines are left`);
}
