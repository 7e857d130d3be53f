/**
 * A client's connection as the server sees it: opens a call for each stream, answers with headers, messages
 * and trailers, polices resets and pings as grpc-go does, and drains in two steps (RFC 9113 §6.8). It knows
 * no method: calls go to the acceptor it was given.
 */
import type { Timer } from '@keelson/base';
import { Connection, type Shared } from './connection.ts';
import type { Deadlines, Due } from './deadlines.ts';
import { ConnectionError, ErrorCode, PREFACE, STREAM_ID_MAX, Setting } from './frames.ts';
import { deflate, eachHeader, metadataFrom, percentEncode, type Refusal } from './grpc.ts';
import { HeadReader, malformedTrailers, requestHead, type EarlyAnswer, type RequestHead } from './heads.ts';
import { Meter } from './limits.ts';
import type { Metadata } from './metadata.ts';
import type { PeerCertificate } from './peer-certificate.ts';
import type { Pipe } from './pipe.ts';
import { CANCELLED_TEXT, DEADLINE_TEXT, StatusCode } from './status.ts';
import { Stream } from './stream.ts';
import type { Acceptor, ServerSink, ServerWire } from './wire.ts';

export interface ServerShared extends Shared {
  readonly accept: Acceptor;
  readonly deadlines: Deadlines;
  readonly streamsMax: number | undefined;
  /** The connection's last stream is gone and it was asked to end, or it broke. */
  readonly gone: (connection: ServerConnection) => void;
}

const DRAIN_PING = Buffer.from('draining', 'latin1');
/** A client that does not answer the drain's ping is told the last stream without it. */
const DRAIN_PING_MS = 1000;

/** A block, and the state of the encoder it is right for. */
interface Template {
  bytes: Buffer;
  version: number;
}

export class ServerConnection extends Connection<ServerStream> {
  declare protected readonly shared: ServerShared;
  protected override readonly enablePushMax = 1;
  private readonly heads: HeadReader<RequestHead>;
  private prefaceSeen = 0;
  /** Calls the client reset whose handlers still run. */
  private runningOn = 0;
  private readonly resets: Meter | undefined;
  private pingStrikes = 0;
  private pingedMs = -Infinity;
  private answeredSincePing = false;
  private dataAtPing = 0;
  private draining: 'no' | 'announced' | 'last' = 'no';
  /** Of the handshake, later of the drain. */
  private timer: Timer;
  private readonly responseTemplate: Template = { bytes: Buffer.alloc(0), version: -1 };
  private readonly trailersTemplate: Template = { bytes: Buffer.alloc(0), version: -1 };

  constructor(pipe: Pipe, shared: ServerShared) {
    super(pipe, shared);
    this.heads = new HeadReader(this.decoder, requestHead);
    this.resets = this.limits.resets === undefined ? undefined : new Meter(this.limits.resets);
    this.sendSettings(
      shared.streamsMax === undefined ? [] : [[Setting.MaxConcurrentStreams, shared.streamsMax]],
    );
    this.timer = this.clock.setTimer(this.limits.handshakeMs, () => this.cut('no handshake in time'));
  }

  get peer(): string {
    return this.pipe.peer;
  }

  get peerCertificate(): PeerCertificate | undefined {
    return this.pipe.peerCertificate;
  }

  /** No new call from here on; the connection ends after the last one. */
  drain(): void {
    if (this.dead || this.draining !== 'no') return;
    if (!this.settingsSeen) {
      this.finish('draining');
      return;
    }
    this.draining = 'announced';
    // Calls on their way are still taken: the client learns first, and answers when it has.
    this.sendGoaway(STREAM_ID_MAX, ErrorCode.NoError, 'graceful_stop');
    this.sendPing(DRAIN_PING);
    this.timer = this.clock.setTimer(DRAIN_PING_MS, () => this.sayLast());
  }

  private sayLast(): void {
    this.timer.cancel();
    if (this.dead || this.draining !== 'announced') return;
    this.draining = 'last';
    this.sendGoaway(this.lastPeerStream, ErrorCode.NoError, 'graceful_stop');
    this.endIfIdle();
  }

  private endIfIdle(): void {
    if (this.draining === 'last' && this.streams.size === 0) queueMicrotask(() => this.finish('draining'));
  }

  // Answers.

