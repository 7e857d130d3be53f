/**
 * A connection to a server as the client sees it: opens streams, encodes a method's headers once, reads
 * responses and trailers into a status. When to dial and what to do with calls that find no connection is
 * the channel's (native-channel.ts). Nothing is ever sent twice.
 */
import { Connection, type Shared } from './connection.ts';
import type { Deadlines, Due } from './deadlines.ts';
import { ConnectionError, ErrorCode, PREFACE, STREAM_ID_MAX, Setting } from './frames.ts';
import { eachHeader, formatTimeout, isGrpcContentType, metadataFrom, type Refusal } from './grpc.ts';
import { HeadReader, responseHead, type ResponseHead } from './heads.ts';
import { Metadata } from './metadata.ts';
import type { Pipe } from './pipe.ts';
import { DEADLINE_TEXT, StatusCode } from './status.ts';
import { Stream } from './stream.ts';
import type { ClientSink, ClientWire } from './wire.ts';

/** What the channel hears of its connection. */
export interface ClientShared extends Shared {
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly deadlines: Deadlines;
  /** The server's settings are here: calls may start. */
  readonly ready: (connection: ClientConnection) => void;
  /** No more calls on this one: the server goes away, or stream numbers ran out. */
  readonly retired: (connection: ClientConnection) => void;
  /** A stream ended: another may start. */
  readonly vacated: (connection: ClientConnection) => void;
  readonly gone: (connection: ClientConnection, why: string) => void;
}

/** Blocks kept: methods times usual timeouts. */
const BLOCKS_MAX = 1024;

export class ClientConnection extends Connection<ClientStream> {
  declare protected readonly shared: ClientShared;
  protected override readonly enablePushMax = 0;
  private readonly heads: HeadReader<ResponseHead>;
  private nextStream = 1;
  private leaving = false;
  private blocks = new Map<string, Buffer>();
  private blocksVersion = -1;
  /** A grpc-timeout stands in the encoder's table. */
  private timeoutNamed = false;

  constructor(pipe: Pipe, shared: ClientShared) {
    super(pipe, shared);
    this.heads = new HeadReader(this.decoder, responseHead);
  }

  /** The preface and our settings; the pipe is open. */
  begin(): void {
    this.pipe.write([PREFACE]);
    this.sendSettings([[Setting.EnablePush, 0]]);
  }

  get isReady(): boolean {
    return this.settingsSeen && !this.dead && !this.leaving;
  }

  /** Whether another call may start now. */
  get vacant(): boolean {
    return this.isReady && this.streams.size < this.peerStreamsMax;
  }

  /** Starts a call; ask `vacant` first. */
  open(path: string, metadata: Metadata, timeoutMs: number | undefined, sink: ClientSink): ClientStream {
    const id = this.nextStream;
    this.nextStream += 2;
    const stream = new ClientStream(
      id,
      this,
      this.shared,
      this.peerStreamWindow,
      this.turns,
      timeoutMs,
      sink,
    );
    this.streams.set(id, stream);
    this.sendHeaders(id, this.requestBlock(path, metadata, timeoutMs), false);
    if (this.nextStream > STREAM_ID_MAX) this.leave();
    return stream;
  }

  /** Closes once no call is left. */
  leave(): void {
    if (this.leaving || this.dead) return;
    this.leaving = true;
    this.shared.retired(this);
    this.endIfIdle();
  }

  /** Ends every call from this side. */
  cancelAll(code: StatusCode, details: string): void {
    for (const stream of this.streams.values()) stream.cancel(code, details);
  }

  abandonStream(id: number, code: ErrorCode): void {
    this.reset(id, code);
    this.vacated();
  }

  /** A stream of ours found that the server broke a rule on it. */
  violated(id: number, why: string): void {
    this.streamError(id, ErrorCode.ProtocolError, why);
  }

  streamEnded(stream: ClientStream, ourEndSent: boolean): void {
    if (ourEndSent) this.forget(stream.id, false);
    else this.reset(stream.id, ErrorCode.NoError);
    this.vacated();
  }

