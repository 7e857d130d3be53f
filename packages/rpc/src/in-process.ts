/**
 * The same channel without a socket: client half and server half of a call joined by two queues. Messages
 * still pass through both codecs as bytes, so that ownership, limits and 64-bit rules are those of the
 * network; what one side encodes is handed to the other side's decoder uncopied. Delivery is never
 * synchronous, and long queues yield to the event loop.
 */
import { Ring, systemClock, type Clock, type Timer } from '@keelson/base';
import { type Channel, type ChannelState, TransportChannel } from './channel.ts';
import { dispatcher } from './dispatch.ts';
import { Metadata } from './metadata.ts';
import type { MethodTable } from './method-table.ts';
import type { PeerCertificate } from './peer-certificate.ts';
import { DEFAULT_MAX_RECEIVE_BYTES, type CallHooks } from './server.ts';
import { CANCELLED_TEXT, DEADLINE_TEXT, RpcError, StatusCode } from './status.ts';
import {
  HIGH_WATER_BYTES,
  LOW_WATER_BYTES,
  type Acceptor,
  type ClientSink,
  type ClientWire,
  type ServerSink,
  type ServerWire,
} from './wire.ts';

export interface InProcessOptions {
  /** As RpcServerOptions.maxReceiveBytes; for requests only. */
  readonly maxReceiveBytes?: number;
  readonly hooks?: CallHooks;
  readonly clock?: Clock;
  /** Runs a task after what the event loop has ready; setImmediate unless a simulation has its own queue. */
  readonly defer?: (task: () => void) => void;
}

export interface InProcessChannel extends Channel {
  /** The same channel, for what a service does on behalf of a caller: its calls carry the caller's certificate. */
  onBehalfOf(certificate: PeerCertificate | undefined): Channel;
}

/** A channel straight to `table`. */
export function inProcessChannel(table: MethodTable, options: InProcessOptions = {}): InProcessChannel {
  return new DirectChannel(table, options);
}

/** Items delivered before the event loop gets a turn: a few hundred microseconds of decoding. */
const TURN_COUNT = 256;

class DirectChannel extends TransportChannel implements InProcessChannel {
  readonly address = 'in-process';
  private readonly acceptor: Acceptor;
  private readonly clock: Clock;
  private readonly maxReceiveBytes: number;
  private readonly defer: (task: () => void) => void;
  private readonly calls = new Set<InProcessCall>();
  private readonly stateTasks = new Set<(state: ChannelState) => void>();
  private closed = false;

  constructor(table: MethodTable, options: InProcessOptions) {
    super();
    this.clock = options.clock ?? systemClock;
    this.maxReceiveBytes = options.maxReceiveBytes ?? DEFAULT_MAX_RECEIVE_BYTES;
    this.defer = options.defer ?? ((task) => void setImmediate(task));
    this.acceptor = dispatcher(table, options.hooks, this.clock);
  }

  get state(): ChannelState {
    return this.closed ? 'closed' : 'ready';
  }

  onStateChange(task: (state: ChannelState) => void): () => void {
    this.stateTasks.add(task);
    return () => this.stateTasks.delete(task);
  }

  connect(): Promise<void> {
    return this.closed ? Promise.reject(channelClosed()) : Promise.resolve();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const call of this.calls) call.cancel(StatusCode.Cancelled, CANCELLED_TEXT);
    for (const task of this.stateTasks) task('closed');
  }

  onBehalfOf(certificate: PeerCertificate | undefined): Channel {
    return certificate === undefined ? this : new CertifiedChannel(this, certificate);
  }

  open(
    path: string,
    metadata: Metadata,
    timeoutMs: number | undefined,
    sink: ClientSink,
    certificate?: PeerCertificate,
  ): ClientWire {
    const { clock, maxReceiveBytes, defer } = this;
    const call = new InProcessCall(path, metadata, timeoutMs, clock, maxReceiveBytes, defer, sink, () =>
      this.calls.delete(call),
    );
    if (this.closed) {
      call.refuse(channelClosed());
    } else {
      this.calls.add(call);
      call.start(this.acceptor, certificate);
    }
    return call;
  }
}

/** Calls on another channel, with a certificate. */
class CertifiedChannel extends TransportChannel {
  private readonly direct: DirectChannel;
  private readonly certificate: PeerCertificate;

