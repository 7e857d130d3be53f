/**
 * Conversations with a server, mutated from a seed: frames of every kind, mostly sensible, some bent, torn
 * or repeated. A connection under test has no socket, so a run is pure and a seed repeats it.
 */
import { Prng, type Clock } from '@keelson/base';
import { Deadlines } from '../src/deadlines.ts';
import { dispatcher } from '../src/dispatch.ts';
import { ErrorCode } from '../src/frames.ts';
import { DEFAULT_LIMITS } from '../src/limits.ts';
import { SlabPool } from '../src/out-buffer.ts';
import { ServerConnection, type ServerShared } from '../src/server-connection.ts';
import { Turn } from '../src/turn.ts';
import type { Pipe } from '../src/connection.ts';
import { ServerSide, echoTable } from './contract/service.ts';
import { PREFACE, TYPE, fields, message, rawFrame, requestFields } from './raw-client.ts';

/** Takes everything, and reads the frames that came for what must hold of them. */
class WatchedPipe implements Pipe {
  readonly peerCertificate = undefined;
  readonly peer = 'fuzz';
  readonly pendingBytes = 0;
  closed = false;
  bytesWritten = 0;
  goawayCode: number | undefined = undefined;
  private held = Buffer.alloc(0);

  write(chunks: readonly Buffer[]): boolean {
    const bytes = Buffer.concat([this.held, ...chunks]);
    this.bytesWritten += bytes.length - this.held.length;
    let at = 0;
    while (bytes.length - at >= 9) {
      const size = bytes.readUIntBE(at, 3);
      if (bytes.length - at < 9 + size) break;
      if (bytes[at + 3] === TYPE.goaway) this.goawayCode = bytes.readUInt32BE(at + 13);
      at += 9 + size;
    }
    this.held = bytes.subarray(at);
    return false;
  }

  end(): void {
    // Every frame must have left whole.
    if (this.held.length > 0) throw new Error('a torn frame was sent');
    this.closed = true;
  }

  destroy(): void {
    this.closed = true;
  }
}

export interface Outcome {
  readonly frames: number;
  /** How the server ended the connection: a GOAWAY code, 'cut', or 'open'. */
  readonly end: string;
}

const PATHS = ['/test.Echo/Unary', '/test.Echo/Counted', '/test.Echo/Chat', '/test.Echo/Missing', '/', 'x'];
const MESSAGES = [
  'echo x',
  'fail',
  'throw',
  'hang',
  'headers',
  'size 70000',
  'garbage',
  '300 1000',
  '3 3 fail',
  'bye',
  'explode',
];
const KNOWN_CODES: ReadonlySet<number> = new Set(Object.values(ErrorCode));

/**
 * One connection from its preface to its end or the last frame.
 * @throws Error when the server breaks a promise: an exception, a torn frame, an unknown code, memory
 */
export async function converse(seed: number, framesMax: number): Promise<Outcome> {
  const prng = new Prng(seed);
  let nowMs = 0;
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    setTimer: () => ({ cancel: () => {} }),
  };
  const limits = { ...DEFAULT_LIMITS, resets: prng.chance(1, 2) ? { burst: 50, perSecond: 5 } : undefined };
  const shared: ServerShared = {
    clock,
    limits,
    pool: new SlabPool(),
    turn: new Turn(),
    deadlines: new Deadlines(clock),
    keepaliveIntervalMs: undefined,
    keepaliveTimeoutMs: 1000,
    receiveBytesMax: 100_000,
    streamsMax: prng.chance(1, 2) ? 20 : undefined,
    accept: dispatcher(echoTable(new ServerSide()), undefined, clock),
    gone: () => {},
  };
  const pipe = new WatchedPipe();
  const connection = new ServerConnection(pipe, shared);
  const tail = [PREFACE, rawFrame(TYPE.settings, 0, 0)];
  const streams = { opened: 0 };
  let frames = 0;
  while (!connection.dead && frames < framesMax) {
    const count = prng.between(1, 8);
    for (let i = 0; i < count; i++) tail.push(bend(prng, sensible(prng, streams)));
    frames += count;
    feed(prng, connection, Buffer.concat(tail.splice(0)));
    nowMs += prng.below(3);
    if (prng.chance(1, 8)) await new Promise((resolve) => setImmediate(resolve));
  }
  connection.flush();
  const end = pipe.goawayCode === undefined ? (connection.dead ? 'cut' : 'open') : `${pipe.goawayCode}`;
  if (pipe.goawayCode !== undefined && !KNOWN_CODES.has(pipe.goawayCode)) throw new Error(`GOAWAY ${end}`);
  if (connection.dead && !pipe.closed) throw new Error('a dead connection whose socket is open');
  connection.closed('the end');
  return { frames, end };
}