  /** HEADERS of a response nobody added anything to. */
  openResponse(id: number, headers: Metadata | undefined, encoding: string | undefined): void {
    this.answeredSincePing = true;
    const template = this.responseTemplate;
    if (headers === undefined && encoding === undefined && template.version === this.encoder.version) {
      this.sendHeaders(id, template.bytes, false);
      return;
    }
    const encoder = this.encoder;
    const version = encoder.version;
    encoder.begin();
    encoder.field(':status', '200', 'indexed');
    encoder.field('content-type', 'application/grpc', 'indexed');
    if (encoding !== undefined) encoder.field('grpc-encoding', encoding, 'indexed');
    if (headers !== undefined) eachHeader(headers, (name, value) => encoder.field(name, value, 'never'));
    const bytes = encoder.end();
    if (headers === undefined && encoding === undefined && encoder.version === version) {
      template.bytes = bytes;
      template.version = version;
    }
    this.sendHeaders(id, bytes, false);
  }

  /** The HEADERS that end a call. @param first nothing was sent before: the response is trailers only */
  closeResponse(
    id: number,
    first: boolean,
    httpStatus: string,
    code: StatusCode,
    details: string,
    trailers: Metadata | undefined,
  ): void {
    this.answeredSincePing = true;
    const plain = !first && code === StatusCode.OK && details === '' && trailers === undefined;
    const template = this.trailersTemplate;
    if (plain && template.version === this.encoder.version) {
      this.sendHeaders(id, template.bytes, true);
      return;
    }
    const encoder = this.encoder;
    const version = encoder.version;
    encoder.begin();
    if (first) {
      encoder.field(':status', httpStatus, 'indexed');
      encoder.field('content-type', 'application/grpc', 'indexed');
    }
    encoder.field('grpc-status', `${code}`, 'indexed');
    if (details !== '') encoder.field('grpc-message', percentEncode(details), 'plain');
    if (trailers !== undefined) eachHeader(trailers, (name, value) => encoder.field(name, value, 'never'));
    const bytes = encoder.end();
    if (plain && encoder.version === version) {
      template.bytes = bytes;
      template.version = version;
    }
    this.sendHeaders(id, bytes, true);
  }

  /** The call is answered in full: the stream ends, and so does what the client still sends on it. */
  answered(stream: ServerStream): void {
    if (stream.remoteEnded) this.forget(stream.id, false);
    else this.reset(stream.id, ErrorCode.NoError);
  }

  handlerEnded(): void {
    this.runningOn--;
  }

  /** A stream of ours found that the client broke a rule on it. */
  violated(id: number, code: ErrorCode, why: string): void {
    this.streamError(id, code, why);
  }

  protected override forget(id: number, byReset: boolean): void {
    super.forget(id, byReset);
    this.endIfIdle();
  }

  // Requests.

  protected override prefaceArrived(bytes: Buffer, start: number): number {
    let at = start;
    while (this.prefaceSeen < PREFACE.length) {
      if (at === bytes.length) return -1;
      if (bytes[at] !== PREFACE[this.prefaceSeen]) return -2;
      at++;
      this.prefaceSeen++;
    }
    return at;
  }

  protected override wasOpened(id: number): boolean {
    return id % 2 === 1 && id <= this.lastPeerStream;
  }

  protected override headersArrived(
    id: number,
    bytes: Buffer,
    start: number,
    end: number,
    ends: boolean,
  ): void {
    if (id <= this.lastPeerStream || id % 2 === 0) {
      this.laterHeaders(id, bytes, start, end, ends);
      return;
    }
    this.lastPeerStream = id;
    const head = this.heads.head(bytes, start, end);
    if (head.malformed !== undefined) {
      this.streamError(id, ErrorCode.ProtocolError, head.malformed);
      return;
    }
    const { streamsMax } = this.shared;
    if (
      this.draining === 'last' ||
      (streamsMax !== undefined && this.streams.size + this.runningOn >= streamsMax) ||
      this.stalledBytes > this.limits.stalledBytesMax
    ) {
      this.reset(id, ErrorCode.RefusedStream);
      return;
    }
    if (head.refused !== undefined) {
      this.refuseEarly(id, head.refused, ends);
      return;
    }
    const stream = new ServerStream(id, this, this.shared, this.peerStreamWindow, head);
    this.streams.set(id, stream);
    stream.remoteEnded = ends;
    stream.begin(this.shared.accept);
    if (ends && !stream.closed) stream.endArrived();
  }