  private vacated(): void {
    if (this.leaving) this.endIfIdle();
    else this.shared.vacated(this);
  }

  private endIfIdle(): void {
    if (this.leaving && this.streams.size === 0)
      queueMicrotask(() => this.finish('the connection is drained'));
  }

  private requestBlock(path: string, metadata: Metadata, timeoutMs: number | undefined): Buffer {
    const { encoder } = this;
    if (this.blocksVersion !== encoder.version || this.blocks.size > BLOCKS_MAX) {
      this.blocks.clear();
      this.blocksVersion = encoder.version;
    }
    const timeout = timeoutMs === undefined ? '' : formatTimeout(timeoutMs);
    const key = metadata.size > 0 ? '' : timeout === '' ? path : `${path} ${timeout}`;
    if (key !== '') {
      const known = this.blocks.get(key);
      if (known !== undefined) return known;
    }
    const version = encoder.version;
    encoder.begin();
    encoder.field(':method', 'POST', 'indexed');
    encoder.field(':scheme', this.shared.scheme, 'indexed');
    encoder.field(':path', path, 'indexed');
    encoder.field(':authority', this.shared.authority, 'indexed');
    encoder.field('content-type', 'application/grpc', 'indexed');
    encoder.field('user-agent', 'keelson', 'indexed');
    encoder.field('te', 'trailers', 'indexed');
    // The first timeout goes into the table for its name; the others only name it.
    if (timeout !== '') encoder.field('grpc-timeout', timeout, this.timeoutNamed ? 'plain' : 'indexed');
    if (timeout !== '') this.timeoutNamed = true;
    eachHeader(metadata, (name, value) => encoder.field(name, value, 'never'));
    const bytes = encoder.end();
    if (key !== '' && encoder.version === version) this.blocks.set(key, bytes);
    return bytes;
  }

  // From the server.

  protected override prefaceArrived(_bytes: Buffer, start: number): number {
    return start;
  }

  protected override wasOpened(id: number): boolean {
    return id % 2 === 1 && id < this.nextStream;
  }

  protected override headersArrived(
    id: number,
    bytes: Buffer,
    start: number,
    end: number,
    ends: boolean,
  ): void {
    if (!this.wasOpened(id)) throw new ConnectionError(ErrorCode.ProtocolError, 'HEADERS on an idle stream');
    const head = this.heads.head(bytes, start, end);
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (!this.lateByReset(id))
        throw new ConnectionError(ErrorCode.StreamClosed, 'HEADERS on a closed stream');
    } else if (head.malformed !== undefined) {
      this.streamError(id, ErrorCode.ProtocolError, head.malformed);
    } else {
      stream.headArrived(head, ends);
    }
  }

  protected override resetArrived(stream: ClientStream, code: number): void {
    this.forget(stream.id, true);
    stream.resetByServer(code);
    this.vacated();
  }

  protected override streamFailed(stream: ClientStream, code: ErrorCode, why: string): void {
    stream.conclude(
      StatusCode.Internal,
      `stream terminated by RST_STREAM with error code: ${errorName(code)}: ${why}`,
    );
    this.vacated();
  }

  protected override goawayArrived(lastStream: number, code: number, debug: string): void {
    const why = `the server goes away (${errorName(code)}${debug === '' ? '' : `: ${debug}`})`;
    // Streams above were not looked at; their bytes may have left all the same.
    const refused = [...this.streams.values()].filter((stream) => stream.id > lastStream);
    for (const stream of refused) {
      this.forget(stream.id, true);
      stream.conclude(StatusCode.Unavailable, why);
    }
    this.leave();
    this.endIfIdle();
  }

  protected override pingArrived(): boolean {
    return true;
  }

  protected override pongArrived(): void {
    // That something came is all keepalive asks.
  }

  protected override settingsArrived(): void {
    this.shared.ready(this);
  }

  protected override settingsChanged(): void {
    // It may allow more streams than before: calls that wait for one may start.
    if (!this.leaving) this.shared.vacated(this);
  }

  override keepsAlive(): boolean {
    return this.streams.size > 0;
  }

  protected override lost(why: string): void {
    for (const stream of this.streams.values()) {
      stream.conclude(StatusCode.Unavailable, `error reading from server: ${why}`);
    }
    this.shared.gone(this, why);
  }
}

