/**
 * A reference model of RFC 9113 for one end of a connection: it is told every frame that end gets and every frame it
 * says, and rules what the first fatal violation is. It was written from the RFC and our limits, keeps only what both
 * sides can see, and shares no code with the connection but numbers. Where the RFC, or what the end may have done
 * meanwhile, leaves more than one outcome, the ruling says so.
 */
import { HpackTwin } from '../hpack-twin.ts';
import { TYPE } from '../raw-frames.ts';

export type Role = 'server' | 'client';

/** What a frame does to the connection of the end that gets it. */
export interface Ruling {
  readonly fatal: 'no' | 'perhaps' | 'yes';
  /** The GOAWAY codes that fit. */
  readonly codes: readonly number[];
}

const PROTOCOL = 1;
const FLOW = 3;
const CLOSED = 5;
const SIZE = 6;
const COMPRESSION = 9;
const CALM = 11;
const FRAME_MAX = 16_384;
const WINDOW_MAX = 2 ** 31 - 1;

const FINE: Ruling = { fatal: 'no', codes: [] };
const yes = (...codes: number[]): Ruling => ({ fatal: 'yes', codes });
const perhaps = (...codes: number[]): Ruling => ({ fatal: 'perhaps', codes });

/** The bounds of the end under test that a ruling may rest on. */
export interface JudgedLimits {
  readonly settingsBurst: number;
  readonly idleBurst: number;
  readonly errorsBurst: number;
  readonly resetsBurst: number | undefined;
  readonly pingStrikes: number;
  readonly blockBytes: number;
  readonly continuations: number;
  readonly headerPairs: number;
  /** Whether what came on the connection is given back. */
  readonly creditGiven: boolean;
  readonly connectionWindow: number;
}

interface Told {
  /** By the other end. */
  ended: boolean;
  reset: boolean;
  /** The other end's increments for it. */
  gain: number;
  /** Something was said on it that this end may have reset it for, or answered it with a reset. */
  doubtful: boolean;
  // What this end said.
  headers: number;
  endSaid: boolean;
  resetSaid: boolean;
  sentBytes: number;
  /** Content with its padding, and what was given back of it. */
  gotBytes: number;
  creditBytes: number;
  /** Of a client: a response's first HEADERS came. */
  answered: boolean;
}

export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise';
}

function promise(kept: boolean, what: string): void {
  if (!kept) throw new BrokenPromise(what);
}

export class Judge {
  settingsSeen = false;
  /** The end under test may close without a word: it was told GOAWAY. */
  leaving = false;
  goaway: number | undefined = undefined;
  goawayText = '';
  /** Resets that must be among what the end says next, by stream. */
  readonly due = new Map<number, number>();
  /** The highest stream that was opened towards a server; of a client: what it opened itself. */
  last = 0;
  readonly streams = new Map<number, Told>();
  private readonly role: Role;
  private readonly limits: JudgedLimits;
  private readonly heard = new HpackTwin();
  private readonly spoken = new HpackTwin();
  /** Of settings that were not acknowledged yet. */
  private readonly unanswered: { readonly tableSize: number; readonly initial: number }[] = [];
  private tableBound = 4096;
  private block: { stream: number; ends: boolean; parts: Buffer[]; bytes: number } | undefined = undefined;
  private saidBlock: { stream: number; ends: boolean; parts: Buffer[] } | undefined = undefined;
  private gain = 65_535;
  /** The largest initial window the other end ever said, and the largest that was acknowledged. */
  private initialMost = 65_535;
  private initialAcked = 65_535;
  private sentBytes = 0;
  private gotBytes = 0;
  private creditBytes = 0;
  private settings = 0;
  private settingsAcks = 0;
  private idles = 0;
  private errors = 0;
  private resets = 0;
  private pings = 0;
  private readonly pongsDue: string[] = [];

  constructor(role: Role, limits: JudgedLimits) {
    this.role = role;
    this.limits = limits;
  }

  /** Whether a header block of the other end is open. */
  get inBlock(): number | undefined {
    return this.block?.stream;
  }

  /** What the end under test may still send on the connection. */
  get windowLeft(): number {
    return this.gain - this.sentBytes;
  }

  /** The client under test opened a stream. */
  opened(id: number): void {
    this.last = id;
    this.streams.set(id, fresh());
  }

  // What the end gets.

