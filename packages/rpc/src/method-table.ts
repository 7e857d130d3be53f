/**
 * What a server can do, independent of how bytes reach it: method descriptors, the handlers filed under
 * their paths, and the view a handler has of its call. Descriptors come from a generator elsewhere; this
 * file only fixes their shape. Modelled on grpc-go's ServiceDesc, flattened to one map from path to method.
 */
import { assert } from '@keelson/base';
import type { Metadata, MetadataValue } from './metadata.ts';
import type { PeerCertificate } from './peer-certificate.ts';
import type { RpcError, StatusCode } from './status.ts';

/**
 * Bytes to message and back.
 *
 * Ownership: the Buffer given to `decode` may be a view of a larger one and stays unchanged for ever, so
 * a message may keep views of it (and thereby the whole slab: copy what lives long). The Buffer returned
 * by `encode` is handed over: the codec must not write to it again, and neither may anyone else.
 */
export interface Codec<T> {
  /** @throws any Error when the bytes are no such message */
  decode(bytes: Buffer): T;
  encode(message: T): Buffer;
}

export type MethodKind = 'unary' | 'server-stream' | 'client-stream' | 'bidi';

export interface MethodDescriptor<Req, Res> {
  /** "/package.Service/Method", as on the wire. */
  readonly path: string;
  readonly kind: MethodKind;
  readonly request: Codec<Req>;
  readonly response: Codec<Res>;
}

/** One call as its handler sees it. Valid until the call ends; afterwards only to be read. */
export interface CallContext {
  readonly path: string;
  /** "address:port" of the other end, or a transport's own word ("in-process", "unix"). */
  readonly peer: string;
  /**
   * The client's certificate, as far as it was verified against a trusted CA. Undefined: none, not verified, or
   * no TLS at all. It never comes from a header.
   */
  readonly peerCertificate: PeerCertificate | undefined;
  /** What the client sent. */
  readonly metadata: Metadata;
  /** When the client stops waiting, on the server's monotonic clock; undefined: never. */
  readonly deadlineMs: number | undefined;
  /** True once nobody waits for the outcome any more: reset by the client, connection lost, deadline passed. */
  readonly cancelled: boolean;
  /** Cancelled or DeadlineExceeded once `cancelled`; before, undefined. */
  readonly cancelCode: StatusCode | undefined;
  /** Calls `task` once if the call is cancelled before it ended; at once if it already was. */
  onCancel(task: () => void): void;
  /** A header to send before the first message. Ignored once a message has left. */
  setHeader(key: string, value: MetadataValue): void;
  /** A trailer to send with the status, good or bad. */
  setTrailer(key: string, value: MetadataValue): void;
  /** A slot for what the `before` hook found out (who is calling); this package never reads it. */
  attachment: unknown;
}

/** The side of a stream one writes to. */
export interface OutStream<T> {
  /**
   * Sends a message. False asks to pause: more than the high-water mark is buffered; go on after
   * `onDrain` or `ready()`. The message is taken in either case, so a writer that heeds the answer holds
   * at most one message above the mark. Once the call is over, messages are dropped and the answer is false.
   */
  write(message: T): boolean;
  /** As `write`, for a message that is encoded already: encode once, send to many. The bytes are handed over. */
  writeEncoded(bytes: Buffer): boolean;
  /** Called each time writing may go on after a false. One listener; the last one set counts. */
  onDrain(task: () => void): void;
  /** Resolves when writing may go on, and also when the call is over (ask `closed`). Never rejects. */
  ready(): Promise<void>;
  /** True once nothing more can be sent. */
  readonly closed: boolean;
  /** Ends this side: a client half-closes, a server ends the call with OK. A second call does nothing. */
  end(): void;
}

/** The side of a stream one reads from. Nothing is delivered before `onMessage`; order is that of the wire. */
export interface InStream<T> {
  /** One listener. It is never called synchronously from this call, nor after the stream is over. */
  onMessage(task: (message: T) => void): void;
  /** Stops delivery after the current message; the sender is slowed down by flow control. */
  pause(): void;
  resume(): void;
}