  private refuseEarly(id: number, answer: EarlyAnswer, ends: boolean): void {
    this.closeResponse(id, true, answer.httpStatus, answer.code, answer.text, undefined);
    if (ends) this.forget(id, false);
    else this.reset(id, ErrorCode.NoError);
  }

  /** HEADERS on a stream that is not new: trailers of a request, or an error. */
  private laterHeaders(id: number, bytes: Buffer, start: number, end: number, ends: boolean): void {
    if (id % 2 === 0) throw new ConnectionError(ErrorCode.ProtocolError, 'an even stream from a client');
    const stream = this.streams.get(id);
    if (stream === undefined && !this.lateByReset(id)) {
      if (this.closedOrderly(id))
        throw new ConnectionError(ErrorCode.StreamClosed, 'HEADERS on a closed stream');
      throw new ConnectionError(ErrorCode.ProtocolError, 'a stream below an earlier one');
    }
    // Read in any case: the table must stay in step.
    const block = this.decoder.decode(bytes, start, end);
    if (stream === undefined) return;
    if (stream.remoteEnded)
      this.streamError(id, ErrorCode.StreamClosed, 'HEADERS behind the end of the stream');
    else {
      const malformed = ends ? malformedTrailers(block) : 'trailers that do not end the stream';
      if (malformed === undefined) stream.endArrived();
      else this.streamError(id, ErrorCode.ProtocolError, malformed);
    }
  }

  protected override resetArrived(stream: ServerStream, _code: number): void {
    if (this.resets !== undefined && !this.resets.take(this.clock.monotonicMs()))
      throw new ConnectionError(ErrorCode.EnhanceYourCalm, 'too_many_resets');
    // Not as one of ours: what the client still sends on it is no late arrival but an error (§5.1).
    this.forget(stream.id, false);
    this.runningOn++;
    stream.cancelled(StatusCode.Cancelled, CANCELLED_TEXT);
  }

  protected override streamFailed(stream: ServerStream): void {
    this.runningOn++;
    stream.cancelled(StatusCode.Cancelled, CANCELLED_TEXT);
  }

  /** A call that the transport ended: its handler may run on. */
  abandoned(): void {
    this.runningOn++;
  }

  protected override goawayArrived(): void {
    // The client opens no more calls; those it has go on.
  }

  /**
   * grpc-go's policy: early pings are strikes, unless headers or messages left in between (Go's clients
   * measure their bandwidth with a ping behind what they receive).
   */
  protected override pingArrived(): boolean {
    const nowMs = this.clock.monotonicMs();
    const sinceMs = nowMs - this.pingedMs;
    this.pingedMs = nowMs;
    if (this.answeredSincePing || this.out.dataCount !== this.dataAtPing) {
      this.dataAtPing = this.out.dataCount;
      this.answeredSincePing = false;
      this.pingStrikes = 0;
      return true;
    }
    const { pingIntervalMs, pingIdleIntervalMs, pingStrikesMax } = this.limits;
    if (sinceMs < (this.streams.size === 0 ? pingIdleIntervalMs : pingIntervalMs)) this.pingStrikes++;
    return this.pingStrikes <= pingStrikesMax;
  }

  protected override pongArrived(payload: Buffer): void {
    if (payload.equals(DRAIN_PING)) this.sayLast();
  }

  protected override settingsArrived(): void {
    this.timer.cancel();
  }

  protected override settingsChanged(): void {
    // A client opens the streams: how many it would allow us is nothing to us.
  }

  override keepsAlive(): boolean {
    return true;
  }

  protected override lost(): void {
    this.timer.cancel();
    for (const stream of this.streams.values()) {
      this.runningOn++;
      stream.cancelled(StatusCode.Cancelled, CANCELLED_TEXT);
    }
    this.shared.gone(this);
  }
}

/** What to end the call with once the queue is empty. */
interface Ending {
  readonly code: StatusCode;
  readonly details: string;
  readonly trailers: Metadata | undefined;
}