  /**
   * @param frame whole, or only its header when its length is above the maximum
   * @param exact everything this end wrote before was told; nothing is under way
   */
  got(frame: Buffer, exact: boolean): Ruling {
    const size = frame.readUIntBE(0, 3);
    const type = frame[3] ?? 0;
    const flags = frame[4] ?? 0;
    const id = frame.readUInt32BE(5) % 2 ** 31;
    if (size > FRAME_MAX) return yes(SIZE);
    const payload = frame.subarray(9);
    if (this.block !== undefined && (type !== TYPE.continuation || id !== this.block.stream))
      return yes(PROTOCOL);
    if (!this.settingsSeen && (type !== TYPE.settings || (flags & 1) !== 0)) return yes(PROTOCOL);
    switch (type) {
      case TYPE.data:
        return this.gotData(id, flags, payload, exact);
      case TYPE.headers:
        return this.gotHeaders(id, flags, payload);
      case TYPE.priority:
        if (id === 0) return yes(PROTOCOL);
        if (size !== 5) {
          if (this.isIdle(id)) return yes(SIZE);
          return this.worse(this.streamError(id), this.idle());
        }
        return this.idle();
      case TYPE.reset:
        return this.gotReset(id, size);
      case TYPE.settings:
        return this.gotSettings(id, flags, payload, exact);
      case TYPE.push:
        return yes(PROTOCOL);
      case TYPE.ping:
        if (id !== 0) return yes(PROTOCOL);
        if (size !== 8) return yes(SIZE);
        if ((flags & 1) !== 0) return FINE;
        this.pongsDue.push(payload.toString('latin1'));
        return this.role === 'server' && ++this.pings > this.limits.pingStrikes + 1 ? perhaps(CALM) : FINE;
      case TYPE.goaway:
        if (id !== 0) return yes(PROTOCOL);
        if (size < 8) return yes(SIZE);
        this.leaving = true;
        return FINE;
      case TYPE.window:
        return this.gotWindow(id, payload, exact);
      case TYPE.continuation:
        return this.gotContinuation(flags, payload);
      default:
        return this.idle();
    }
  }

