/**
 * One fuzzed conversation: bytes go to a connection in pieces of any size, the judge rules on each frame before it
 * arrives, and what the connection does is held against the rulings. A seed repeats a run exactly.
 */
import type { Prng } from '@keelson/base';
import { Deadlines } from '../../src/deadlines.ts';
import { ErrorCode } from '../../src/frames.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/limits.ts';
import { SlabPool } from '../../src/out-buffer.ts';
import { Turn } from '../../src/turn.ts';
import { TYPE, rawFrame, u32 } from '../raw-frames.ts';
import { BrokenPromise, Judge, type JudgedLimits, type Role, type Ruling } from './judge.ts';
import { ManualClock, WatchedPipe } from './rig.ts';

/** What both kinds of connection are to a run. */
export interface Subject {
  readonly dead: boolean;
  readonly streamCount: number;
  readonly heldBytes: number;
  bytesArrived(bytes: Buffer): void;
  flush(): void;
  drained(): void;
  closed(why: string): void;
}

export interface Outcome {
  readonly frames: number;
  /** How the connection ended: a GOAWAY code, 'closed' without one, or 'open'. */
  readonly end: string;
}

/** Larger than any answer of the fuzzer's service. */
const ANSWER_BYTES = 75_000;
export const RECEIVE_BYTES = 100_000;

export class Talk {
  readonly prng: Prng;
  readonly clock = new ManualClock();
  readonly judge: Judge;
  readonly pipe: WatchedPipe;
  readonly limits: Limits;
  readonly shared;
  frames = 0;
  /** The end under test may close without GOAWAY from now on. */
  mayClose = false;
  private endJudged = false;
  private subject: Subject | undefined = undefined;
  /** Every frame by itself, and everything written before it arrives. */
  private readonly lockstep: boolean;
  /** Said, and not a whole frame yet. */
  private torn: Buffer = Buffer.alloc(0);

  constructor(prng: Prng, role: Role, skip: number) {
    this.prng = prng;
    this.lockstep = prng.chance(1, 2);
    const tight = prng.chance(1, 8);
    this.limits = {
      ...DEFAULT_LIMITS,
      streamWindowBytes: prng.pick([1000, 10_000, DEFAULT_LIMITS.streamWindowBytes]),
      connectionWindowBytes: tight ? 65_535 : 200_000,
      unreadBytesMax: tight ? -1 : 100_000,
      stalledBytesMax: 200_000,
      socketHighWaterBytes: 20_000,
      socketBytesMax: 300_000,
      resets: prng.chance(1, 2) ? { burst: 50, perSecond: 5 } : undefined,
    };
    const { limits } = this;
    const judged: JudgedLimits = {
      settingsBurst: limits.settings.burst,
      idleBurst: limits.idleFrames.burst,
      errorsBurst: limits.streamErrors.burst,
      resetsBurst: role === 'server' ? limits.resets?.burst : undefined,
      pingStrikes: limits.pingStrikesMax,
      blockBytes: limits.headerBytesMax,
      continuations: limits.continuationsMax,
      headerPairs: limits.headerPairsMax,
      creditGiven: !tight,
      connectionWindow: limits.connectionWindowBytes,
    };
    this.judge = new Judge(role, judged);
    this.pipe = new WatchedPipe(this.judge, skip);
    this.shared = {
      clock: this.clock,
      limits,
      pool: new SlabPool(),
      turn: new Turn(),
      deadlines: new Deadlines(this.clock),
      keepaliveIntervalMs: undefined,
      keepaliveTimeoutMs: 1000,
      receiveBytesMax: RECEIVE_BYTES,
    };
  }

  start(subject: Subject): void {
    this.subject = subject;
  }

  get alive(): boolean {
    return this.subject !== undefined && !this.subject.dead;
  }

  /** Says frames, one behind the other. */
  say(frames: readonly Buffer[]): void {
    for (let bytes = Buffer.concat(frames); bytes.length > 0 && this.alive;) {
      const piece = bytes.subarray(0, this.pieceBytes(bytes));
      bytes = bytes.subarray(piece.length);
      // A copy: what arrives stays as it is for ever.
      this.deliver(Buffer.from(piece));
    }
  }

  /** Time passes, the socket takes its bytes or stops taking them, and what was put off runs. */
  async pause(): Promise<void> {
    const { prng, pipe } = this;
    if (prng.chance(1, 3)) this.clock.advance(prng.chance(1, 30) ? 20_000 : prng.below(10));
    if (prng.chance(1, 16)) pipe.slow = !pipe.slow;
    if (prng.chance(1, 8)) this.drainPipe();
    if (prng.chance(1, 8)) await turn();
    else if (prng.chance(1, 4)) await Promise.resolve();
    if (!this.alive) this.judgeEnd([], 'while nothing was said');
  }

