/**
 * A connection's way out, and all it knows of sockets: five members, so that a test or a fuzzer drives a connection
 * without a network. Types only.
 */
import type { PeerCertificate } from './peer-certificate.ts';

/** The socket, as a connection sees it. */
export interface Pipe {
  readonly peer: string;
  /** See CallContext. */
  readonly peerCertificate: PeerCertificate | undefined;
  /** Handed over and not taken by the system yet. */
  readonly pendingBytes: number;
  /** @returns true when the chunks' memory is free again already */
  write(chunks: readonly Buffer[]): boolean;
  /** Sends what was written, then says that no more comes. */
  end(): void;
  destroy(): void;
}
