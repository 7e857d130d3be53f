/**
 * One HTTP/2 connection (RFC 9113) without its socket: frames in, judged, bytes out once a turn. Here is what
 * client and server have in common: settings, windows, pings, GOAWAY, what belongs on which stream, and every
 * flood bound. Streams are opened by the heirs. It owns no socket and sets timers by the clock it was
 * given; a violation ends it with GOAWAY and the RFC's code.
 */
import type { Clock, Timer } from '@keelson/base';
import { ClosedStreams } from './closed-streams.ts';
import { ReceiveWindow, SendWindow } from './flow-control.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import {
  ConnectionError,
  DEFAULT_WINDOW,
  ErrorCode,
  FRAME_HEADER_BYTES,
  FRAME_SIZE_MAX,
  FRAME_SIZE_MIN,
  Flag,
  FrameType,
  Setting,
  WINDOW_MAX,
  readUint31,
  readUint32,
  settingsPayload,
  writeUint32,
} from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { HeaderDecoder, HeaderEncoder } from './hpack.ts';
import { Keepalive } from './keepalive.ts';
import { Meter, type Limits } from './limits.ts';
import { OutBuffer, type SlabPool } from './out-buffer.ts';
import type { Pipe } from './pipe.ts';
import type { Stream, StreamHost } from './stream.ts';
import type { Turn } from './turn.ts';

/** What all connections of one server or channel share. */
export interface Shared {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly pool: SlabPool;
  readonly turn: Turn;
  readonly keepaliveIntervalMs: number | undefined;
  readonly keepaliveTimeoutMs: number;
  readonly receiveBytesMax: number;
}

const NO_BYTES = Buffer.alloc(0);
const PING_BYTES = 8;

export abstract class Connection<S extends Stream> implements StreamHost, FrameSink {
  readonly out: OutBuffer;
  readonly window = new SendWindow(DEFAULT_WINDOW);
  frameBytesMax = FRAME_SIZE_MIN;
  busy = false;
  /** No frame is read and none is written any more. */
  dead = false;
  /** Goes up with each write: what was put in `out` before it has left. */
  turns = 0;
  protected readonly pipe: Pipe;
  protected readonly shared: Shared;
  protected readonly limits: Limits;
  protected readonly clock: Clock;
  protected readonly decoder: HeaderDecoder;
  protected readonly encoder = new HeaderEncoder();
  protected readonly streams = new Map<number, S>();
  protected peerStreamWindow = DEFAULT_WINDOW;
  protected peerStreamsMax = Infinity;
  protected settingsSeen = false;
  /** The highest stream the peer opened (a server's view). */
  protected lastPeerStream = 0;
  protected stalledBytes = 0;
  private readonly receiveWindow: ReceiveWindow;
  private readonly awaiting = new Set<Stream>();
  private unreadBytes = 0;
  private dirty = false;
  private inRead = false;
  /** GOAWAY for an error is the last that is said. */
  private failed = false;
  /** Streams whose end came in this read, as an empty frame. */
  private ending: S[] = [];
  private readonly reader: FrameReader;
  private readonly block: HeaderBlock;
  private readonly closedLately = new ClosedStreams();
  private readonly settingsMeter: Meter;
  private readonly idleMeter: Meter;
  private readonly errorMeter: Meter;
  private settingsUnanswered = 1;
  heardMs: number;
  private readonly keepalive: Keepalive | undefined;
  private lingerTimer: Timer | undefined = undefined;

  constructor(pipe: Pipe, shared: Shared) {
    const { limits } = shared;
    this.pipe = pipe;
    this.shared = shared;
    this.limits = limits;
    this.clock = shared.clock;
    this.out = new OutBuffer(shared.pool);
    this.reader = new FrameReader(this);
    this.block = new HeaderBlock(limits);
    this.decoder = new HeaderDecoder(limits.headerBytesMax, limits.headerPairsMax);
    this.receiveWindow = new ReceiveWindow(limits.connectionWindowBytes);
    this.settingsMeter = new Meter(limits.settings);
    this.idleMeter = new Meter(limits.idleFrames);
    this.errorMeter = new Meter(limits.streamErrors);
    this.heardMs = this.clock.monotonicMs();
    this.keepalive =
      shared.keepaliveIntervalMs === undefined
        ? undefined
        : new Keepalive(this.clock, shared.keepaliveIntervalMs, shared.keepaliveTimeoutMs, this);
  }

