/**
 * Whether a peer is reachable, since when, and what went over its links: plain numbers that the metrics
 * room reads under etcd's names (etcd_network_*). Any of the peer's connections working makes it active,
 * any failing makes it inactive. (etcd: rafthttp peer_status.go.)
 */
import { type Clock, type Logger, hexId } from '@keelson/base';
import type { NodeId } from '@keelson/raft';

/** What happened on the links with one peer since it was added. Only ever grows, unless said. */
export class PeerCounters {
  /** Bytes of frames and bodies, without HTTP's own. */
  sentBytes = 0;
  receivedBytes = 0;
  /** Messages that were dropped or whose connection failed, and failed snapshots. */
  sentFailures = 0;
  /** Messages or requests from the peer that were refused or dropped. */
  receivedFailures = 0;
  /** Messages handed to a socket, and stepped. */
  sentMessages = 0;
  receivedMessages = 0;
  /** Times the peer went from active to inactive. */
  disconnects = 0;
  snapshotsSent = 0;
  snapshotsSentFailed = 0;
  snapshotsReceived = 0;
  snapshotsReceivedFailed = 0;
  /** Snapshots on their way now: goes up and down. */
  snapshotsSending = 0;
  snapshotsReceiving = 0;
  /** The last round trip of a probe, milliseconds; 0 before the first. */
  roundTripMs = 0;
}

export class PeerStatus {
  readonly counters: PeerCounters = new PeerCounters();
  private readonly id: NodeId;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly onActive: ((id: NodeId) => void) | undefined;
  private since: number | undefined = undefined;

  /** @param onActive told each time the peer becomes active */
  constructor(id: NodeId, clock: Clock, logger: Logger, onActive?: (id: NodeId) => void) {
    this.id = id;
    this.clock = clock;
    this.logger = logger;
    this.onActive = onActive;
  }

  /** Clock.monotonicMs() of when the peer became active; undefined while it is not. */
  get activeSince(): number | undefined {
    return this.since;
  }

  get active(): boolean {
    return this.since !== undefined;
  }

  activate(): void {
    if (this.since !== undefined) return;
    this.since = this.clock.monotonicMs();
    this.logger.info('peer became active', { 'peer-id': hexId(this.id) });
    this.onActive?.(this.id);
  }

  /** @param action "dial", "read", "write" …, @param source the link it happened on */
  deactivate(action: string, source: string, reason: Error): void {
    const error = `failed to ${action} ${hexId(this.id)} on ${source} (${reason.message})`;
    if (this.since === undefined) {
      if (this.logger.enabled('debug')) {
        this.logger.debug('peer deactivated again', { 'peer-id': hexId(this.id), error });
      }
      return;
    }
    this.since = undefined;
    this.counters.disconnects++;
    this.logger.warn('peer became inactive (message send to peer failed)', {
      'peer-id': hexId(this.id),
      error,
    });
  }
}