  drainPipe(): void {
    this.pipe.drain();
    this.subject?.drained();
  }

  /** Says what is needed so that the next frame is read as one. */
  finishTorn(): void {
    if (this.torn.length > 0 && this.torn.length < 9) this.say([Buffer.alloc(9 - this.torn.length)]);
    if (this.torn.length >= 9) this.say([Buffer.alloc(9 + this.torn.readUIntBE(0, 3) - this.torn.length)]);
    const { inBlock } = this.judge;
    if (inBlock !== undefined) this.say([rawFrame(TYPE.continuation, 4, inBlock)]);
  }

  /** Resets every stream this side may. */
  resetAll(ids: readonly number[]): void {
    for (const id of ids) if (this.alive) this.say([rawFrame(TYPE.reset, 0, id, u32(ErrorCode.Cancel))]);
  }

  end(): Outcome {
    const { goaway } = this.judge;
    const end = goaway !== undefined ? `${goaway}` : this.alive ? 'open' : 'closed';
    return { frames: this.frames, end };
  }

  private pieceBytes(bytes: Buffer): number {
    const { prng } = this;
    if (this.lockstep) {
      // To the end of the frame, its beginning perhaps said before.
      const have = this.torn.length;
      const head = Buffer.concat([this.torn, bytes.subarray(0, 9)]);
      if (head.length < 9) return bytes.length;
      if (have < 9 && prng.chance(1, 20)) return 9 - have;
      return Math.max(1, Math.min(bytes.length, 9 + head.readUIntBE(0, 3) - have));
    }
    if (prng.chance(1, 2)) return bytes.length;
    return Math.min(bytes.length, prng.chance(1, 4) ? prng.between(1, 12) : prng.between(1, 2000));
  }

  private deliver(bytes: Buffer): void {
    const { subject, judge, pipe } = this;
    if (subject === undefined) return;
    if (this.lockstep) subject.flush();
    if (!this.alive) return this.judgeEnd([], 'before the next frame');
    const rulings = this.rule(bytes);
    const last = rulings.at(-1);
    subject.bytesArrived(bytes);
    if (!this.alive) return this.judgeEnd(rulings, 'at a frame');
    if (last?.fatal === 'yes')
      throw new BrokenPromise(`it lives on after a violation that ends it with ${last.codes.join(' or ')}`);
    const { limits } = this;
    const bound =
      limits.unreadBytesMax +
      limits.connectionWindowBytes +
      limits.stalledBytesMax +
      100_000 +
      judge.streams.size * ANSWER_BYTES;
    if (subject.heldBytes > bound)
      throw new BrokenPromise(`it holds ${subject.heldBytes} bytes, more than ${bound}`);
    if (pipe.pendingMost > limits.socketBytesMax + limits.socketHighWaterBytes + 2 * ANSWER_BYTES)
      throw new BrokenPromise(`${pipe.pendingMost} bytes wait in the socket`);
  }

  /** Rules on the frames these bytes complete; none behind one that ends the connection. */
  private rule(bytes: Buffer): Ruling[] {
    const rulings: Ruling[] = [];
    let rest: Buffer = Buffer.concat([this.torn, bytes]);
    while (rest.length >= 9) {
      const size = rest.readUIntBE(0, 3);
      if (size <= 16_384 && rest.length < 9 + size) break;
      const frame = rest.subarray(0, 9 + size);
      rest = rest.subarray(Math.min(rest.length, 9 + size));
      this.frames++;
      rulings.push(this.judge.got(frame, this.lockstep));
      if (rulings.at(-1)?.fatal === 'yes') break;
    }
    this.torn = Buffer.from(rest);
    return rulings;
  }

  private judgeEnd(rulings: readonly Ruling[], when: string): void {
    const { judge, pipe } = this;
    if (this.endJudged) return;
    this.endJudged = true;
    if (!pipe.closed) throw new BrokenPromise('it is dead and its socket is open');
    const code = judge.goaway;
    const known: readonly (number | undefined)[] = Object.values(ErrorCode);
    if (code === undefined || code === 0) {
      const last = rulings.at(-1);
      const silent = this.mayClose || judge.leaving || pipe.pendingMost > this.limits.socketBytesMax;
      if (!silent) throw new BrokenPromise(`it closed without a word ${when}, ruled ${JSON.stringify(last)}`);
      return;
    }
    if (!known.includes(code)) throw new BrokenPromise(`GOAWAY with ${code}`);
    if (!rulings.some((ruling) => ruling.codes.includes(code)))
      throw new BrokenPromise(
        `GOAWAY with ${code} (${judge.goawayText}) ${when}, ruled ${JSON.stringify(rulings.slice(-3))}`,
      );
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
