/**
 * A channel on our own HTTP/2: one connection, dialled when a call needs it, redialled with growing pauses.
 * Calls made while dialling wait for the outcome; while the channel pauses after a failure they fail at once.
 * Nothing is ever sent twice: a call whose bytes left is lost with its connection.
 */
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Ring, systemClock, toError, type Clock, type Timer } from '@keelson/base';
import { type Channel, type ChannelState, TransportChannel } from './channel.ts';
import { ClientConnection, type ClientShared } from './client-connection.ts';
import { Deadlines, type Due } from './deadlines.ts';
import type { ChannelOptions } from './grpc-js-channel.ts';
import { channelClosed } from './in-process.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { Metadata } from './metadata.ts';
import { SlabPool } from './out-buffer.ts';
import { SocketPipe } from './socket-pipe.ts';
import { CANCELLED_TEXT, DEADLINE_TEXT, RpcError, StatusCode } from './status.ts';
import { dialErrorText, dialTls, type DialTarget, type DialTls } from './tls-dial.ts';
import { Turn } from './turn.ts';
import { HIGH_WATER_BYTES, type ClientSink, type ClientWire } from './wire.ts';

export interface NativeChannelOptions extends ChannelOptions {
  /** Bounds that differ from DEFAULT_LIMITS. */
  readonly limits?: Partial<Limits>;
  /** Connections are made with TLS and ALPN "h2". */
  readonly tls?: DialTls;
}

/**
 * Opens nothing yet: the first call or `connect()` dials.
 * @param address "host:port", "[v6]:port" or "unix:/path"
 */
export function nativeChannel(address: string, options: NativeChannelOptions = {}): Channel {
  return new NativeChannel(address, options);
}

const MAX_RECEIVE_BYTES = 2 ** 31 - 1;
const DEFAULT_MIN_BACKOFF_MS = 100;
const DEFAULT_MAX_BACKOFF_MS = 3000;
/** As grpc: an attempt to connect gets this long, settings of the server included. */
const CONNECT_MS = 20_000;

class NativeChannel extends TransportChannel {
  readonly address: string;
  private readonly target: Target;
  private readonly tls: DialTls | undefined;
  private readonly shared: ClientShared;
  private readonly clock: Clock;
  private readonly minBackoffMs: number;
  private readonly maxBackoffMs: number;
  private readonly stateTasks = new Set<(state: ChannelState) => void>();
  private current: ChannelState = 'idle';
  /** The one that takes new calls, or is about to. */
  private connection: ClientConnection | undefined = undefined;
  /** Also those that only finish their calls. */
  private readonly connections = new Set<ClientConnection>();
  private dialling: Socket | undefined = undefined;
  /** Of the attempt, or of the pause after it. */
  private timer: Timer | undefined = undefined;
  private backoffMs = 0;
  private readonly waiting = new Set<WaitingWire>();
  private lastFailure = '';

  constructor(address: string, options: NativeChannelOptions) {
    super();
    this.address = address;
    this.target = targetOf(address);
    this.tls = options.tls;
    this.clock = options.clock ?? systemClock;
    this.minBackoffMs = options.minBackoffMs ?? DEFAULT_MIN_BACKOFF_MS;
    this.maxBackoffMs = options.maxBackoffMs ?? DEFAULT_MAX_BACKOFF_MS;
    this.shared = {
      clock: this.clock,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      pool: new SlabPool(),
      turn: new Turn(),
      deadlines: new Deadlines(this.clock),
      keepaliveIntervalMs: options.keepaliveIntervalMs,
      keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 20_000,
      receiveBytesMax: options.maxReceiveBytes ?? MAX_RECEIVE_BYTES,
      authority: this.target.authority,
      scheme: options.tls === undefined ? 'http' : 'https',
      ready: (connection) => this.becameReady(connection),
      retired: (connection) => this.dropped(connection),
      vacated: () => this.startWaiting(),
      gone: (connection, why) => {
        this.connections.delete(connection);
        this.dropped(connection, why);
      },
    };
  }

  get state(): ChannelState {
    return this.current;
  }

  onStateChange(task: (state: ChannelState) => void): () => void {
    this.stateTasks.add(task);
    return () => this.stateTasks.delete(task);
  }

