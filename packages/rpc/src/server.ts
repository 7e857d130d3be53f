/**
 * The server's door: how a table of methods is put on the network, and the hooks by which its owner sees
 * calls pass. Interfaces only; grpc-js-server.ts is one transport behind them. No type of a transport
 * library appears here.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '@keelson/base';
import type { CallContext } from './method-table.ts';
import type { StatusCode } from './status.ts';

/** Where to listen: TCP (port 0 picks a free one) or a Unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** What became of a call. */
export interface CallOutcome {
  readonly code: StatusCode;
  readonly details: string;
  readonly durationMs: number;
  readonly receivedCount: number;
  readonly receivedBytes: number;
  readonly sentCount: number;
  readonly sentBytes: number;
}

/** Called on the path of every call: keep them quick. None of them may await. */
export interface CallHooks {
  /** Before the handler and before any message. @throws RpcError to refuse the call */
  before?(call: CallContext): void;
  /** Once for each call that passed a known path, whatever its end. Must not throw. */
  after?(call: CallContext, outcome: CallOutcome): void;
  /** A message's bytes came in or went out (protobuf bytes, without framing). */
  received?(call: CallContext, bytes: number): void;
  sent?(call: CallContext, bytes: number): void;
  /** A handler threw something that is no RpcError: the client got Unknown with its message. Log it. */
  unexpected?(call: CallContext, error: unknown): void;
}

export interface RpcServerOptions {
  /** Largest message accepted, bytes. Default 4 MiB, as grpc-go. */
  readonly maxReceiveBytes?: number;
  /** Streams a client may have open on one connection. Default: no limit, as etcd. */
  readonly maxConcurrentStreams?: number;
  /** A ping after this much silence on a connection. Default 2 h, as grpc-go. */
  readonly keepaliveIntervalMs?: number;
  /** The connection is dropped when its ping stays unanswered this long. Default 20 s, as grpc-go. */
  readonly keepaliveTimeoutMs?: number;
  readonly hooks?: CallHooks;
  readonly clock?: Clock;
}

export interface RpcServer {
  /**
   * Opens a listener; may be called for several addresses.
   * @returns the bound address (for a Unix socket its path as host and port 0)
   * @throws the system's error when the address cannot be bound
   */
  listen(address: ListenAddress): Promise<{ host: string; port: number }>;
  /**
   * Serves a connection accepted elsewhere (a port shared with other protocols, or TLS with its handshake
   * done). Takes it over.
   * @param head bytes that were read from it already
   */
  accept(connection: Duplex, head?: Buffer): void;
  /** Connections open now. */
  readonly connectionCount: number;
  /**
   * Stops gracefully: no new connection, no new call, running calls may finish. Resolves when the last
   * connection is gone; after `timeoutMs` what is left is cut.
   */
  drain(timeoutMs: number): Promise<void>;
  /** Stops at once, cutting every connection. */
  close(): Promise<void>;
}

export const DEFAULT_MAX_RECEIVE_BYTES = 4 * 1024 * 1024;
export const DEFAULT_KEEPALIVE_INTERVAL_MS = 2 * 3600 * 1000;
export const DEFAULT_KEEPALIVE_TIMEOUT_MS = 20_000;
