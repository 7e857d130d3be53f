/**
 * A channel over @grpc/grpc-js, at its byte level: calls are made on its Channel directly, so codecs,
 * promises and streams are ours (channel.ts). One connection a channel, shared with nobody; automatic
 * retries are off, also the transparent ones. No grpc-js type leaves this file.
 */
import type { Channel as GrpcChannel, connectivityState } from '@grpc/grpc-js';
import { Ring, systemClock, type Clock } from '@keelson/base';
import { type Channel, type ChannelState, TransportChannel } from './channel.ts';
import { grpcJs } from './grpc-js.ts';
import { fromGrpcMetadata, toGrpcCode, toGrpcMetadata } from './grpc-js-metadata.ts';
import { channelClosed } from './in-process.ts';
import { Metadata } from './metadata.ts';
import { CANCELLED_TEXT, DEADLINE_TEXT, RpcError, StatusCode, statusCodeFrom } from './status.ts';
import { HIGH_WATER_BYTES, LOW_WATER_BYTES, type ClientSink, type ClientWire } from './wire.ts';

export interface ChannelOptions {
  /** Largest message accepted from the server, bytes. Default 2^31-1, as etcd's client. */
  readonly maxReceiveBytes?: number;
  /** First pause after a failed attempt to connect; it doubles from there. Default 100 ms. */
  readonly minBackoffMs?: number;
  /** Longest pause between attempts to connect. Default 3 s. */
  readonly maxBackoffMs?: number;
  /** Ping after this much silence while calls run; undefined: never. Servers refuse less than 5 s. */
  readonly keepaliveIntervalMs?: number;
  /** The connection is dropped when its ping stays unanswered this long. Default 20 s. */
  readonly keepaliveTimeoutMs?: number;
  readonly clock?: Clock;
}

/**
 * Opens nothing yet: the first call or `connect()` dials.
 * @param address "host:port", "[v6]:port" or "unix:/path"
 */
export function grpcJsChannel(address: string, options: ChannelOptions = {}): Channel {
  return new GrpcJsChannel(address, options);
}

const MAX_RECEIVE_BYTES = 2 ** 31 - 1;

class GrpcJsChannel extends TransportChannel {
  readonly address: string;
  private readonly channel: GrpcChannel;
  private readonly clock: Clock;
  private readonly calls = new Set<GrpcJsClientWire>();
  private readonly stateTasks = new Set<(state: ChannelState) => void>();
  private last: connectivityState;
  private closed = false;

  constructor(address: string, options: ChannelOptions) {
    super();
    this.address = address;
    this.clock = options.clock ?? systemClock;
    const library = grpcJs();
    this.channel = new library.Channel(targetOf(address), library.credentials.createInsecure(), {
      'grpc.max_receive_message_length': options.maxReceiveBytes ?? MAX_RECEIVE_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_channelz': 0,
      'grpc.initial_reconnect_backoff_ms': options.minBackoffMs ?? 100,
      'grpc.max_reconnect_backoff_ms': options.maxBackoffMs ?? 3000,
      ...(options.keepaliveIntervalMs === undefined
        ? {}
        : {
            'grpc.keepalive_time_ms': options.keepaliveIntervalMs,
            'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs ?? 20_000,
          }),
    });
    this.last = this.channel.getConnectivityState(false);
    this.watch();
  }

  get state(): ChannelState {
    return this.closed ? 'closed' : STATES[this.channel.getConnectivityState(false)];
  }

  onStateChange(task: (state: ChannelState) => void): () => void {
    this.stateTasks.add(task);
    return () => this.stateTasks.delete(task);
  }

  connect(timeoutMs: number): Promise<void> {
    if (this.closed) return Promise.reject(channelClosed());
    const now = this.channel.getConnectivityState(true);
    const state = STATES[now];
    if (state === 'ready') return Promise.resolve();
    if (state === 'failed') return Promise.reject(this.unreachable());
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
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const wire of this.calls) wire.cancel(StatusCode.Cancelled, CANCELLED_TEXT);
    this.channel.close();
    for (const task of this.stateTasks) task('closed');
    this.stateTasks.clear();
  }

  open(path: string, metadata: Metadata, timeoutMs: number | undefined, sink: ClientSink): ClientWire {
    if (this.closed) return new RefusedWire(sink, channelClosed());
    const deadline = timeoutMs === undefined ? Infinity : this.clock.nowMs() + timeoutMs;
    const call = this.channel.createCall(path, deadline, null, null, null);
    const wire = new GrpcJsClientWire(call, sink, () => this.calls.delete(wire));
    this.calls.add(wire);
    wire.start(metadata);
    return wire;
  }

  private unreachable(): RpcError {
    return new RpcError(
      StatusCode.Unavailable,
      `connection error: no connection to ${this.address}`,
      undefined,
      true,
    );
  }

  /** grpc-js reports one change a subscription; without a deadline it holds no timer. */
  private watch(): void {
    this.channel.watchConnectivityState(this.last, Infinity, () => {
      if (this.closed) return;
      this.last = this.channel.getConnectivityState(false);
      const state = STATES[this.last];
      for (const task of this.stateTasks) task(state);
      this.watch();
    });
  }
}