  connect(timeoutMs: number): Promise<void> {
    if (this.current === 'closed') return Promise.reject(channelClosed());
    if (this.current === 'ready') return Promise.resolve();
    if (this.current === 'failed') return Promise.reject(this.unreachable());
    return new Promise((resolve, reject) => {
      const settle = (error: RpcError | undefined): void => {
        timer.cancel();
        stop();
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = this.clock.setTimer(timeoutMs, () => settle(this.unreachable()));
      const stop = this.onStateChange((state) => {
        if (state === 'ready') settle(undefined);
        else if (state === 'failed') settle(this.unreachable());
        else if (state === 'closed') settle(channelClosed());
      });
      this.dial();
    });
  }

  close(): void {
    if (this.current === 'closed') return;
    this.timer?.cancel();
    this.dialling?.destroy();
    for (const wire of this.waiting) wire.refuse(StatusCode.Cancelled, CANCELLED_TEXT);
    this.waiting.clear();
    this.connection = undefined;
    this.become('closed');
    this.stateTasks.clear();
    for (const connection of this.connections) {
      connection.cancelAll(StatusCode.Cancelled, CANCELLED_TEXT);
      connection.finish('the channel is closed');
    }
    this.shared.deadlines.clear();
  }

  open(path: string, metadata: Metadata, timeoutMs: number | undefined, sink: ClientSink): ClientWire {
    const { connection } = this;
    if (connection !== undefined && connection.vacant) {
      // Those that waited longer go first.
      if (this.waiting.size === 0) return connection.open(path, metadata, timeoutMs, sink);
    }
    const wire = new WaitingWire(path, metadata, timeoutMs, sink, this.shared, this.waiting);
    if (this.current === 'closed') {
      const error = channelClosed();
      wire.refuse(error.code, error.message);
    } else if (this.current === 'failed') {
      const error = this.unreachable();
      wire.refuse(error.code, error.message);
    } else {
      this.waiting.add(wire);
      this.dial();
    }
    return wire;
  }

  private become(state: ChannelState): void {
    if (this.current === state || this.current === 'closed') return;
    this.current = state;
    for (const task of [...this.stateTasks]) task(state);
  }

  private dial(): void {
    if (this.current !== 'idle') return;
    this.become('connecting');
    let socket: Socket | TLSSocket;
    try {
      socket = this.connectSocket();
    } catch (error) {
      // A certificate or key that is none; with the next attempt it is read again.
      this.failed(authenticationFailed(toError(error)));
      return;
    }
    this.dialling = socket;
    const failed = (why: string): void => {
      socket.destroy();
      if (this.dialling === socket) this.failed(why);
    };
    let connected = false;
    socket.once('connect', () => {
      connected = true;
    });
    const onError = (error: Error): void =>
      failed(connected && this.tls !== undefined ? authenticationFailed(error) : error.message);
    socket.on('error', onError);
    this.timer = this.clock.setTimer(CONNECT_MS, () => failed('no answer in time'));
    socket.once(this.tls === undefined ? 'connect' : 'secureConnect', () => {
      if (socket.destroyed) return;
      if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') {
        failed(
          authenticationFailed(new Error('credentials: cannot check peer: missing selected ALPN property')),
        );
        return;
      }
      socket.off('error', onError);
      const pipe = new SocketPipe(socket);
      const connection = new ClientConnection(pipe, this.shared);
      this.connection = connection;
      this.connections.add(connection);
      pipe.attach(connection);
      connection.begin();
    });
  }

  private connectSocket(): Socket | TLSSocket {
    const { options } = this.target;
    return this.tls === undefined
      ? connect({ ...options, noDelay: true })
      : dialTls(options, this.tls, ['h2'], () => this.clock.nowMs());
  }

  private becameReady(connection: ClientConnection): void {
    if (this.connection !== connection) return;
    this.timer?.cancel();
    this.dialling = undefined;
    this.backoffMs = 0;
    this.become('ready');
    this.startWaiting();
  }

  /** The connection takes no more calls, or is gone. */
  private dropped(connection: ClientConnection, why = ''): void {
    if (this.connection !== connection) return;
    this.connection = undefined;
    if (this.current === 'connecting') {
      this.failed(why);
    } else if (this.current === 'ready') {
      this.become('idle');
      if (this.waiting.size > 0) this.dial();
    }
  }

  /** An attempt failed: who waited is told, and the channel pauses. */
  private failed(why: string): void {
    this.timer?.cancel();
    this.dialling = undefined;
    this.connection = undefined;
    this.lastFailure = why;
    this.backoffMs = Math.min(this.maxBackoffMs, Math.max(this.minBackoffMs, this.backoffMs * 2));
    this.timer = this.clock.setTimer(this.backoffMs, () => this.become('idle'));
    this.become('failed');
    const error = this.unreachable();
    for (const wire of this.waiting) wire.refuse(error.code, error.message);
    this.waiting.clear();
  }