  constructor(direct: DirectChannel, certificate: PeerCertificate) {
    super();
    this.direct = direct;
    this.certificate = certificate;
  }

  get address(): string {
    return this.direct.address;
  }

  get state(): ChannelState {
    return this.direct.state;
  }

  onStateChange(task: (state: ChannelState) => void): () => void {
    return this.direct.onStateChange(task);
  }

  connect(): Promise<void> {
    return this.direct.connect();
  }

  /** Nothing of its own to close. */
  close(): void {}

  open(path: string, metadata: Metadata, timeoutMs: number | undefined, sink: ClientSink): ClientWire {
    return this.direct.open(path, metadata, timeoutMs, sink, this.certificate);
  }
}

/** What every transport says to calls on a channel that was closed. */
export function channelClosed(): RpcError {
  return new RpcError(StatusCode.Unavailable, 'grpc: the client connection is closing', undefined, true);
}

/** One direction: items in order, delivered while reading is on, with the bytes that wait counted. */
class Lane<T> {
  private readonly items = new Ring<T>();
  private readonly deliver: (item: T) => void;
  private readonly drained: () => void;
  private readonly defer: (task: () => void) => void;
  private reading = false;
  private scheduled = false;
  private bytes = 0;
  private full = false;
  private dead = false;

  constructor(deliver: (item: T) => void, drained: () => void, defer: (task: () => void) => void) {
    this.defer = defer;
    this.deliver = deliver;
    this.drained = drained;
  }

  /** @returns false when more than the high-water mark waits, and until it is drained */
  push(item: T): boolean {
    if (this.dead) return false;
    this.items.push(item);
    this.bytes += sizeOf(item);
    // Once full it stays so until it is drained: who was told to wait is told to go on.
    if (this.bytes > HIGH_WATER_BYTES) this.full = true;
    this.schedule();
    return !this.full;
  }

  get isReading(): boolean {
    return this.reading;
  }

  setReading(on: boolean): void {
    this.reading = on;
    this.schedule();
  }

  /** Drops what waits; nothing is delivered any more. */
  kill(): void {
    this.dead = true;
    this.items.clear();
  }

  private schedule(): void {
    if (this.scheduled || this.dead || !this.reading || this.items.length === 0) return;
    this.scheduled = true;
    queueMicrotask(this.run);
  }

  private readonly run = (): void => {
    this.scheduled = false;
    for (let i = 0; i < TURN_COUNT && this.reading && !this.dead; i++) {
      const item = this.items.shift();
      if (item === undefined) break;
      this.bytes -= sizeOf(item);
      this.deliver(item);
    }
    if (this.dead) return;
    if (this.full && this.bytes <= LOW_WATER_BYTES) {
      this.full = false;
      this.drained();
    }
    if (this.reading && this.items.length > 0 && !this.scheduled) {
      this.scheduled = true;
      this.defer(this.run);
    }
  };
}

function sizeOf(item: unknown): number {
  return Buffer.isBuffer(item) ? item.length : 0;
}

type Status = { readonly code: StatusCode; readonly details: string; readonly trailers: Metadata };
const HALF_CLOSE = Symbol('half-close');

/** One call: the client's wire, with the server's wire as its other end. */
class InProcessCall implements ClientWire {
  readonly path: string;
  readonly metadata: Metadata;
  readonly deadlineMs: number | undefined;
  readonly requests: Lane<Buffer | typeof HALF_CLOSE>;
  readonly responses: Lane<Buffer | Metadata | Status>;
  private readonly client: ClientSink;
  private readonly forget: () => void;
  private readonly maxReceiveBytes: number;
  private readonly timer: Timer | undefined;
  private server: ServerSink | undefined = undefined;
  /** The server's half ended the call or was told that it is over. */
  private serverOver = false;
  /** The client's half knows the end, or is about to. */
  private clientOver = false;

