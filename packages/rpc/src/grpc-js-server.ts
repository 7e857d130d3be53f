/**
 * The method table on @grpc/grpc-js: today's server, and later the twin our own HTTP/2 is compared with.
 * One interceptor takes every call over at the byte level, so handlers, codecs and cardinality are ours
 * (dispatch.ts) and no stream of grpc-js stands between. No grpc-js type leaves this file.
 *
 * Known differences from grpc-go, all in grpc-js: an unknown path is refused with its own text (the code is
 * the same), and pings that come too often are not punished.
 */
import { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Metadata as GrpcMetadata, Server, ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { assert, systemClock, type Clock } from '@keelson/base';
import { dispatcher } from './dispatch.ts';
import { grpcJs } from './grpc-js.ts';
import { fromGrpcMetadata, toGrpcCode, toGrpcMetadata } from './grpc-js-metadata.ts';
import type { Metadata } from './metadata.ts';
import type { MethodTable } from './method-table.ts';
import { describeCertificate, type PeerCertificate } from './peer-certificate.ts';
import {
  DEFAULT_KEEPALIVE_INTERVAL_MS,
  DEFAULT_KEEPALIVE_TIMEOUT_MS,
  DEFAULT_MAX_RECEIVE_BYTES,
  type RpcServer,
  type RpcServerOptions,
} from './server.ts';
import { SocketServer, type Served } from './socket-server.ts';
import { CANCELLED_TEXT, DEADLINE_TEXT, StatusCode, statusCodeFrom } from './status.ts';
import {
  HIGH_WATER_BYTES,
  LOW_WATER_BYTES,
  type Acceptor,
  type ServerSink,
  type ServerWire,
} from './wire.ts';

/** Serves `table` over cleartext HTTP/2. */
export function grpcJsServer(table: MethodTable, options: RpcServerOptions = {}): RpcServer {
  const clock = options.clock ?? systemClock;
  return new SocketServer(new GrpcJsConnections(table, options, clock), clock);
}

type Status = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];
type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];

class GrpcJsConnections implements Served {
  private readonly server: Server;
  private readonly inject: (connection: Duplex) => void;

  constructor(table: MethodTable, options: RpcServerOptions, clock: Clock) {
    const accept = dispatcher(table, options.hooks, clock);
    const { Server, ServerCredentials, ServerInterceptingCall } = grpcJs();
    this.server = new Server({
      'grpc.max_receive_message_length': options.maxReceiveBytes ?? DEFAULT_MAX_RECEIVE_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': options.keepaliveIntervalMs ?? DEFAULT_KEEPALIVE_INTERVAL_MS,
      'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs ?? DEFAULT_KEEPALIVE_TIMEOUT_MS,
      'grpc.enable_channelz': 0,
      ...(options.maxConcurrentStreams === undefined
        ? {}
        : { 'grpc.max_concurrent_streams': options.maxConcurrentStreams }),
      interceptors: [
        ({ path }, call) => {
          const streaming = table.find(path)?.kind === 'bidi';
          const wire = new GrpcJsServerWire(path, streaming, call, accept, clock);
          const taken = new ServerInterceptingCall(call);
          // Starting it starts our wire on the call below and leaves the surface deaf.
          taken.start = () => wire.start();
          return taken;
        },
      ],
    });
    // 'bidi' for every method: it is the one kind whose surface adds no rule of its own.
    for (const entry of table.entries()) {
      this.server.register(entry.descriptor.path, neverCalled, identity, identity, 'bidi');
    }
    const injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
    this.inject = (connection) => injector.injectConnection(connection);
  }

  serve(connection: Duplex, head: Buffer | undefined): void {
    // A peer's broken connection is its own affair: its calls end as cancelled, nothing else happens.
    connection.on('error', () => {});
    if (head !== undefined) connection.unshift(head);
    this.inject(connection);
  }

  /** Sends GOAWAY on every connection and closes each after its last call. */
  drain(): void {
    this.server.tryShutdown(() => {});
  }

  cut(): void {
    this.server.forceShutdown();
  }
}

const identity = (bytes: Buffer): Buffer => bytes;

/** The surface handler grpc-js wants; calls are taken over before they reach it. */
function neverCalled(): void {
  assert(false, 'a call reached the surface of grpc-js');
}

class GrpcJsServerWire implements ServerWire, Listener {
  readonly path: string;
  readonly peer: string;
  readonly deadlineMs: number | undefined;
  private readonly base: ServerInterceptingCallInterface;
  private readonly accept: Acceptor;
  /** Whether the client may send many messages. */
  private readonly streaming: boolean;
  private received: Metadata | undefined = undefined;
  private sink: ServerSink | undefined = undefined;
  private over = false;
  private reading = false;
  private requested = false;
  private pumping = false;
  /** A message or half-close that a read brought after reading was turned off. */
  private held: Buffer | 'half-close' | undefined = undefined;
  private buffered = 0;
  private full = false;
  /** The status grpc-js itself ended the call with (deadline, oversized or undecodable message). */
  private imposed: Status | undefined = undefined;