  /** Streams that are open, or that only their call's end keeps. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** What lies here for a while: messages nobody read, messages that wait for a window, and pieces of frames. */
  get heldBytes(): number {
    const { unreadBytes, stalledBytes, block, reader, out } = this;
    return unreadBytes + stalledBytes + block.heldBytes + reader.heldBytes + out.bytes;
  }

  // What the heirs do.

  /** A whole header block. @throws ConnectionError */
  protected abstract headersArrived(
    id: number,
    bytes: Buffer,
    start: number,
    end: number,
    ends: boolean,
  ): void;
  /** Whether a stream of this id was ever opened. */
  protected abstract wasOpened(id: number): boolean;
  /** The largest SETTINGS_ENABLE_PUSH the peer may say: a server may not ask for what only it does (§6.5.2). */
  protected abstract readonly enablePushMax: number;
  protected abstract resetArrived(stream: S, code: number): void;
  /** We reset a stream because the peer broke a rule on it; its call must be told. */
  protected abstract streamFailed(stream: S, code: ErrorCode, why: string): void;
  protected abstract goawayArrived(lastStream: number, code: number, debug: string): void;
  /** @returns false when the peer pings too often */
  protected abstract pingArrived(): boolean;
  protected abstract pongArrived(payload: Buffer): void;
  protected abstract settingsArrived(): void;
  /** The peer changed its settings. */
  protected abstract settingsChanged(): void;
  /** The connection is gone; every call on it must be told. Once. */
  protected abstract lost(why: string): void;
  /** Whether keepalive pings are due while nothing arrives. */
  abstract keepsAlive(): boolean;
  /** The first bytes that are no frames. @returns where frames begin; -1: not yet; -2: refused */
  protected abstract prefaceArrived(bytes: Buffer, start: number): number;

  /** Our first frames. */
  protected sendSettings(pairs: readonly (readonly [number, number])[]): void {
    const { limits } = this;
    this.out.frame(
      FrameType.Settings,
      0,
      0,
      settingsPayload([
        ...pairs,
        [Setting.InitialWindowSize, limits.streamWindowBytes],
        [Setting.MaxHeaderListSize, limits.headerBytesMax],
      ]),
    );
    const more = limits.connectionWindowBytes - DEFAULT_WINDOW;
    if (more > 0) this.out.frameOfUint32(FrameType.WindowUpdate, 0, more);
    this.touched();
  }

  // Out.

  touched(): void {
    if (this.dead) return;
    // A turn that writes much does not wait for its end: the socket must have its say.
    if (this.out.bytes > this.limits.socketHighWaterBytes) {
      this.flush();
      return;
    }
    if (this.dirty) return;
    this.dirty = true;
    // Within a read everything is written at its end.
    if (!this.inRead) this.shared.turn.add(this);
  }

  /** Writes all that was put in `out`: once a turn. */
  flush(): void {
    this.dirty = false;
    if (this.dead) return;
    if (!this.failed && this.unreadBytes <= this.limits.unreadBytesMax) this.giveBack();
    if (this.out.bytes === 0) return;
    this.turns++;
    this.out.flush(this.write);
    const pending = this.pipe.pendingBytes;
    this.busy = pending > this.limits.socketHighWaterBytes;
    if (pending > this.limits.socketBytesMax) this.cut('the peer does not read');
  }

  private giveBack(): void {
    const increment = this.receiveWindow.due();
    if (increment > 0) this.out.frameOfUint32(FrameType.WindowUpdate, 0, increment);
  }

  /** The socket took what it held. */
  drained(): void {
    if (this.dead || !this.busy) return;
    this.busy = false;
    this.resumeStreams();
  }

  await(stream: Stream): void {
    this.awaiting.add(stream);
  }

  unread(bytes: number): void {
    this.unreadBytes += bytes;
  }