  constructor(
    path: string,
    metadata: Metadata,
    timeoutMs: number | undefined,
    clock: Clock,
    maxReceiveBytes: number,
    defer: (task: () => void) => void,
    client: ClientSink,
    forget: () => void,
  ) {
    this.path = path;
    this.metadata = metadata.clone();
    this.client = client;
    this.forget = forget;
    this.maxReceiveBytes = maxReceiveBytes;
    this.requests = new Lane(
      (item) => {
        if (item === HALF_CLOSE) this.server?.halfCloseArrived();
        else this.server?.messageArrived(item);
      },
      () => this.client.drainArrived(),
      defer,
    );
    this.responses = new Lane(
      (item) => {
        if (Buffer.isBuffer(item)) this.client.messageArrived(item);
        else if (item instanceof Metadata) this.client.headersArrived(item);
        else this.settle(item, false);
      },
      () => {
        if (!this.serverOver) this.server?.drainArrived();
      },
      defer,
    );
    this.deadlineMs = timeoutMs === undefined ? undefined : clock.monotonicMs() + timeoutMs;
    this.timer =
      timeoutMs === undefined
        ? undefined
        : clock.setTimer(timeoutMs, () => this.cancel(StatusCode.DeadlineExceeded, DEADLINE_TEXT));
  }

  /** Hands the call to the server half; never from inside `open`, whose caller has no wire yet. */
  start(acceptor: Acceptor, certificate: PeerCertificate | undefined): void {
    queueMicrotask(() => {
      if (!this.serverOver) this.server = acceptor(new ServerEnd(this, certificate));
    });
  }

  /** Ends a call that never began. */
  refuse(error: RpcError): void {
    this.serverOver = true;
    this.settle({ code: error.code, details: error.message, trailers: new Metadata() }, true);
  }

  send(bytes: Buffer): boolean {
    if (bytes.length > this.maxReceiveBytes) {
      const details = `grpc: received message larger than max (${bytes.length} vs. ${this.maxReceiveBytes})`;
      this.abandon(StatusCode.ResourceExhausted, details, StatusCode.ResourceExhausted);
      return false;
    }
    return this.requests.push(bytes);
  }

  halfClose(): void {
    this.requests.push(HALF_CLOSE);
  }

  setReading(on: boolean): void {
    this.responses.setReading(on);
  }

  cancel(code: StatusCode, details: string): void {
    const seen = code === StatusCode.DeadlineExceeded ? code : StatusCode.Cancelled;
    this.abandon(code, details, seen);
  }

  /** The server half's end of the call; an error does not wait behind a reader that does not read. */
  finished(status: Status): void {
    this.serverOver = true;
    this.requests.kill();
    if (status.code !== StatusCode.OK && !this.responses.isReading) this.settle(status, false);
    else this.responses.push(status);
  }

  private abandon(code: StatusCode, details: string, seenByServer: StatusCode): void {
    if (this.clientOver) return;
    if (!this.serverOver) {
      this.serverOver = true;
      const server = this.server;
      if (server !== undefined) queueMicrotask(() => server.cancelArrived(seenByServer, details));
    }
    this.settle({ code, details, trailers: new Metadata() }, false);
  }

  private settle(status: Status, unsent: boolean): void {
    if (this.clientOver) return;
    this.clientOver = true;
    this.timer?.cancel();
    this.requests.kill();
    this.responses.kill();
    this.forget();
    queueMicrotask(() => this.client.statusArrived(status.code, status.details, status.trailers, unsent));
  }
}

/** What the server half holds of an in-process call. */
class ServerEnd implements ServerWire {
  readonly peer = 'in-process';
  readonly peerCertificate: PeerCertificate | undefined;
  readonly path: string;
  readonly metadata: Metadata;
  readonly deadlineMs: number | undefined;
  private readonly shared: InProcessCall;

  constructor(shared: InProcessCall, certificate: PeerCertificate | undefined) {
    this.shared = shared;
    this.peerCertificate = certificate;
    this.path = shared.path;
    this.metadata = shared.metadata;
    this.deadlineMs = shared.deadlineMs;
  }

  sendHeaders(headers: Metadata): void {
    this.shared.responses.push(headers.clone());
  }

  send(bytes: Buffer): boolean {
    return this.shared.responses.push(bytes);
  }

  finish(code: StatusCode, details: string, trailers: Metadata | undefined): void {
    this.shared.finished({ code, details, trailers: trailers?.clone() ?? new Metadata() });
  }

  setReading(on: boolean): void {
    this.shared.requests.setReading(on);
  }

  /** Nothing is counted here. */
  handlerEnded(): void {}
}