  private startWaiting(): void {
    const { connection } = this;
    for (const wire of this.waiting) {
      if (connection === undefined || !connection.vacant) return;
      this.waiting.delete(wire);
      wire.start(connection);
    }
  }

  private unreachable(): RpcError {
    const why = this.lastFailure === '' ? '' : `: ${this.lastFailure}`;
    return new RpcError(
      StatusCode.Unavailable,
      `connection error: no connection to ${this.address}${why}`,
      undefined,
      true,
    );
  }
}

/** grpc-go's words for a connection that stood and was not accepted. */
function authenticationFailed(error: Error): string {
  return `authentication handshake failed: ${dialErrorText(error)}`;
}

interface Target {
  readonly authority: string;
  readonly options: DialTarget;
}

function targetOf(address: string): Target {
  if (address.startsWith('unix:')) {
    const path = address.slice('unix:'.length).replace(/^\/\//, '');
    // "unix:localhost:2379" is a file of that name; what it looks like is whom its certificate is for, as in etcd.
    const serverName = /([^/:]+):[^/:]*$/.exec(path)?.[1];
    return { authority: 'localhost', options: { path, serverName } };
  }
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { authority: address, options: { host, port: Number(address.slice(colon + 1)) } };
}

/** A call that has no stream yet: keeps what it is given, and hands it over once it has. */
class WaitingWire implements ClientWire, Due {
  private readonly path: string;
  private readonly metadata: Metadata;
  private readonly sink: ClientSink;
  private readonly shared: ClientShared;
  private readonly queue: Set<WaitingWire>;
  private readonly deadlineMs: number;
  private readonly deadlineStep: number;
  private readonly messages = new Ring<Buffer>(4);
  private bytes = 0;
  private reading = false;
  private halfClosed = false;
  private over = false;
  private wire: ClientWire | undefined = undefined;

  constructor(
    path: string,
    metadata: Metadata,
    timeoutMs: number | undefined,
    sink: ClientSink,
    shared: ClientShared,
    queue: Set<WaitingWire>,
  ) {
    this.path = path;
    this.metadata = metadata;
    this.sink = sink;
    this.shared = shared;
    this.queue = queue;
    this.deadlineMs = timeoutMs === undefined ? Infinity : shared.clock.monotonicMs() + timeoutMs;
    this.deadlineStep = timeoutMs === undefined ? -1 : shared.deadlines.add(this, this.deadlineMs);
  }

  /** Opens the stream and hands over what came so far. */
  start(connection: ClientConnection): void {
    this.shared.deadlines.remove(this, this.deadlineStep);
    const timeoutMs =
      this.deadlineMs === Infinity
        ? undefined
        : Math.max(0, this.deadlineMs - this.shared.clock.monotonicMs());
    const wire = connection.open(this.path, this.metadata, timeoutMs, this.sink);
    this.wire = wire;
    if (this.reading) wire.setReading(true);
    const toldToWait = this.bytes > HIGH_WATER_BYTES;
    let writable = true;
    for (let message = this.messages.shift(); message !== undefined; message = this.messages.shift()) {
      writable = wire.send(message);
    }
    if (this.halfClosed) wire.halfClose();
    if (toldToWait && writable) queueMicrotask(() => this.sink.drainArrived());
  }

  /** Ends a call of which nothing was sent. */
  refuse(code: StatusCode, details: string): void {
    if (this.over || this.wire !== undefined) return;
    this.over = true;
    this.shared.deadlines.remove(this, this.deadlineStep);
    this.messages.clear();
    queueMicrotask(() => this.sink.statusArrived(code, details, new Metadata(), true));
  }

  send(bytes: Buffer): boolean {
    if (this.wire !== undefined) return this.wire.send(bytes);
    if (this.over) return false;
    this.messages.push(bytes);
    this.bytes += bytes.length;
    return this.bytes <= HIGH_WATER_BYTES;
  }

  halfClose(): void {
    if (this.wire !== undefined) this.wire.halfClose();
    else this.halfClosed = true;
  }

  cancel(code: StatusCode, details: string): void {
    if (this.wire !== undefined) {
      this.wire.cancel(code, details);
      return;
    }
    this.queue.delete(this);
    this.refuse(code, details);
  }

  setReading(on: boolean): void {
    if (this.wire !== undefined) this.wire.setReading(on);
    else this.reading = on;
  }

  deadlinePassed(): void {
    this.cancel(StatusCode.DeadlineExceeded, DEADLINE_TEXT);
  }
}
