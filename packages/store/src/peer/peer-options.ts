/**
 * What the rooms of peer/ share: the interface upwards, the limits, and the context each link is made
 * with. Limits are etcd's unless said; each is a plain number that a test may lower.
 */
import type { Clock, Logger } from '@keelson/base';
import type { Message, NodeId } from '@keelson/raft';
import { MESSAGE_BYTES_MAX } from './message-codec.ts';
import { ENTRY_BYTES_MAX } from './msgapp-codec.ts';
import type { PeerIdentity } from './peer-identity.ts';
import type { PeerTls } from './peer-tls.ts';

/**
 * What the transport needs from the member above it. All calls are made on the event loop's turn that
 * caused them, some of them from inside send(): put things in an inbox and return.
 */
export interface PeerHandler {
  /** A message from a peer, checked to be for us and from it. Owns the message. */
  step(from: NodeId, message: Message): void;
  /** Whether the member was removed from the cluster, for ever. */
  isRemoved(id: NodeId): boolean;
  /** At least one message to the peer was lost. */
  reportUnreachable(id: NodeId): void;
  /** A MsgSnap to the peer arrived (and was saved there), or did not. */
  reportSnapshot(id: NodeId, ok: boolean): void;
  /**
   * Saves an incoming snapshot's body, which must be read to its end. When the promise resolves, the
   * message is stepped and the sender gets its success; when it rejects, the sender gets a failure.
   *
   * @param bytes length of the body; undefined when the sender did not say (a real etcd does not), the
   *   body then ends where its transfer ends, and iteration throws when that was cut short
   */
  receiveSnapshot(message: Message, body: AsyncIterable<Buffer>, bytes: number | undefined): Promise<void>;
  /** The peer became active. */
  reportConnected?(id: NodeId): void;
  /** A peer says that this member was removed from the cluster: it should stop. May come repeatedly. */
  reportRemoved?(by: NodeId): void;
  /** A probe of the peer came back after `elapsedMs`. */
  reportRoundTrip?(id: NodeId, elapsedMs: number): void;
}

export interface PeerLimits {
  /** Silence on a stream or a half-read request after which its connection is closed, ms. */
  readonly readTimeoutMs: number;
  /** A write that makes no progress for so long closes its connection, ms. */
  readonly writeTimeoutMs: number;
  /** Time to make a connection, ms. etcd: 1 s + one election timeout. */
  readonly dialTimeoutMs: number;
  /** Least time between two attempts to open one stream, ms. */
  readonly dialRetryMs: number;
  /** To this the retry time doubles while the peer answers but refuses us for good (410, 412), ms. */
  readonly refusedRetryMaxMs: number;
  /** Time for the receiver to save a snapshot after its last byte, ms. etcd waits without end. */
  readonly snapshotAnswerTimeoutMs: number;
  /** Time between probes of one peer, ms. */
  readonly probeIntervalMs: number;
  /** Messages that wait for one stream. */
  readonly streamQueueMax: number;
  /** Bytes that wait for one stream; one larger message alone may pass. */
  readonly streamQueueBytesMax: number;
  /** Bytes handed to a stream's socket and not yet taken by the kernel, above which messages wait. */
  readonly inflightBytesMax: number;
  /** Messages that wait for one pipeline. */
  readonly pipelineQueueMax: number;
  /** Posts of one pipeline at a time. */
  readonly pipelineConnectionsMax: number;
  /** Members that introduced themselves without being known to us yet. */
  readonly remotesMax: number;
  /** Connections to the peer port. */
  readonly serverConnectionsMax: number;
  /** Largest message on a stream or in a pipeline post. */
  readonly messageBytesMax: number;
  /** Largest entry on the msgapp stream. */
  readonly entryBytesMax: number;
  /** Largest MsgSnap (the message, not the body that follows it). etcd: 64 MiB. */
  readonly snapshotMessageBytesMax: number;
}

export const DEFAULT_PEER_LIMITS: PeerLimits = {
  readTimeoutMs: 5_000,
  writeTimeoutMs: 5_000,
  dialTimeoutMs: 2_000,
  dialRetryMs: 100,
  refusedRetryMaxMs: 1_600,
  snapshotAnswerTimeoutMs: 120_000,
  probeIntervalMs: 4_000,
  streamQueueMax: 4_096,
  streamQueueBytesMax: 64 * 1024 * 1024,
  inflightBytesMax: 4 * 1024 * 1024,
  pipelineQueueMax: 64,
  pipelineConnectionsMax: 4,
  remotesMax: 64,
  serverConnectionsMax: 1_024,
  messageBytesMax: MESSAGE_BYTES_MAX,
  entryBytesMax: ENTRY_BYTES_MAX,
  snapshotMessageBytesMax: 16 * 1024 * 1024,
};

/** What every link of one member is made with. */
export interface PeerContext {
  readonly identity: PeerIdentity;
  readonly handler: PeerHandler;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: PeerLimits;
  /** Undefined: plain HTTP only. */
  readonly tls: PeerTls | undefined;
  /** Where connections to peers come from; undefined: as the system chooses. */
  readonly localAddress: string | undefined;
}