/** By grpc-js's number of a state. */
const STATES: readonly ChannelState[] = ['idle', 'connecting', 'ready', 'failed', 'closed'];

/** Numeric addresses skip the resolver; names go through DNS. */
function targetOf(address: string): string {
  if (address.startsWith('unix:')) return address;
  if (/^\d+\.\d+\.\d+\.\d+:\d+$/.test(address)) return `ipv4:${address}`;
  if (address.startsWith('[')) return `ipv6:${address}`;
  return `dns:${address}`;
}

type GrpcCall = ReturnType<GrpcChannel['createCall']>;
type GrpcStatus = Parameters<Parameters<GrpcCall['start']>[1]['onReceiveStatus']>[0];

class GrpcJsClientWire implements ClientWire {
  private readonly call: GrpcCall;
  private readonly sink: ClientSink;
  private readonly forget: () => void;
  private reading = false;
  private requested = false;
  private held: Buffer | undefined = undefined;
  private heldStatus: GrpcStatus | undefined = undefined;
  private over = false;
  private readonly outgoing = new Ring<Buffer>(4);
  private sending = false;
  private halfClosing = false;
  private buffered = 0;
  private full = false;

  constructor(call: GrpcCall, sink: ClientSink, forget: () => void) {
    this.call = call;
    this.sink = sink;
    this.forget = forget;
  }

  start(metadata: Metadata): void {
    this.call.start(toGrpcMetadata(metadata), {
      onReceiveMetadata: (headers) => {
        const own = fromGrpcMetadata(headers);
        if (!this.over && own.size > 0) this.sink.headersArrived(own);
      },
      onReceiveMessage: (message: Buffer | null) => {
        this.requested = false;
        if (message === null || this.over) return;
        this.held = message;
        this.pump();
      },
      onReceiveStatus: (status) => {
        // An OK waits for the message before it; an error does not wait for a reader that reads nothing.
        if (this.held !== undefined && statusCodeFrom(status.code) === StatusCode.OK)
          this.heldStatus = status;
        else this.finish(status);
      },
    });
  }

  send(bytes: Buffer): boolean {
    if (this.over) return false;
    this.buffered += bytes.length;
    this.outgoing.push(bytes);
    // Once full it stays so until it is drained: who was told to wait is told to go on.
    if (this.buffered > HIGH_WATER_BYTES) this.full = true;
    this.sendNext();
    return !this.full;
  }

  halfClose(): void {
    if (this.over) return;
    this.halfClosing = true;
    this.sendNext();
  }

  cancel(code: StatusCode, details: string): void {
    if (!this.over) this.call.cancelWithStatus(toGrpcCode(code), details);
  }

  setReading(on: boolean): void {
    this.reading = on;
    if (on) this.pump();
  }

  /** grpc-js takes one message at a time: the next may follow only after the callback of the last. */
  private sendNext(): void {
    if (this.sending || this.over) return;
    const bytes = this.outgoing.shift();
    if (bytes === undefined) {
      if (this.halfClosing) {
        this.halfClosing = false;
        this.call.halfClose();
      }
      return;
    }
    this.sending = true;
    this.call.sendMessageWithContext({ callback: () => this.sent(bytes.length) }, bytes);
  }

  private sent(size: number): void {
    this.sending = false;
    this.buffered -= size;
    this.sendNext();
    if (this.full && this.buffered <= LOW_WATER_BYTES) {
      this.full = false;
      if (!this.over) this.sink.drainArrived();
    }
  }

  private pump(): void {
    if (!this.reading || this.over) return;
    const held = this.held;
    if (held !== undefined) {
      this.held = undefined;
      this.sink.messageArrived(held);
      if (this.heldStatus !== undefined && !this.over) {
        this.finish(this.heldStatus);
        return;
      }
    }
    if (this.reading && !this.over && !this.requested && this.held === undefined) {
      this.requested = true;
      this.call.startRead();
    }
  }

  private finish(status: GrpcStatus): void {
    if (this.over) return;
    this.over = true;
    this.outgoing.clear();
    this.forget();
    const code = statusCodeFrom(status.code);
    this.sink.statusArrived(
      code,
      textOf(code, status.details),
      fromGrpcMetadata(status.metadata),
      // grpc-js's words for a call that no connection could be found for.
      code === StatusCode.Unavailable && NEVER_CONNECTED.test(status.details),
    );
  }
}

const NEVER_CONNECTED = /^(?:No connection established|Name resolution failed)/;

/** grpc-js's own verdicts on this side, in grpc-go's words. */
function textOf(code: StatusCode, details: string): string {
  if (code === StatusCode.DeadlineExceeded && details.startsWith('Deadline exceeded')) return DEADLINE_TEXT;
  const sizes = /^Received message larger than max \((\d+) vs (\d+)\)$/.exec(details);
  return sizes === null ? details : `grpc: received message larger than max (${sizes[1]} vs. ${sizes[2]})`;
}

/** For calls on a closed channel: nothing happens but the end. */
class RefusedWire implements ClientWire {
  constructor(sink: ClientSink, error: RpcError) {
    queueMicrotask(() => sink.statusArrived(error.code, error.message, new Metadata(), error.unsent));
  }

  send(): boolean {
    return false;
  }
  halfClose(): void {}
  cancel(): void {}
  setReading(): void {}
}