  stalled(bytes: number): void {
    this.stalledBytes += bytes;
  }

  announce(streamId: number, increment: number): void {
    if (this.dead) return;
    this.out.frameOfUint32(FrameType.WindowUpdate, streamId, increment);
    this.touched();
  }

  /** Resets a stream, whatever its state, and remembers that it was us. */
  protected reset(id: number, code: ErrorCode): void {
    if (this.dead) return;
    this.out.frameOfUint32(FrameType.RstStream, id, code);
    this.touched();
    this.forget(id, true);
  }

  /** Takes a stream off the books. */
  protected forget(id: number, byReset: boolean): void {
    this.streams.delete(id);
    this.closedLately.add(id, byReset);
  }

  /** Whether we reset the stream not long ago: the peer's frames for it are no fault. */
  protected lateByReset(id: number): boolean {
    return this.closedLately.byReset(id);
  }

  protected closedOrderly(id: number): boolean {
    return this.closedLately.orderly(id);
  }

  /** Writes a header block, in pieces if the peer's frames are too small for it. */
  protected sendHeaders(id: number, block: Buffer, ends: boolean): void {
    const flags = ends ? Flag.EndStream : 0;
    const most = this.frameBytesMax;
    if (block.length <= most) {
      this.out.frame(FrameType.Headers, flags | Flag.EndHeaders, id, block);
    } else {
      this.out.frame(FrameType.Headers, flags, id, block.subarray(0, most));
      for (let at = most; at < block.length; at += most) {
        const last = at + most >= block.length;
        this.out.frame(FrameType.Continuation, last ? Flag.EndHeaders : 0, id, block.subarray(at, at + most));
      }
    }
    this.touched();
  }

  protected sendGoaway(lastStream: number, code: ErrorCode, debug: string): void {
    const payload = Buffer.alloc(8 + debug.length);
    writeUint32(payload, writeUint32(payload, 0, lastStream), code);
    payload.write(debug, 8, 'latin1');
    this.out.frame(FrameType.Goaway, 0, 0, payload);
    this.touched();
  }

  sendPing(payload: Buffer): void {
    this.out.frame(FrameType.Ping, 0, 0, payload);
    this.touched();
  }

  /** Ends the connection with GOAWAY; the peer gets a moment to read it. */
  fail(code: ErrorCode, why: string): void {
    if (this.dead) return;
    this.failed = true;
    this.sendGoaway(this.lastPeerStream, code, why.slice(0, 200));
    this.finish(why);
  }

  /** Sends what is queued, then closes. Calls that still run are lost. */
  finish(why: string): void {
    if (this.dead) return;
    this.flush();
    if (this.dead) return;
    this.stop(why);
    this.pipe.end();
    this.lingerTimer = this.clock.setTimer(this.limits.lingerMs, () => this.pipe.destroy());
  }

  /** Ends the connection without a word. */
  cut(why: string): void {
    if (this.dead) return;
    this.stop(why);
    this.pipe.destroy();
  }

  /** The socket is closed, from whichever side. */
  closed(why: string): void {
    this.lingerTimer?.cancel();
    this.stop(why);
  }

  private stop(why: string): void {
    if (this.dead) return;
    this.dead = true;
    this.keepalive?.stop();
    this.awaiting.clear();
    this.reader.clear();
    this.block.clear();
    this.lost(why);
    this.streams.clear();
    this.out.clear();
  }

  private readonly write = (chunks: readonly Buffer[]): boolean => this.pipe.write(chunks);

  /** Streams that wait for the connection take turns, one frame each. */
  private resumeStreams(): void {
    while (this.awaiting.size > 0 && this.window.left > 0 && !this.busy && !this.dead) {
      const round = [...this.awaiting];
      for (const stream of round) {
        if (this.window.left <= 0 || this.busy) return;
        this.awaiting.delete(stream);
        stream.resumed();
        // A window of gigabytes must not become a buffer of gigabytes.
        if (this.out.bytes > this.limits.socketHighWaterBytes) this.flush();
      }
    }
  }

  // In.