const ERROR_NAMES: readonly string[] = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

function errorName(code: number): string {
  return ERROR_NAMES[code] ?? `unknown error code 0x${code.toString(16)}`;
}

/** gRPC's mapping of HTTP/2 error codes (PROTOCOL-HTTP2.md, "Errors"). */
function statusOfReset(code: number): StatusCode {
  switch (code) {
    case ErrorCode.RefusedStream:
      return StatusCode.Unavailable;
    case ErrorCode.Cancel:
      return StatusCode.Cancelled;
    case ErrorCode.EnhanceYourCalm:
      return StatusCode.ResourceExhausted;
    case ErrorCode.InadequateSecurity:
      return StatusCode.PermissionDenied;
    default:
      return StatusCode.Internal;
  }
}

/** gRPC's mapping of HTTP statuses for answers that carry none of gRPC's (http-grpc-status-mapping.md). */
function statusOfHttp(status: string): StatusCode {
  switch (status) {
    case '400':
      return StatusCode.Internal;
    case '401':
      return StatusCode.Unauthenticated;
    case '403':
      return StatusCode.PermissionDenied;
    case '404':
      return StatusCode.Unimplemented;
    case '429':
    case '502':
    case '503':
    case '504':
      return StatusCode.Unavailable;
    default:
      return StatusCode.Unknown;
  }
}

export class ClientStream extends Stream implements ClientWire, Due {
  private readonly connection: ClientConnection;
  private readonly deadlines: Deadlines;
  private readonly sink: ClientSink;
  /** The connection's turn in which the headers were put down: while it lasts, no byte has left. */
  private readonly openedTurn: number;
  private readonly deadlineStep: number;
  private headSeen = false;
  private halfClosing = false;
  private endSent = false;
  private status: ResponseHead | undefined = undefined;

  constructor(
    id: number,
    connection: ClientConnection,
    shared: ClientShared,
    sendBytes: number,
    openedTurn: number,
    timeoutMs: number | undefined,
    sink: ClientSink,
  ) {
    super(id, connection, sendBytes, shared.limits.streamWindowBytes, shared.receiveBytesMax);
    this.connection = connection;
    this.deadlines = shared.deadlines;
    this.openedTurn = openedTurn;
    this.sink = sink;
    this.deadlineStep =
      timeoutMs === undefined ? -1 : shared.deadlines.add(this, shared.clock.monotonicMs() + timeoutMs);
  }

  // From the channel.

  send(bytes: Buffer): boolean {
    if (this.closed || this.halfClosing) return false;
    return this.sendMessage(bytes);
  }

  halfClose(): void {
    if (this.closed || this.halfClosing) return;
    this.halfClosing = true;
    if (this.queueEmpty) this.sendEnd();
  }

  cancel(code: StatusCode, details: string): void {
    if (this.closed) return;
    this.connection.abandonStream(this.id, ErrorCode.Cancel);
    this.conclude(code, details);
  }

  setReading(on: boolean): void {
    this.setReadingTo(on);
  }

  deadlinePassed(): void {
    this.cancel(StatusCode.DeadlineExceeded, DEADLINE_TEXT);
  }

  // From the connection.