/** In pieces of any size, as a network may deliver them. */
function feed(prng: Prng, connection: ServerConnection, bytes: Buffer): void {
  if (prng.chance(1, 2)) {
    connection.bytesArrived(bytes);
    return;
  }
  for (let at = 0; at < bytes.length;) {
    const size = prng.chance(1, 4) ? prng.between(1, 3) : prng.between(1, 2000);
    connection.bytesArrived(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
}

function sensible(prng: Prng, streams: { opened: number }): Buffer {
  const index = prng.below(14);
  // New streams count up and others were opened, but for one frame in a hundred.
  if (index < 4) streams.opened++;
  const known = index < 4 ? streams.opened : Math.max(1, streams.opened - prng.below(6));
  const stream = prng.chance(1, 100) ? prng.below(100) : known * 2 - 1;
  const flags = prng.pick([0, 1, 4, 5, 5, 4, 8, 13]);
  switch (index) {
    case 0:
    case 1:
    case 2:
    case 3:
      return Buffer.concat([
        rawFrame(TYPE.headers, prng.chance(1, 40) ? flags : 4, stream, block(prng)),
        prng.chance(3, 4)
          ? rawFrame(TYPE.data, prng.below(2), stream, message(prng.pick(MESSAGES)))
          : Buffer.alloc(0),
      ]);
    case 4:
    case 5:
      return rawFrame(TYPE.data, flags & 9, stream, message(prng.pick(MESSAGES)));
    case 6:
      return rawFrame(TYPE.reset, 0, stream, random(prng, 4));
    case 7:
    case 8:
      return rawFrame(
        TYPE.window,
        0,
        prng.chance(1, 2) ? 0 : stream,
        Buffer.from([0, 0, prng.below(256), prng.below(256)]),
      );
    case 9: {
      const payload = Buffer.alloc(6);
      payload[1] = prng.below(8);
      payload.writeUInt32BE(prng.pick([0, 1, 5, 100, 16_384, 16_384, 65_535]), 2);
      return rawFrame(TYPE.settings, prng.below(8) === 0 ? 1 : 0, 0, payload);
    }
    case 10:
      return rawFrame(TYPE.ping, prng.below(2), 0, random(prng, 8));
    case 11:
      return prng.chance(1, 20)
        ? rawFrame(TYPE.continuation, flags, stream, block(prng))
        : rawFrame(TYPE.data, 0, stream, random(prng, prng.below(300)));
    case 12:
      return rawFrame(
        prng.chance(1, 10) ? prng.below(256) : 11 + prng.below(240),
        prng.below(256),
        stream,
        random(prng, prng.below(20)),
      );
    default:
      return rawFrame(TYPE.priority, 0, stream, random(prng, 5));
  }
}

function block(prng: Prng): Buffer {
  switch (prng.below(30)) {
    case 0:
      return random(prng, prng.below(40));
    case 1:
      return fields(['x', 'y']);
    case 2:
      return Buffer.concat([
        Buffer.from([0x83, 0x86, 0x44, 0x10]),
        Buffer.from('/test.Echo/Unary'),
        Buffer.from([0x5f, 0x10]),
        Buffer.from('application/grpc'),
      ]);
    default:
      return requestFields({ ':path': prng.pick(PATHS) }, [
        'grpc-timeout',
        prng.pick(['1S', '0m', '99999999H', 'x']),
      ]);
  }
}

function random(prng: Prng, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = prng.below(256);
  return bytes;
}

/** Now and then a byte is changed, or the frame is torn, doubled or left out. */
function bend(prng: Prng, frame: Buffer): Buffer {
  if (!prng.chance(1, 60)) return frame;
  const bent = Buffer.from(frame);
  switch (prng.below(4)) {
    case 0:
      bent[prng.below(bent.length)] = prng.below(256);
      return bent;
    case 1:
      return bent.subarray(0, prng.below(bent.length));
    case 2:
      return Buffer.concat([bent, bent]);
    default:
      return Buffer.alloc(0);
  }
}
