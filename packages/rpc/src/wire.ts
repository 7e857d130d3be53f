/**
 * The byte level: what a transport must offer, and be told, for one call on either side. Everything above
 * (codecs, cardinality, handlers, promises) is written once over these four interfaces; everything below
 * (frames, sockets, queues) is a transport's own. Nothing here encodes or decodes a message.
 *
 * Laws for every transport:
 * - it calls a sink only after it got it, and never again after the final call (`cancelArrived`, `statusArrived`);
 * - messages arrive whole, in order, and only while reading is on; reading starts off;
 * - it enforces the call's deadline and reports its passing as DeadlineExceeded;
 * - `send` takes the message always and answers whether the sender may go on.
 */
import type { Metadata } from './metadata.ts';
import type { PeerCertificate } from './peer-certificate.ts';
import type { StatusCode } from './status.ts';

/** A transport's end of an incoming call. */
export interface ServerWire {
  readonly path: string;
  readonly peer: string;
  /** See CallContext. */
  readonly peerCertificate: PeerCertificate | undefined;
  readonly metadata: Metadata;
  /** On the monotonic clock the server was given; undefined: no deadline. */
  readonly deadlineMs: number | undefined;
  /** At most once, before the first message. */
  sendHeaders(headers: Metadata): void;
  /** Hands one message over; false when more than the high-water mark waits to leave. */
  send(bytes: Buffer): boolean;
  /** Ends the call, after the messages sent so far. At most once; nothing may follow. */
  finish(code: StatusCode, details: string, trailers: Metadata | undefined): void;
  setReading(on: boolean): void;
  /**
   * After `cancelArrived`, once: the handler has come to its end. Until then the call still costs something,
   * and a transport may count it as running.
   */
  handlerEnded(): void;
}

/** What a transport tells the server half of a call. */
export interface ServerSink {
  messageArrived(bytes: Buffer): void;
  halfCloseArrived(): void;
  /** The buffered bytes fell below the mark again after a false from `send`. */
  drainArrived(): void;
  /** The call is over without our `finish`: reset, connection lost, deadline, oversized message. */
  cancelArrived(code: StatusCode, details: string): void;
}

/** Opens the server half of a call that arrived; the transport delivers to the sink from then on. */
export type Acceptor = (wire: ServerWire) => ServerSink;

/** A transport's end of an outgoing call. */
export interface ClientWire {
  send(bytes: Buffer): boolean;
  halfClose(): void;
  /** Ends the call from this side; the sink still gets `statusArrived`, with this code and these details. */
  cancel(code: StatusCode, details: string): void;
  setReading(on: boolean): void;
}

/** What a transport tells the client half of a call. */
export interface ClientSink {
  headersArrived(headers: Metadata): void;
  messageArrived(bytes: Buffer): void;
  drainArrived(): void;
  /** The end, always and once. @param unsent see RpcError.unsent */
  statusArrived(code: StatusCode, details: string, trailers: Metadata, unsent: boolean): void;
}

/** A transport's way to the other side. */
export interface ClientTransport {
  /** @param timeoutMs how long the call may take; undefined: no limit */
  open(path: string, metadata: Metadata, timeoutMs: number | undefined, sink: ClientSink): ClientWire;
}

/**
 * 64 KiB may wait to leave before a writer is asked to pause: HTTP/2's initial window, so a reader that
 * keeps up never sees a gap. Wrong if a fan-out benchmark shows streams idle between drains.
 */
export const HIGH_WATER_BYTES = 65_536;
/** Writers go on at a quarter of the mark, so that each wake-up moves more than one message. */
export const LOW_WATER_BYTES = HIGH_WATER_BYTES / 4;
