/**
 * What the fuzzer says: frames of recorded conversations and frames made up with sense, bent from a seed. Bending
 * knows what a frame is made of: its length, type, flags and stream, padding, priority, the fields of settings, the
 * instructions of a header block; it also repeats, drops, swaps and splices.
 */
import { readFileSync } from 'node:fs';
import type { Prng } from '@keelson/base';
import { fields, message, requestFields } from '../raw-client.ts';
import { TYPE, rawFrame, setting, u32 } from '../raw-frames.ts';

export interface Conversation {
  readonly client: readonly Buffer[];
  readonly server: readonly Buffer[];
}

export function recorded(): Conversation[] {
  const text = readFileSync(new URL('../testdata/conversations.txt', import.meta.url), 'latin1');
  return text
    .split(/^# .*$/m)
    .slice(1)
    .map((part) => {
      const of = (mark: string): Buffer[] =>
        part
          .split('\n')
          .filter((line) => line.startsWith(mark))
          .map((line) => Buffer.from(line.slice(2), 'hex'));
      return { client: of('> '), server: of('< ') };
    });
}

const PATHS = [
  '/test.Echo/Unary',
  '/test.Echo/Unary',
  '/test.Echo/Counted',
  '/test.Echo/Chat',
  '/test.Echo/Missing',
  '/',
  'x',
];
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
  'stop',
];
/** Fields a header block may bring besides what a request needs; the last are malformed. */
const EXTRAS: readonly (readonly [string, string])[] = [
  ['grpc-timeout', '1S'],
  ['grpc-timeout', '0m'],
  ['grpc-timeout', '99999999H'],
  ['grpc-timeout', 'x'],
  ['grpc-encoding', 'gzip'],
  ['content-length', '11'],
  ['token', 'secret'],
  ['x-bin', 'AAEC'],
  ['cookie', 'a=b'],
  ['host', 'x'],
  ['connection', 'close'],
  ['X', 'y'],
  ['x', 'y '],
  [':status', '200'],
  [':path', '/x'],
  ['te', 'gzip'],
  ['content-length', 'x'],
];

/** Says frames as one side of a connection. */
export class Speaker {
  private readonly prng: Prng;
  private readonly side: 'client' | 'server';
  private readonly script: readonly Buffer[];
  private at = 0;
  /** One frame in so many is not as it should be: some runs break off soon, others come far. */
  private readonly rarity: number;
  /** Streams opened: by it as a client; by the other side when it is the server. */
  opened = 0;
  /** Of a server: the streams that are open. */
  live: readonly number[] = [];
  private readonly renumbered = new Map<number, number>();

  constructor(prng: Prng, side: 'client' | 'server', conversations: readonly Conversation[]) {
    this.prng = prng;
    this.side = side;
    this.rarity = prng.pick([30, 200, 1500]);
    const one = prng.pick(conversations);
    const frames = side === 'client' ? one.client : one.server;
    // Its settings come first in any case; half of the runs keep no script.
    this.script = prng.chance(1, 2) ? frames.slice(1) : [];
  }

  /** The next frames, most of them as they should be. */
  next(): Buffer[] {
    const { prng } = this;
    const frame = this.scripted() ?? this.madeUp();
    if (!prng.chance(1, this.rarity)) return [frame];
    switch (prng.below(7)) {
      case 6:
        return this.pieces();
      case 0:
        return [];
      case 1:
        return [frame, frame];
      case 2:
        return Array<Buffer>(prng.chance(1, 20) ? 2100 : prng.between(2, 40)).fill(frame);
      case 3:
        return [this.madeUp(), frame];
      case 4:
        // Torn: what follows is read as the rest of it.
        return [frame.subarray(0, prng.below(frame.length))];
      default:
        return [bent(prng, frame)];
    }
  }

  private scripted(): Buffer | undefined {
    if (this.at >= this.script.length || this.prng.chance(1, 4)) return undefined;
    const frame = this.script[this.at++];
    const id = frame.readUInt32BE(5);
    if (id === 0) return frame;
    // Its streams get the numbers that are due now.
    let number = this.renumbered.get(id);
    if (number === undefined) {
      if (this.side === 'client') number = ++this.opened * 2 - 1;
      else number = this.live.find((each) => ![...this.renumbered.values()].includes(each)) ?? this.known();
      this.renumbered.set(id, number);
    }
    const copy = Buffer.from(frame);
    copy.writeUInt32BE(number, 5);
    return copy;
  }