class ServerStream extends Stream implements ServerWire, Due {
  readonly path: string;
  readonly deadlineMs: number | undefined;
  private readonly connection: ServerConnection;
  private readonly deadlines: Deadlines;
  private readonly head: RequestHead;
  private deadlineStep = 0;
  private received: Metadata | undefined = undefined;
  private sink: ServerSink | undefined = undefined;
  private headers: Metadata | undefined = undefined;
  private opened = false;
  private ending: Ending | undefined = undefined;
  private finished = false;

  constructor(
    id: number,
    connection: ServerConnection,
    shared: ServerShared,
    sendBytes: number,
    head: RequestHead,
  ) {
    super(id, connection, sendBytes, shared.limits.streamWindowBytes, shared.receiveBytesMax);
    this.connection = connection;
    this.deadlines = shared.deadlines;
    this.head = head;
    this.path = head.path;
    this.encoding = head.encoding;
    this.expectedBytes = head.contentLength;
    // As grpc-go: who compresses gets compressed answers.
    if (head.encoding === 'gzip') this.compress = deflate;
    if (head.timeoutMs === undefined) {
      this.deadlineMs = undefined;
    } else {
      this.deadlineMs = shared.clock.monotonicMs() + head.timeoutMs;
      this.deadlineStep = this.deadlines.add(this, this.deadlineMs);
    }
  }

  begin(accept: Acceptor): void {
    this.sink = accept(this);
  }

  get peer(): string {
    return this.connection.peer;
  }

  get peerCertificate(): PeerCertificate | undefined {
    return this.connection.peerCertificate;
  }

  /** Built when asked for: many handlers never look. */
  get metadata(): Metadata {
    this.received ??= metadataFrom(this.head.pairs);
    return this.received;
  }

  // From the dispatcher.

  sendHeaders(headers: Metadata): void {
    this.headers = headers;
  }

  send(bytes: Buffer): boolean {
    if (this.closed) return false;
    if (!this.opened) this.open();
    return this.sendMessage(bytes);
  }

  finish(code: StatusCode, details: string, trailers: Metadata | undefined): void {
    if (this.closed || this.finished) return;
    this.finished = true;
    if (this.queueEmpty) {
      this.close(code, details, trailers);
    } else {
      this.reading = false;
      this.ending = { code, details, trailers };
    }
  }

  setReading(on: boolean): void {
    this.setReadingTo(on);
  }

  handlerEnded(): void {
    this.connection.handlerEnded();
  }

  // From the connection.

  deadlinePassed(): void {
    this.refuse({ code: StatusCode.DeadlineExceeded, text: DEADLINE_TEXT });
  }

  /** The call is over without our answer. */
  cancelled(code: StatusCode, details: string): void {
    const { sink } = this;
    this.letGo();
    if (this.finished || sink === undefined) this.connection.handlerEnded();
    else sink.cancelArrived(code, details);
  }

  // From the stream.

  protected override arrived(bytes: Buffer): void {
    this.sink?.messageArrived(bytes);
  }

  protected override ended(): void {
    this.sink?.halfCloseArrived();
  }

  protected override drained(): void {
    if (!this.finished) this.sink?.drainArrived();
  }

  protected override miscounted(why: string): void {
    this.connection.violated(this.id, ErrorCode.ProtocolError, why);
  }

  protected override emptied(): void {
    const { ending } = this;
    if (ending !== undefined) this.close(ending.code, ending.details, ending.trailers);
  }

  /** The transport's own verdict: the client gets it as status, the handler as cancellation. */
  protected override refuse(refusal: Refusal): void {
    if (this.closed) return;
    const told = this.finished;
    this.finished = true;
    const { sink } = this;
    this.close(refusal.code, refusal.text, undefined);
    if (told || sink === undefined) return;
    this.connection.abandoned();
    sink.cancelArrived(refusal.code, refusal.text);
  }

  private open(): void {
    this.opened = true;
    this.connection.openResponse(this.id, this.headers, this.compress === undefined ? undefined : 'gzip');
  }

  private close(code: StatusCode, details: string, trailers: Metadata | undefined): void {
    if (!this.opened && this.headers !== undefined) this.open();
    this.connection.closeResponse(this.id, !this.opened, '200', code, details, trailers);
    this.letGo();
    this.connection.answered(this);
  }

  private letGo(): void {
    if (this.deadlineMs !== undefined) this.deadlines.remove(this, this.deadlineStep);
    this.release();
  }
}