/** A server's answer stream. */
export interface ServerStream<Res> extends OutStream<Res> {
  readonly call: CallContext;
  /**
   * Ends the call with this error. Messages written before it leave before it, but a client may drop what
   * it has not read when an error arrives (grpc-js does).
   */
  fail(error: RpcError): void;
}

/** A server's side of a bidirectional call. */
export interface DuplexStream<Req, Res> extends ServerStream<Res>, InStream<Req> {
  /** The client will send no more; the call lives until `end` or `fail`. */
  onHalfClose(task: () => void): void;
  /** As `call.onCancel`. */
  onCancel(task: () => void): void;
}

/** Answers one request. @throws RpcError, or what failureOf makes one, to choose the status; else it is Unknown and reported. */
export type UnaryHandler<Req, Res> = (request: Req, call: CallContext) => Promise<Res> | Res;
/**
 * Answers one request with a stream. A returned promise ends the stream when it settles (OK, or as a
 * unary handler's); a handler that returns nothing ends it itself.
 */
export type ServerStreamHandler<Req, Res> = (request: Req, stream: ServerStream<Res>) => Promise<void> | void;
/** Serves a bidirectional call; a returned promise ends it as with ServerStreamHandler. */
export type BidiHandler<Req, Res> = (stream: DuplexStream<Req, Res>) => Promise<void> | void;

/**
 * A descriptor with its handler. Types were checked where it was registered and are forgotten here, which
 * the method form of `handler` allows.
 */
export type MethodEntry =
  | {
      readonly kind: 'unary';
      readonly descriptor: MethodDescriptor<unknown, unknown>;
      handler(request: unknown, call: CallContext): unknown;
    }
  | {
      readonly kind: 'server-stream';
      readonly descriptor: MethodDescriptor<unknown, unknown>;
      handler(request: unknown, stream: ServerStream<unknown>): Promise<void> | void;
    }
  | {
      readonly kind: 'bidi';
      readonly descriptor: MethodDescriptor<unknown, unknown>;
      handler(stream: DuplexStream<unknown, unknown>): Promise<void> | void;
    };

/** Paths to handlers. Filled once at start, then given to any number of servers. */
export class MethodTable {
  private readonly methods = new Map<string, MethodEntry>();

  unary<Req, Res>(descriptor: MethodDescriptor<Req, Res>, handler: UnaryHandler<Req, Res>): this {
    return this.add({ kind: 'unary', descriptor, handler });
  }

  serverStream<Req, Res>(
    descriptor: MethodDescriptor<Req, Res>,
    handler: ServerStreamHandler<Req, Res>,
  ): this {
    return this.add({ kind: 'server-stream', descriptor, handler });
  }

  bidi<Req, Res>(descriptor: MethodDescriptor<Req, Res>, handler: BidiHandler<Req, Res>): this {
    return this.add({ kind: 'bidi', descriptor, handler });
  }

  /** The method served under `path`; undefined when there is none. */
  find(path: string): MethodEntry | undefined {
    return this.methods.get(path);
  }

  /** Every method, in order of registration. */
  entries(): IterableIterator<MethodEntry> {
    return this.methods.values();
  }

  /**
   * What leaves when a handler or a hook before it fails with `reason`: a domain with errors of its own says here
   * which statuses they are. What is no RpcError after it becomes Unknown and is reported.
   */
  failureOf(reason: unknown): unknown {
    return reason;
  }

  private add(entry: MethodEntry): this {
    const { path, kind } = entry.descriptor;
    assert(kind === entry.kind, () => `${path} is ${kind}, not ${entry.kind}`);
    assert(!this.methods.has(path), () => `${path} has a handler already`);
    this.methods.set(path, entry);
    return this;
  }
}
