/** A channel's connection under test: a server says anything; each call ends once, and a good one still succeeds. */
import { Metadata, StatusCode } from '../../src/index.ts';
import type { Prng } from '@keelson/base';
import { ClientConnection, type ClientStream } from '../../src/client-connection.ts';
import { HeaderDecoder } from '../../src/hpack.ts';
import { fields, message } from '../raw-client.ts';
import { PREFACE, TYPE, rawFrame, setting, u32 } from '../raw-frames.ts';
import type { ClientSink } from '../../src/wire.ts';
import { Speaker, type Conversation } from './corpus.ts';
import { BrokenPromise } from './judge.ts';
import { Talk, turn, type Outcome } from './talk.ts';

/** What a call was told. */
class Heard implements ClientSink {
  readonly messages: string[] = [];
  code: StatusCode | undefined = undefined;

  headersArrived(): void {
    this.open('headers');
  }

  messageArrived(bytes: Buffer): void {
    this.open('a message');
    this.messages.push(bytes.toString('latin1'));
  }

  drainArrived(): void {
    this.open('a drain');
  }

  statusArrived(code: StatusCode): void {
    this.open('a status');
    this.code = code;
  }

  private open(what: string): void {
    if (this.code !== undefined) throw new BrokenPromise(`${what} behind the end of a call`);
  }
}

interface Call {
  readonly heard: Heard;
  readonly stream: ClientStream;
}

export async function converseWithClient(
  prng: Prng,
  framesMax: number,
  conversations: readonly Conversation[],
): Promise<Outcome> {
  const talk = new Talk(prng, 'client', PREFACE.length);
  const connection = new ClientConnection(talk.pipe, {
    ...talk.shared,
    authority: 'x',
    scheme: 'http',
    ready: () => {},
    retired: () => {},
    vacated: () => {},
    gone: () => {},
  });
  talk.start(connection);
  const calls: Call[] = [];
  const begin = (): Call => {
    const heard = new Heard();
    const metadata = prng.chance(1, 4) ? Metadata.of({ token: `t${prng.below(9)}` }) : new Metadata();
    talk.judge.opened(calls.length * 2 + 1);
    const timeoutMs = prng.chance(1, 4) ? prng.below(5000) : undefined;
    const stream = connection.open(prng.chance(1, 2) ? '/a/B' : '/a/C', metadata, timeoutMs, heard);
    const call = { heard, stream };
    calls.push(call);
    return call;
  };
  const act = (): void => {
    const call =
      prng.chance(1, 3) && connection.vacant && calls.length < 60 ? begin() : calls.at(-1 - prng.below(4));
    if (call === undefined) return;
    if (prng.chance(1, 2)) call.stream.send(Buffer.alloc(prng.chance(1, 6) ? 30_000 : prng.below(20), 'm'));
    if (prng.chance(1, 2)) call.stream.halfClose();
    if (prng.chance(2, 3)) call.stream.setReading(prng.chance(5, 6));
    if (prng.chance(1, 40)) call.stream.cancel(StatusCode.Cancelled, 'x');
  };
  connection.begin();
  const speaker = new Speaker(prng, 'server', conversations);
  if (!prng.chance(1, 100)) talk.say([rawFrame(TYPE.settings, 0, 0)]);
  while (talk.alive && talk.frames < framesMax) {
    if (calls.length === 0 && connection.vacant) begin();
    for (let i = prng.below(4); i > 0 && talk.alive; i--) act();
    speaker.opened = calls.length;
    speaker.live = calls.filter(({ heard }) => heard.code === undefined).map(({ stream }) => stream.id);
    talk.say(Array.from({ length: prng.between(1, 6) }, () => speaker.next()).flat());
    await talk.pause();
  }
  if (talk.alive) await farewell(talk, connection, calls, begin);
  const outcome = talk.end();
  connection.closed('the end');
  await turn();
  for (const { heard } of calls)
    if (heard.code === undefined) throw new BrokenPromise('a call that was never told its end');
  if (connection.streamCount > 0) throw new BrokenPromise(`${connection.streamCount} streams are left`);
  if (talk.shared.deadlines.count > 0)
    throw new BrokenPromise(`${talk.shared.deadlines.count} deadlines are left`);
  return outcome;
}

async function farewell(
  talk: Talk,
  connection: ClientConnection,
  calls: readonly Call[],
  begin: () => Call,
): Promise<void> {
  const { judge, pipe, clock } = talk;
  pipe.slow = false;
  talk.drainPipe();
  clock.advance(60_000);
  await turn();
  if (talk.alive) talk.finishTorn();
  // Half of what is open is ended from here, the rest from there.
  for (const [i, { heard, stream }] of calls.entries())
    if (heard.code === undefined && i % 2 === 0) stream.cancel(StatusCode.Cancelled, 'x');
  if (judge.settingsSeen)
    talk.resetAll(
      [...judge.streams].filter(([id, told]) => id <= judge.last && !told.reset).map(([id]) => id),
    );
  for (let i = 0; i < 3; i++) await turn();
  if (!talk.alive || !judge.settingsSeen) return;
  connection.flush();
  if (connection.streamCount > 0) throw new BrokenPromise(`${connection.streamCount} streams are left`);
  if (connection.heldBytes > 0) throw new BrokenPromise(`${connection.heldBytes} bytes are left`);
  if (judge.leaving) throw new BrokenPromise('it was told GOAWAY, has no call left, and stays');
  talk.say([
    rawFrame(TYPE.settings, 0, 0, Buffer.concat([setting(3, 100), setting(4, 65_535), setting(1, 4096)])),
    ...(judge.windowLeft < 1000 ? [rawFrame(TYPE.window, 0, 0, u32(65_535))] : []),
  ]);
  await turn();
  if (!talk.alive) return;
  const { heard, stream } = begin();
  stream.setReading(true);
  stream.send(Buffer.from('good'));
  stream.halfClose();
  connection.flush();
  const { id } = stream;
  talk.say([
    rawFrame(TYPE.headers, 4, id, fields([':status', '200'], ['content-type', 'application/grpc'])),
    rawFrame(TYPE.data, 0, id, message('good')),
    rawFrame(TYPE.headers, 5, id, fields(['grpc-status', '0'])),
  ]);
  await turn();
  if (!talk.alive) return;
  judge.settled();
  const decoder: unknown = Reflect.get(connection, 'decoder');
  if (decoder instanceof HeaderDecoder) judge.sameTable(decoder.table());
  if (heard.code !== StatusCode.OK || heard.messages.join() !== 'good')
    throw new BrokenPromise(
      `it lives, and a good call ends with ${heard.code} and ${heard.messages.length} messages`,
    );
}