  /** Bytes from the socket, in order. They stay as they are for ever: messages are views of them. */
  bytesArrived(bytes: Buffer): void {
    if (this.dead) return;
    this.heardMs = this.clock.monotonicMs();
    this.inRead = true;
    try {
      this.parse(bytes);
      if (this.ending.length > 0) this.endStreams();
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.fail(error.code, error.message);
    } finally {
      this.inRead = false;
    }
    if (!this.dead) this.flush();
  }

  /** Delivers the ends that came as frames of their own, now that the whole read was seen. */
  private endStreams(): void {
    const { ending } = this;
    this.ending = [];
    for (const stream of ending) if (!stream.closed) stream.endArrived();
  }

  private parse(bytes: Buffer): void {
    const at = this.prefaceArrived(bytes, 0);
    if (at === -2) this.cut('no HTTP/2 preface');
    else if (at !== -1) this.reader.read(bytes, at);
  }

  /** One whole frame, its header at `start`. */
  frameArrived(bytes: Buffer, start: number, end: number): void {
    const type = bytes[start + 3];
    const flags = bytes[start + 4];
    const id = readUint31(bytes, start + 5);
    const from = start + FRAME_HEADER_BYTES;
    if (this.block.streamId !== 0 && (type !== FrameType.Continuation || id !== this.block.streamId))
      throw new ConnectionError(ErrorCode.ProtocolError, 'a frame inside a header block');
    if (!this.settingsSeen && (type !== FrameType.Settings || (flags & Flag.Ack) !== 0))
      throw new ConnectionError(ErrorCode.ProtocolError, 'no settings first');
    switch (type) {
      case FrameType.Data:
        this.onData(bytes, from, end, flags, id);
        break;
      case FrameType.Headers:
        this.onHeaders(bytes, from, end, flags, id);
        break;
      case FrameType.WindowUpdate:
        this.onWindowUpdate(bytes, from, end, id);
        break;
      case FrameType.RstStream:
        this.onReset(bytes, from, end, id);
        break;
      case FrameType.Settings:
        this.onSettings(bytes, from, end, flags, id);
        break;
      case FrameType.Ping:
        this.onPing(bytes, from, end, flags, id);
        break;
      case FrameType.Goaway:
        if (id !== 0) throw new ConnectionError(ErrorCode.ProtocolError, 'GOAWAY on a stream');
        if (end - from < 8) throw new ConnectionError(ErrorCode.FrameSizeError, 'a short GOAWAY');
        this.goawayArrived(
          readUint31(bytes, from),
          readUint32(bytes, from + 4),
          bytes.toString('latin1', from + 8, Math.min(end, from + 208)),
        );
        break;
      case FrameType.Continuation:
        this.onContinuation(bytes, from, end, flags);
        break;
      case FrameType.Priority:
        this.onPriority(from, end, id);
        break;
      case FrameType.PushPromise:
        throw new ConnectionError(ErrorCode.ProtocolError, 'PUSH_PROMISE');
      default:
        this.idleFrame();
    }
  }

  private onData(bytes: Buffer, from: number, to: number, flags: number, id: number): void {
    if (id === 0) throw new ConnectionError(ErrorCode.ProtocolError, 'DATA on the connection');
    const size = to - from;
    let start = from;
    let end = to;
    if ((flags & Flag.Padded) !== 0) {
      const padding = size > 0 ? bytes[from] + 1 : 1;
      if (padding > size) throw new ConnectionError(ErrorCode.ProtocolError, 'padding longer than its frame');
      start++;
      end -= padding - 1;
    }
    if (!this.receiveWindow.take(size))
      throw new ConnectionError(ErrorCode.FlowControlError, 'more than the connection window');
    this.receiveWindow.release(size);
    const stream = this.streams.get(id);
    const ends = (flags & Flag.EndStream) !== 0;
    if (stream === undefined || stream.remoteEnded) {
      this.dataNowhere(id, stream);
      return;
    }
    if (!stream.takeWindow(size)) {
      this.streamError(id, ErrorCode.FlowControlError, 'more than the stream window');
      return;
    }
    // Known before the content is: an answer to it need not reset what has ended anyway.
    if (ends) stream.remoteEnded = true;
    if (start < end) stream.bytesArrived(bytes, start, end);
    else if (!ends) this.idleFrame();
    if (!ends || stream.closed) return;
    // An empty last frame may be followed by the reset that explains it (node's http2 ends, then resets).
    if (start < end) stream.endArrived();
    else this.ending.push(stream);
  }