  constructor(
    path: string,
    streaming: boolean,
    base: ServerInterceptingCallInterface,
    accept: Acceptor,
    clock: Clock,
  ) {
    this.path = path;
    this.streaming = streaming;
    this.base = base;
    this.accept = accept;
    this.peer = base.getPeer();
    const deadline = Number(base.getDeadline());
    this.deadlineMs = deadline === Infinity ? undefined : clock.monotonicMs() + (deadline - clock.nowMs());
    // grpc-js ends calls by itself through this method of the same object: the one place where its texts
    // can be made grpc-go's and its verdict noticed.
    const sendStatus = base.sendStatus.bind(base);
    base.sendStatus = (status) => {
      if (!this.over) this.imposed ??= asGrpcGo(status);
      sendStatus(this.over ? status : (this.imposed ?? status));
    };
  }

  get peerCertificate(): PeerCertificate | undefined {
    const raw = this.base.getAuthContext().sslPeerCertificate?.raw;
    return raw === undefined ? undefined : describeCertificate(new X509Certificate(raw));
  }

  get metadata(): Metadata {
    assert(this.received !== undefined, 'metadata arrives before the call is dispatched');
    return this.received;
  }

  start(): void {
    this.base.start(this);
  }

  // From the dispatcher.

  sendHeaders(headers: Metadata): void {
    this.base.sendMetadata(toGrpcMetadata(headers));
  }

  send(bytes: Buffer): boolean {
    const size = bytes.length;
    this.buffered += size;
    this.base.sendMessage(bytes, () => {
      this.buffered -= size;
      if (this.full && this.buffered <= LOW_WATER_BYTES) {
        this.full = false;
        if (!this.over) this.sink?.drainArrived();
      }
    });
    // Once full it stays so until it is drained: who was told to wait is told to go on.
    if (this.buffered > HIGH_WATER_BYTES) this.full = true;
    return !this.full;
  }

  finish(code: StatusCode, details: string, trailers: Metadata | undefined): void {
    this.over = true;
    this.held = undefined;
    this.base.sendStatus({
      code: toGrpcCode(code),
      // A lone surrogate cannot be percent-encoded; the replacement character can.
      details: Buffer.from(details, 'utf8').toString('utf8'),
      metadata: trailers === undefined ? null : toGrpcMetadata(trailers),
    });
  }

  setReading(on: boolean): void {
    this.reading = on;
    if (on) this.pump();
  }

  /** Nothing is counted here. */
  handlerEnded(): void {}

  // From grpc-js.

  onReceiveMetadata(metadata: GrpcMetadata): void {
    this.received = fromGrpcMetadata(metadata);
    this.sink = this.accept(this);
    if (this.reading) this.pump();
  }

  onReceiveMessage(message: unknown): void {
    assert(Buffer.isBuffer(message), 'messages arrive as the bytes they are');
    this.requested = false;
    this.held = message;
    this.pump();
  }

  onReceiveHalfClose(): void {
    this.requested = false;
    this.held = 'half-close';
    this.pump();
  }

  onCancel(): void {
    if (this.over) return;
    this.over = true;
    this.held = undefined;
    if (this.imposed === undefined) this.sink?.cancelArrived(StatusCode.Cancelled, CANCELLED_TEXT);
    else this.sink?.cancelArrived(statusCodeFrom(this.imposed.code), this.imposed.details);
  }

  /**
   * A reset looks like a half-close first: node ends the stream before it closes it. Waiting until the
   * close had its chance tells them apart. One-request calls do not wait: they get their onCancel anyway.
   */
  private deliverHalfClose(sink: ServerSink): void {
    if (!this.streaming) {
      sink.halfCloseArrived();
      return;
    }
    setImmediate(() => {
      if (!this.over) sink.halfCloseArrived();
    });
  }

  /**
   * Delivers and asks for more while reading is on. A loop, not a recursion: grpc-js answers a read
   * synchronously when it has the message, and one packet may hold thousands.
   */
  private pump(): void {
    if (this.pumping || this.sink === undefined) return;
    this.pumping = true;
    while (this.reading && !this.over) {
      const held = this.held;
      if (held !== undefined) {
        this.held = undefined;
        if (held === 'half-close') {
          this.deliverHalfClose(this.sink);
          break;
        }
        this.sink.messageArrived(held);
      } else if (this.requested) {
        break;
      } else {
        this.requested = true;
        this.base.startRead();
      }
    }
    this.pumping = false;
  }
}

/** grpc-js's own verdicts in grpc-go's words. */
function asGrpcGo(status: Status): Status {
  if (statusCodeFrom(status.code) === StatusCode.DeadlineExceeded)
    return { ...status, details: DEADLINE_TEXT };
  const sizes = /^Received message larger than max \((\d+) vs (\d+)\)$/.exec(status.details);
  if (sizes !== null) {
    return { ...status, details: `grpc: received message larger than max (${sizes[1]} vs. ${sizes[2]})` };
  }
  return status;
}