  headArrived(head: ResponseHead, ends: boolean): void {
    if (!this.headSeen) {
      const status = head.status;
      if (status === undefined) return this.violated('a response without :status');
      if (status.length === 3 && status.startsWith('1')) {
        if (ends) this.violated('an informational response that ends the stream');
        else if (status === '101') this.violated('101 Switching Protocols');
        else this.connection.idleFrame();
        return;
      }
      this.headSeen = true;
      const odd = oddResponse(head, status);
      if (odd !== undefined && (head.code === undefined || !ends)) {
        this.connection.abandonStream(this.id, ErrorCode.Cancel);
        this.conclude(odd.code, odd.text);
        return;
      }
      this.encoding = head.encoding;
      this.expectedBytes = head.contentLength;
      if (!ends) {
        if (head.pairs.length > 0) this.sink.headersArrived(metadataFrom(head.pairs));
        return;
      }
    } else if (!ends || head.status !== undefined) {
      return this.violated('trailers that do not end the stream');
    }
    this.status = head;
    this.endOfStream();
  }

  override bytesArrived(bytes: Buffer, start: number, end: number): void {
    if (this.headSeen) super.bytesArrived(bytes, start, end);
    else this.miscounted('DATA before HEADERS');
  }

  override endArrived(): void {
    // The end of DATA: a gRPC response ends with trailers.
    this.endOfStream();
  }

  resetByServer(code: number): void {
    this.conclude(statusOfReset(code), `stream terminated by RST_STREAM with error code: ${errorName(code)}`);
  }

  /** Ends the call here, dropping what was not read; the connection has forgotten the stream. */
  conclude(code: StatusCode, details: string): void {
    if (this.closed) return;
    const unsent = this.connection.turns === this.openedTurn && code === StatusCode.Unavailable;
    this.letGo();
    queueMicrotask(() => this.sink.statusArrived(code, details, new Metadata(), unsent));
  }

  // From the stream.

  protected override arrived(bytes: Buffer): void {
    this.sink.messageArrived(bytes);
  }

  protected override ended(): void {
    this.settle();
  }

  protected override drained(): void {
    this.sink.drainArrived();
  }

  protected override miscounted(why: string): void {
    this.connection.violated(this.id, why);
  }

  protected override emptied(): void {
    if (this.halfClosing) this.sendEnd();
  }

  protected override refuse(refusal: Refusal): void {
    if (this.closed) return;
    if (this.remoteEnded) this.connection.streamEnded(this, this.endSent);
    else this.connection.abandonStream(this.id, ErrorCode.Cancel);
    this.conclude(refusal.code, refusal.text);
  }

  /** The server has said everything. Its OK waits for the reader; an error waits only for one that reads. */
  private endOfStream(): void {
    const code = this.status?.code;
    super.endArrived();
    if (!this.closed && !this.reading && code !== StatusCode.OK) this.settle();
  }

  private settle(): void {
    if (this.closed) return;
    const { status } = this;
    this.connection.streamEnded(this, this.endSent);
    this.letGo();
    if (status === undefined) {
      const text = 'server closed the stream without sending trailers';
      this.sink.statusArrived(StatusCode.Internal, text, new Metadata(), false);
    } else {
      const trailers = metadataFrom(status.pairs);
      this.sink.statusArrived(status.code ?? StatusCode.Unknown, status.message, trailers, false);
    }
  }

  private violated(why: string): void {
    this.connection.abandonStream(this.id, ErrorCode.ProtocolError);
    this.conclude(StatusCode.Internal, why);
  }

  private sendEnd(): void {
    if (this.endSent) return;
    this.endSent = true;
    this.connection.out.endStream(this.id);
    this.connection.touched();
  }

  private letGo(): void {
    if (this.deadlineStep >= 0) this.deadlines.remove(this, this.deadlineStep);
    this.release();
  }
}

/** A response that is not gRPC's. */
function oddResponse(head: ResponseHead, status: string): { code: StatusCode; text: string } | undefined {
  const type = head.contentType;
  if (status !== '200') {
    return {
      code: statusOfHttp(status),
      text: `unexpected HTTP status code received from server: ${status}`,
    };
  }
  if (type !== undefined && isGrpcContentType(type)) return undefined;
  const text =
    type === undefined
      ? 'malformed header: missing HTTP content-type'
      : `unexpected content-type ${JSON.stringify(type)}`;
  return { code: StatusCode.Unknown, text: `transport: received ${text}` };
}