  private dataNowhere(id: number, stream: S | undefined): void {
    if (!this.wasOpened(id)) throw new ConnectionError(ErrorCode.ProtocolError, 'DATA on an idle stream');
    // After our reset the peer may not know yet.
    if (stream === undefined && this.lateByReset(id)) return;
    this.streamError(id, ErrorCode.StreamClosed, 'DATA behind the end of the stream');
  }

  private onHeaders(bytes: Buffer, from: number, to: number, flags: number, id: number): void {
    if (id === 0) throw new ConnectionError(ErrorCode.ProtocolError, 'HEADERS on the connection');
    let start = from;
    let end = to;
    if ((flags & Flag.Padded) !== 0) {
      if (start === end || bytes[start] > end - start - 1)
        throw new ConnectionError(ErrorCode.ProtocolError, 'padding longer than its frame');
      end -= bytes[start];
      start++;
    }
    if ((flags & Flag.Priority) !== 0) {
      if (end - start < 5) throw new ConnectionError(ErrorCode.FrameSizeError, 'a short priority');
      // What it says is nothing to us (§5.3.2).
      start += 5;
    }
    const ends = (flags & Flag.EndStream) !== 0;
    if ((flags & Flag.EndHeaders) !== 0) {
      this.headersArrived(id, bytes, start, end, ends);
      return;
    }
    this.block.begin(id, ends, bytes.subarray(start, end));
  }

  private onContinuation(bytes: Buffer, from: number, end: number, flags: number): void {
    const { block } = this;
    const id = block.streamId;
    if (id === 0) throw new ConnectionError(ErrorCode.ProtocolError, 'CONTINUATION of nothing');
    block.add(bytes.subarray(from, end));
    if ((flags & Flag.EndHeaders) === 0) return;
    const whole = block.take();
    this.headersArrived(id, whole, 0, whole.length, block.ends);
  }

  private onWindowUpdate(bytes: Buffer, from: number, end: number, id: number): void {
    if (end - from !== 4)
      throw new ConnectionError(ErrorCode.FrameSizeError, 'WINDOW_UPDATE of a wrong size');
    const increment = readUint31(bytes, from);
    if (id === 0) {
      if (increment === 0) throw new ConnectionError(ErrorCode.ProtocolError, 'an increment of 0');
      if (!this.window.grow(increment))
        throw new ConnectionError(ErrorCode.FlowControlError, 'a connection window above 2^31-1');
      this.resumeStreams();
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (!this.wasOpened(id))
        throw new ConnectionError(ErrorCode.ProtocolError, 'WINDOW_UPDATE on an idle stream');
      return;
    }
    if (increment === 0) this.streamError(id, ErrorCode.ProtocolError, 'an increment of 0');
    else if (!stream.window.grow(increment))
      this.streamError(id, ErrorCode.FlowControlError, 'a stream window above 2^31-1');
    else stream.pump();
  }

  private onReset(bytes: Buffer, from: number, end: number, id: number): void {
    if (end - from !== 4) throw new ConnectionError(ErrorCode.FrameSizeError, 'RST_STREAM of a wrong size');
    if (id === 0 || !this.wasOpened(id))
      throw new ConnectionError(ErrorCode.ProtocolError, 'RST_STREAM on an idle stream');
    const stream = this.streams.get(id);
    if (stream !== undefined) this.resetArrived(stream, readUint32(bytes, from));
  }

  private onPriority(from: number, end: number, id: number): void {
    if (id === 0) throw new ConnectionError(ErrorCode.ProtocolError, 'PRIORITY on the connection');
    if (end - from !== 5) {
      // Of an idle stream there is nothing to reset.
      if (!this.wasOpened(id))
        throw new ConnectionError(ErrorCode.FrameSizeError, 'PRIORITY of a wrong size');
      this.streamError(id, ErrorCode.FrameSizeError, 'PRIORITY of a wrong size');
    }
    this.idleFrame();
  }