  /** A stream of late, whose number is most often one that is open. */
  private known(): number {
    const { prng } = this;
    if (this.side === 'server' && this.live.length > 0 && !prng.chance(1, this.rarity))
      return prng.pick(this.live);
    return Math.max(1, this.opened - prng.below(6)) * 2 - 1;
  }

  private madeUp(): Buffer {
    const { prng } = this;
    // Before it opened a stream a client has little to say.
    const kind = this.side === 'client' && this.opened === 0 ? prng.below(4) : prng.below(14);
    const opening = this.side === 'client' && kind < 4;
    if (opening) this.opened++;
    const known = opening ? this.opened * 2 - 1 : this.known();
    const id = prng.chance(1, this.rarity * 4) ? prng.below(100) : known;
    switch (kind) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Buffer.concat([this.headers(id), prng.chance(3, 4) ? this.data(id) : Buffer.alloc(0)]);
      case 4:
      case 5:
        return this.data(id);
      case 6:
        return prng.chance(1, 2) ? rawFrame(TYPE.reset, 0, id, random(prng, 4)) : this.data(id);
      case 7:
      case 8:
        return rawFrame(
          TYPE.window,
          0,
          prng.chance(1, 2) ? 0 : id,
          u32(
            prng.chance(1, this.rarity)
              ? prng.pick([0, 2 ** 31 - 1, 2 ** 30, 0x8000_0001])
              : prng.between(1, 70_000),
          ),
        );
      case 9:
        return prng.chance(1, 6)
          ? rawFrame(TYPE.settings, 1, 0)
          : rawFrame(
              TYPE.settings,
              0,
              0,
              Buffer.concat(Array.from({ length: prng.below(4) }, () => this.setting())),
            );
      case 10:
        return prng.chance(1, 2) ? rawFrame(TYPE.ping, prng.below(2), 0, random(prng, 8)) : this.data(id);
      case 11:
        return prng.chance(1, this.rarity)
          ? rawFrame(
              prng.pick([TYPE.continuation, TYPE.push, TYPE.goaway]),
              prng.below(256),
              prng.below(3),
              random(prng, prng.below(20)),
            )
          : rawFrame(TYPE.data, 0, id, random(prng, prng.below(300)));
      case 12:
        return rawFrame(prng.between(10, 255), prng.below(256), id, random(prng, prng.below(20)));
      default:
        return rawFrame(
          TYPE.priority,
          0,
          prng.chance(1, 10) ? 99 : id,
          random(prng, prng.chance(1, this.rarity) ? 4 : 5),
        );
    }
  }

  /** A header block in many pieces: as many as are taken, or more. */
  private pieces(): Buffer[] {
    const { prng } = this;
    const id = this.side === 'client' ? ++this.opened * 2 - 1 : this.known();
    const block = this.block(0);
    const count = prng.between(20, 44);
    const size = Math.ceil(block.length / count);
    const piece = (i: number): Buffer => block.subarray(i * size, (i + 1) * size);
    return Array.from({ length: count }, (_unused, i) =>
      rawFrame(i === 0 ? TYPE.headers : TYPE.continuation, i === count - 1 ? 4 : 0, id, piece(i)),
    );
  }

  private setting(): Buffer {
    const { prng } = this;
    if (prng.chance(1, this.rarity))
      return setting(prng.below(8), prng.pick([2, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 16_383, 2 ** 24]));
    const id = prng.pick([1, 3, 4, 4, 6, 9, 0xfff]);
    if (id === 4 && prng.chance(1, 20)) return setting(4, 2 ** 31 - 1);
    return setting(id, prng.pick([0, 1, 5, 100, 4096, 16_384, 65_535, 2 ** 20]));
  }

  private data(id: number): Buffer {
    const { prng } = this;
    const flags = this.side === 'server' ? 0 : prng.below(2);
    const text = message(prng.pick(MESSAGES));
    if (!prng.chance(1, 8)) return rawFrame(TYPE.data, flags, id, text);
    if (prng.chance(1, this.rarity)) {
      // All padding, or a byte more than that.
      const size = prng.between(1, 20);
      return rawFrame(TYPE.data, flags | 8, id, Buffer.alloc(size, size - prng.below(2)));
    }
    const padding = prng.below(20);
    const bytes = Buffer.concat([Buffer.from([padding]), text, Buffer.alloc(padding)]);
    return rawFrame(TYPE.data, flags | 8, id, bytes);
  }

  /** A field that takes a good part of the table, and one that refers to it. */
  private large(): string {
    const size = this.prng.between(127, 1200);
    const rest = size - 127;
    const length = rest < 128 ? [127, rest] : [127, (rest & 127) | 128, rest >> 7];
    return Buffer.concat([
      Buffer.from([0x40, 1, 0x61, ...length]),
      Buffer.alloc(size, 'b'),
      Buffer.from([0xbe]),
    ]).toString('hex');
  }

  /** One HEADERS frame, or several frames of one block. */
  private headers(id: number): Buffer {
    const { prng } = this;
    const ends = this.side === 'client' ? Number(prng.chance(1, 12)) : prng.below(2);
    const block = prng.chance(1, this.rarity) ? bentBlock(prng, this.block(ends)) : this.block(ends);
    if (prng.chance(1, 12)) {
      const cut = prng.below(block.length + 1);
      const rest = rawFrame(TYPE.continuation, prng.chance(1, this.rarity) ? 0 : 4, id, block.subarray(cut));
      return Buffer.concat([rawFrame(TYPE.headers, ends, id, block.subarray(0, cut)), rest]);
    }
    if (prng.chance(1, 12))
      return rawFrame(TYPE.headers, ends | 4 | 32, id, Buffer.concat([random(prng, 5), block]));
    return rawFrame(TYPE.headers, prng.chance(1, this.rarity) ? prng.below(256) : ends | 4, id, block);
  }

  private block(ends: number): Buffer {
    const { prng } = this;
    // The table in use: an entry made, and entries that may be there.
    const indexed =
      this.script.length === 0 && prng.chance(1, 6)
        ? prng.pick([
            '',
            '4001610162',
            '40016101627e0163',
            '3fe11f',
            '3f45',
            '20',
            '40811f0174',
            this.large(),
            this.large(),
          ])
        : '';
    const extra = prng.chance(1, 5) ? [prng.pick(EXTRAS)] : [];
    const first = Buffer.from(/^[23]/.test(indexed) ? indexed : '', 'hex');
    const last = Buffer.from(indexed.startsWith('4') ? indexed : '', 'hex');
    if (this.side === 'server') {
      const trailers: [string, string][] = [['grpc-status', prng.pick(['0', '5', 'x'])]];
      const head: [string, string][] = [
        [':status', prng.pick(['200', '200', '200', '100', '101', '503'])],
        ['content-type', 'application/grpc'],
      ];
      const pairs = ends === 1 ? (prng.chance(1, 2) ? trailers : [...head, ...trailers]) : head;
      return Buffer.concat([first, fields(...pairs, ...extra), last]);
    }
    return Buffer.concat([first, requestFields({ ':path': prng.pick(PATHS) }, ...extra), last]);
  }
}