  private isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.last;
  }

  private idle(): Ruling {
    return ++this.idles >= this.limits.idleBurst ? perhaps(CALM) : FINE;
  }

  private streamError(id: number): Ruling {
    const told = this.streams.get(id);
    if (told !== undefined) told.doubtful = true;
    else this.streams.set(id, { ...fresh(), doubtful: true, reset: true });
    return ++this.errors >= this.limits.errorsBurst ? perhaps(CALM) : FINE;
  }

  private worse(one: Ruling, other: Ruling): Ruling {
    if (one.fatal === 'no') return other;
    if (other.fatal === 'no') return one;
    const fatal = one.fatal === 'yes' || other.fatal === 'yes' ? 'yes' : 'perhaps';
    return { fatal, codes: [...one.codes, ...other.codes] };
  }

  private gotData(id: number, flags: number, payload: Buffer, exact: boolean): Ruling {
    if (id === 0) return yes(PROTOCOL);
    const padding = (flags & 8) === 0 ? 0 : 1 + (payload[0] ?? 0);
    if (padding > payload.length) return yes(PROTOCOL);
    this.gotBytes += payload.length;
    // Credit is said with the next write, which may have been in the middle of what was read.
    const over = this.gotBytes > 65_535 + this.creditBytes;
    if (over && (exact || !this.limits.creditGiven)) return yes(FLOW);
    if (this.isIdle(id)) return over ? yes(PROTOCOL, FLOW) : yes(PROTOCOL);
    const told = this.streams.get(id);
    const wasOver = told === undefined || told.ended || told.reset;
    if (told !== undefined && (flags & 1) !== 0) told.ended = true;
    if (told !== undefined) told.gotBytes += payload.length;
    const doubtful = told?.doubtful ?? false;
    // Content may be more than a window or announced length allows, and is an error where nothing more may come.
    let ruling = this.streamError(id);
    if (over) ruling = this.worse(perhaps(FLOW), ruling);
    if (told !== undefined && !wasOver) {
      // Content before a response's head is malformed for sure; what nobody reads any more is passed over.
      const early =
        this.role === 'client' && exact && payload.length > padding && !told.answered && !doubtful;
      if (early && !told.resetSaid) this.due.set(id, PROTOCOL);
      else if (!early) told.doubtful = doubtful;
    }
    if (payload.length === padding && (flags & 1) === 0) ruling = this.worse(ruling, this.idle());
    return ruling;
  }

  private gotHeaders(id: number, flags: number, payload: Buffer): Ruling {
    if (id === 0) return yes(PROTOCOL);
    let at = 0;
    let end = payload.length;
    if ((flags & 8) !== 0) {
      const padding = payload[0];
      if (padding === undefined || padding + 1 > payload.length) return yes(PROTOCOL);
      at = 1;
      end -= padding;
    }
    if ((flags & 32) !== 0) {
      if (end - at < 5) return yes(SIZE);
      at += 5;
    }
    const piece = payload.subarray(at, end);
    this.block = { stream: id, ends: (flags & 1) !== 0, parts: [piece], bytes: piece.length };
    return (flags & 4) === 0 ? FINE : this.gotBlock();
  }

  private gotContinuation(flags: number, payload: Buffer): Ruling {
    const { block } = this;
    if (block === undefined) return yes(PROTOCOL);
    block.parts.push(payload);
    block.bytes += payload.length;
    if (block.bytes > this.limits.blockBytes || block.parts.length > this.limits.continuations)
      return yes(CALM);
    return (flags & 4) === 0 ? FINE : this.gotBlock();
  }

  private gotBlock(): Ruling {
    const { stream = 0, ends = false, parts = [] } = this.block ?? {};
    this.block = undefined;
    const bytes = Buffer.concat(parts);
    return this.role === 'server' ? this.request(stream, ends, bytes) : this.response(stream, ends, bytes);
  }

  private request(id: number, ends: boolean, bytes: Buffer): Ruling {
    if (id % 2 === 0) return yes(PROTOCOL);
    const fields = id > this.last ? this.heard.decode(bytes) : undefined;
    if (id > this.last) {
      this.last = id;
      if (fields === undefined) return yes(COMPRESSION);
      const told = fresh();
      told.ended = ends;
      this.streams.set(id, told);
      const excessive = isExcessive(fields, this.limits);
      if (excessive || !isMalformed(fields)) return FINE;
      this.due.set(id, PROTOCOL);
      return this.streamError(id);
    }
    const told = this.streams.get(id);
    const forgetful = this.streams.size > 200;
    if (told === undefined && !forgetful) return yes(PROTOCOL);
    const decoded = this.heard.decode(bytes);
    const codes: number[] = [];
    if (told === undefined || told.doubtful || forgetful) codes.push(PROTOCOL, CLOSED);
    else if (told.ended || told.reset) codes.push(CLOSED);
    if (told !== undefined && ends) told.ended = true;
    if (decoded === undefined) return yes(COMPRESSION, ...codes);
    const ruling = this.streamError(id);
    return codes.length === 0 ? ruling : this.worse(perhaps(...codes), ruling);
  }

  private response(id: number, ends: boolean, bytes: Buffer): Ruling {
    if (this.isIdle(id)) return yes(PROTOCOL);
    if (this.heard.decode(bytes) === undefined) return yes(COMPRESSION);
    const told = this.streams.get(id);
    const over = told === undefined || told.ended || told.reset || told.doubtful || this.streams.size > 200;
    if (told !== undefined && ends) told.ended = true;
    if (told !== undefined) told.answered = true;
    // A response that only informs counts as one that does nothing.
    const ruling = this.worse(this.streamError(id), this.idle());
    return over ? this.worse(perhaps(CLOSED), ruling) : ruling;
  }

  private gotReset(id: number, size: number): Ruling {
    if (size !== 4) return yes(SIZE);
    if (id === 0 || this.isIdle(id)) return yes(PROTOCOL);
    const told = this.streams.get(id);
    if (told === undefined || told.reset) return FINE;
    told.reset = true;
    const { resetsBurst } = this.limits;
    return resetsBurst !== undefined && ++this.resets > resetsBurst ? perhaps(CALM) : FINE;
  }

  private gotSettings(id: number, flags: number, payload: Buffer, exact: boolean): Ruling {
    if (id !== 0) return yes(PROTOCOL);
    if ((flags & 1) !== 0) return payload.length === 0 ? this.idle() : yes(SIZE);
    if (payload.length % 6 !== 0) return yes(SIZE);
    let ruling = ++this.settings > this.limits.settingsBurst ? perhaps(CALM) : FINE;
    let { tableSize, initial } = this.unanswered.at(-1) ?? { tableSize: this.tableBound, initial: 0 };
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      let broken = 0;
      switch (payload.readUInt16BE(at)) {
        case 1:
          tableSize = Math.min(4096, value);
          break;
        case 2:
          if (value > (this.role === 'server' ? 1 : 0)) broken = PROTOCOL;
          break;
        case 4:
          if (value > WINDOW_MAX) {
            broken = FLOW;
            break;
          }
          for (const told of this.streams.values()) {
            const open = exact && !told.endSaid && !told.resetSaid && !told.reset && !told.doubtful;
            if (open && this.role === 'server' && value + told.gain - told.sentBytes > WINDOW_MAX)
              broken = FLOW;
            else if (value + told.gain > WINDOW_MAX) ruling = this.worse(ruling, perhaps(FLOW));
          }
          this.initialMost = Math.max(this.initialMost, value);
          initial = value;
          break;
        case 5:
          if (value < FRAME_MAX || value >= 2 ** 24) broken = PROTOCOL;
          break;
        default:
      }
      if (broken !== 0) return this.worse(ruling, yes(broken));
    }
    this.unanswered.push({ tableSize, initial });
    this.settingsSeen = true;
    return ruling;
  }

  private gotWindow(id: number, payload: Buffer, exact: boolean): Ruling {
    if (payload.length !== 4) return yes(SIZE);
    const increment = payload.readUInt32BE(0) % 2 ** 31;
    if (id === 0) {
      if (increment === 0) return yes(PROTOCOL);
      const before = this.gain;
      this.gain += increment;
      if (this.gain - this.sentBytes > WINDOW_MAX && exact) return yes(FLOW);
      if (before + increment > WINDOW_MAX) return perhaps(FLOW);
      return FINE;
    }
    if (this.isIdle(id)) return yes(PROTOCOL);
    const told = this.streams.get(id);
    if (told !== undefined) told.gain += increment;
    if (told === undefined) return FINE;
    // An increment of 0, or one too large, resets the stream if it is still there.
    if (increment === 0 || this.initialMost + told.gain > WINDOW_MAX) return this.streamError(id);
    return FINE;
  }

  // What the end says.

  /** @throws BrokenPromise when the frame may not be said now */
  said(frame: Buffer): void {
    const size = frame.readUIntBE(0, 3);
    const type = frame[3] ?? 0;
    const flags = frame[4] ?? 0;
    const id = frame.readUInt32BE(5);
    const payload = frame.subarray(9);
    promise(size <= FRAME_MAX, `it said a frame of ${size} bytes`);
    promise(this.goaway === undefined || this.goaway === 0, 'it spoke behind GOAWAY');
    promise(
      this.saidBlock === undefined || (type === TYPE.continuation && id === this.saidBlock.stream),
      'its header block was interrupted',
    );
    switch (type) {
      case TYPE.data:
        this.saidData(id, flags, size);
        break;
      case TYPE.headers:
        this.saidBlock = { stream: id, ends: (flags & 1) !== 0, parts: [payload] };
        if ((flags & 4) !== 0) this.saidHeaders();
        break;
      case TYPE.continuation:
        this.saidBlock?.parts.push(payload);
        if ((flags & 4) !== 0) this.saidHeaders();
        break;
      case TYPE.reset: {
        const told = this.streams.get(id);
        promise(!this.isIdle(id), `it reset the idle stream ${id}`);
        if (told !== undefined) told.resetSaid = true;
        if (this.due.get(id) === payload.readUInt32BE(0)) this.due.delete(id);
        break;
      }
      case TYPE.settings:
        if ((flags & 1) === 0) break;
        this.settingsAcks++;
        {
          const { tableSize, initial } = this.unanswered.shift() ?? {
            tableSize: this.tableBound,
            initial: 0,
          };
          this.tableBound = tableSize;
          this.initialAcked = Math.max(this.initialAcked, initial);
        }
        break;
      case TYPE.ping:
        if ((flags & 1) !== 0)
          promise(this.pongsDue.shift() === payload.toString('latin1'), 'it answered a ping nobody sent');
        break;
      case TYPE.goaway:
        this.goaway = payload.readUInt32BE(4);
        this.goawayText = payload.toString('latin1', 8);
        if (this.role === 'server' && this.goaway !== 0)
          promise(payload.readUInt32BE(0) <= this.last, 'its GOAWAY names a stream nobody opened');
        break;
      case TYPE.window: {
        const increment = payload.readUInt32BE(0);
        promise(increment > 0, 'it said an increment of 0');
        promise(!this.isIdle(id) || id === 0, 'it lifted the window of an idle stream');
        if (id === 0) this.creditBytes += increment;
        promise(
          this.creditBytes <= this.gotBytes + this.limits.connectionWindow - 65_535,
          'it gave back more than came on the connection',
        );
        const told = this.streams.get(id);
        if (told === undefined) break;
        told.creditBytes += increment;
        promise(told.creditBytes <= told.gotBytes, 'it gave back more than came on the stream');
        promise(65_535 + this.creditBytes - this.gotBytes <= WINDOW_MAX, 'its window is above the maximum');
        break;
      }
      default:
        throw new BrokenPromise(`it said a frame of type ${type}`);
    }
  }

  private saidData(id: number, flags: number, size: number): void {
    const told = this.streams.get(id);
    promise(told !== undefined, `it said DATA on the stream ${id} nobody opened`);
    if (told === undefined) return;
    promise(told.headers > 0, 'it said DATA before HEADERS');
    promise(!told.endSaid && !told.resetSaid, 'it said DATA behind its end');
    told.sentBytes += size;
    this.sentBytes += size;
    promise(this.sentBytes <= this.gain, 'it passed the connection window');
    promise(told.sentBytes <= this.initialAcked + told.gain, 'it passed the stream window');
    if ((flags & 1) !== 0) told.endSaid = true;
  }

  private saidHeaders(): void {
    const { stream = 0, ends = false, parts = [] } = this.saidBlock ?? {};
    this.saidBlock = undefined;
    promise(this.spoken.decode(Buffer.concat(parts)) !== undefined, 'it said a block that does not decode');
    promise(this.spoken.tableMax <= this.tableBound, 'its header table is larger than was allowed');
    const told = this.streams.get(stream);
    promise(told !== undefined, `it said HEADERS on the stream ${stream} nobody opened`);
    if (told === undefined) return;
    promise(!told.endSaid && !told.resetSaid, 'it said HEADERS behind its end');
    told.headers++;
    promise(told.headers === 1 || ends, 'its second HEADERS do not end the stream');
    if (ends) told.endSaid = true;
  }

  /** @throws BrokenPromise when the end's table of the other's fields is not what the blocks made it */
  sameTable(table: readonly (readonly [string, string])[]): void {
    promise(JSON.stringify(table) === JSON.stringify(this.heard.table), 'its header table went another way');
  }

  /** All that was asked has been answered: to be asked of a connection that lives, once all was flushed. */
  settled(): void {
    promise(this.settingsAcks === this.settings, 'settings were not acknowledged');
    promise(this.pongsDue.length === 0, 'a ping was not answered');
    for (const [id, code] of this.due) throw new BrokenPromise(`the stream ${id} was not reset with ${code}`);
  }
}