  private onSettings(bytes: Buffer, from: number, end: number, flags: number, id: number): void {
    if (id !== 0) throw new ConnectionError(ErrorCode.ProtocolError, 'SETTINGS on a stream');
    if ((flags & Flag.Ack) !== 0) {
      if (from !== end)
        throw new ConnectionError(ErrorCode.FrameSizeError, 'an acknowledgement with settings');
      if (this.settingsUnanswered === 0) this.idleFrame();
      else this.settingsUnanswered--;
      return;
    }
    if ((end - from) % 6 !== 0)
      throw new ConnectionError(ErrorCode.FrameSizeError, 'SETTINGS of a wrong size');
    if (!this.settingsMeter.take(this.clock.monotonicMs()))
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too_many_settings');
    const before = this.peerStreamWindow;
    for (let at = from; at < end; at += 6)
      this.applySetting((bytes[at] << 8) | bytes[at + 1], readUint32(bytes, at + 2));
    this.out.frame(FrameType.Settings, Flag.Ack, 0, NO_BYTES);
    this.touched();
    // Behind the acknowledgement, for the peer grants what it said only from there on (§6.5.3).
    if (this.peerStreamWindow > before) for (const stream of this.streams.values()) stream.pump();
    const first = !this.settingsSeen;
    this.settingsSeen = true;
    if (first) this.settingsArrived();
    else this.settingsChanged();
  }

  private applySetting(id: number, value: number): void {
    switch (id) {
      case Setting.HeaderTableSize:
        this.encoder.setTableSize(value);
        break;
      case Setting.EnablePush:
        if (value > this.enablePushMax)
          throw new ConnectionError(ErrorCode.ProtocolError, `ENABLE_PUSH of ${value}`);
        break;
      case Setting.MaxConcurrentStreams:
        this.peerStreamsMax = value;
        break;
      case Setting.InitialWindowSize: {
        if (value > WINDOW_MAX)
          throw new ConnectionError(ErrorCode.FlowControlError, 'an initial window above 2^31-1');
        const change = value - this.peerStreamWindow;
        this.peerStreamWindow = value;
        for (const stream of this.streams.values()) {
          if (!stream.window.grow(change))
            throw new ConnectionError(ErrorCode.FlowControlError, 'a stream window above 2^31-1');
        }
        break;
      }
      case Setting.MaxFrameSize:
        if (value < FRAME_SIZE_MIN || value > FRAME_SIZE_MAX)
          throw new ConnectionError(ErrorCode.ProtocolError, `a maximum frame size of ${value}`);
        // Larger frames than the default win nothing and cost others their turn.
        this.frameBytesMax = FRAME_SIZE_MIN;
        break;
      default:
    }
  }

  private onPing(bytes: Buffer, from: number, end: number, flags: number, id: number): void {
    if (id !== 0) throw new ConnectionError(ErrorCode.ProtocolError, 'PING on a stream');
    if (end - from !== PING_BYTES)
      throw new ConnectionError(ErrorCode.FrameSizeError, 'PING of a wrong size');
    if ((flags & Flag.Ack) !== 0) {
      this.pongArrived(bytes.subarray(from, end));
      return;
    }
    if (!this.pingArrived()) throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too_many_pings');
    this.out.frame(FrameType.Ping, Flag.Ack, 0, bytes.subarray(from, end));
    this.touched();
  }

  /** Something came that does nothing; too much of it ends the connection. */
  idleFrame(): void {
    if (!this.idleMeter.take(this.heardMs))
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too_many_idle_frames');
  }

  /** The peer broke a rule on one stream: it is reset; too many of them end the connection. */
  protected streamError(id: number, code: ErrorCode, why: string): void {
    if (!this.errorMeter.take(this.heardMs))
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too_many_stream_errors');
    const stream = this.streams.get(id);
    this.reset(id, code);
    if (stream !== undefined) this.streamFailed(stream, code, why);
  }
}