export function random(prng: Prng, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = prng.below(256);
  return bytes;
}

/** A header block with an instruction changed, cut, or put in. */
function bentBlock(prng: Prng, block: Buffer): Buffer {
  const at = prng.below(block.length);
  switch (prng.below(4)) {
    case 0:
      return Buffer.concat([block.subarray(0, at), random(prng, prng.below(6)), block.subarray(at)]);
    case 1:
      return block.subarray(0, at);
    case 2:
      return Buffer.concat([
        Buffer.from(prng.pick(['80', 'ffffffffff7f', '3fe21f', 'be', '20be', '0081ff']), 'hex'),
        block,
      ]);
    default: {
      const copy = Buffer.from(block);
      copy[at] = prng.below(256);
      return copy;
    }
  }
}

/** One part of a frame's header or content becomes another. */
function bent(prng: Prng, frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  switch (prng.below(7)) {
    case 0:
      copy[3] = prng.below(12);
      return copy;
    case 1:
      copy[4] = prng.chance(1, 2) ? prng.below(256) : (copy[4] ?? 0) ^ prng.pick([1, 4, 8, 32]);
      return copy;
    case 2:
      copy.writeUInt32BE(prng.pick([0, 1, 2, 3, 7, 2 ** 31 - 1, 2 ** 31, prng.below(64)]), 5);
      return copy;
    case 3:
      copy.writeUIntBE(prng.pick([0, 1, 4, 5, 8, 16_385, 2 ** 24 - 1, prng.below(40)]), 0, 3);
      return copy;
    case 4: {
      // Longer or shorter, and its length says so.
      const payload = Buffer.concat([copy.subarray(9), random(prng, prng.below(8))]);
      return rawFrame(copy[3] ?? 0, copy[4] ?? 0, copy.readUInt32BE(5), payload.subarray(prng.below(2)));
    }
    default:
      if (copy.length > 9) copy[prng.between(9, copy.length - 1)] = prng.below(256);
      return copy;
  }
}