function fresh(): Told {
  return {
    ended: false,
    reset: false,
    gain: 0,
    doubtful: false,
    headers: 0,
    endSaid: false,
    resetSaid: false,
    sentBytes: 0,
    gotBytes: 0,
    creditBytes: 0,
    answered: false,
  };
}

function isExcessive(fields: readonly string[], limits: JudgedLimits): boolean {
  let bytes = 0;
  for (const text of fields) bytes += text.length + 16;
  return fields.length / 2 > limits.headerPairs || bytes > limits.blockBytes;
}

/** §8.2 and §8.3 for a request, field by field as the RFC says it. */
function isMalformed(fields: readonly string[]): boolean {
  const seen = new Map<string, string[]>();
  let regular = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    const value = fields[i + 1] ?? '';
    if (/[\0\r\n]/.test(value) || /^[ \t]/.test(value) || /[ \t]$/.test(value)) return true;
    if (name.startsWith(':')) {
      if (![':method', ':scheme', ':path', ':authority'].includes(name)) return true;
      if (regular || seen.has(name)) return true;
    } else {
      regular = true;
      if (!/^[a-z0-9!#$%&'*+\-.^_`|~]+$/.test(name)) return true;
      if (['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].includes(name))
        return true;
      if (name === 'te' && value !== 'trailers') return true;
      if (name === 'host' && seen.has('host')) return true;
    }
    seen.set(name, [...(seen.get(name) ?? []), value]);
  }
  const lengths = seen.get('content-length') ?? [];
  if (lengths.some((length) => !/^\d{1,15}$/.test(length)) || new Set(lengths.map(Number)).size > 1)
    return true;
  const method = seen.get(':method')?.[0];
  // A length that the content does not keep is the stream's affair: it depends on what was refused before.
  if (method === 'CONNECT') return seen.has(':scheme') || seen.has(':path') || !seen.has(':authority');
  return method === undefined || !seen.has(':scheme') || !seen.has(':path') || seen.get(':path')?.[0] === '';
}
