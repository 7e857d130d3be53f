/**
 * Every other metric of a member: numbers its rooms count anyway, read when somebody scrapes, under the names,
 * types and labels of etcd 3.7; and, under keelson_, how full each of our bounded queues is. It asks and never
 * acts. Adding a queue with a limit means adding its row here.
 */
import { hexId } from '@keelson/base';
import { Role } from '@keelson/raft';
import { AlarmType } from './alarm/alarms.ts';
import type { ApplierCounters } from './apply/applier.ts';
import type { BackendSizes } from './apply/state-machine.ts';
import { FEATURE_GATE_NAMES, FEATURE_GATES } from './config/feature-gates.ts';
import type { ServerConfig } from './config/flag-table.ts';
import type { PasswordGate } from './auth/password-gate.ts';
import { ETCD_VERSION } from './config/version.ts';
import type { Driver } from './consensus/driver.ts';
import type { Proposals } from './consensus/proposals.ts';
import type { Reads } from './consensus/reads.ts';
import type { Replica } from './consensus/replica.ts';
import { BCRYPT_QUEUE_MAX } from './limits.ts';
import { exponentialBuckets, type Counter, type Gauge, type Histogram } from './metrics/metric.ts';
import type { Labelled, Reading, Registry } from './metrics/registry.ts';
import type { PeerCounters } from './peer/peer-status.ts';
import type { PeerQueues } from './peer/peer.ts';
import type { PeerTransport } from './peer/transport.ts';
import { CONNECTIONS_WAITING_MAX, type ClientPorts } from './rpc/client-ports.ts';
import type { WatchService } from './rpc/watch.ts';
import type { Wal } from './wal/wal.ts';

export interface MemberSources {
  readonly config: ServerConfig;
  readonly runtime: string;
  readonly replica: Replica;
  readonly driver: Driver;
  readonly inboxMax: number;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly watches: WatchService;
  readonly transport: PeerTransport;
  readonly ports: ClientPorts;
  readonly passwords: PasswordGate;
  readonly wal: Wal;
  readonly applier: ApplierCounters;
  readonly quotaBytes: number;
  /** Bytes of the backend as last measured, and of them those in use. */
  readonly sizes: () => BackendSizes;
}

/** What has to be told, because nobody keeps it: durations, and outcomes seen only where they happen. */
export interface MemberObservers {
  readonly roundTrip: Labelled<Histogram>;
  readonly snapshotSend: Labelled<Histogram>;
  readonly snapshotReceive: Labelled<Histogram>;
  readonly promoteSucceeded: Counter;
  readonly promoteFailed: Labelled<Counter>;
  readonly heartbeatsLate: Counter;
  readonly snapshotsApplying: Gauge;
  /** Milliseconds of work behind a compaction. */
  readonly compaction: Histogram;
  /** When such work ended last, seconds since the epoch. */
  readonly compactionLast: Gauge;
}

export function memberObservers(registry: Registry): MemberObservers {
  const snapshots = (way: string, label: string): Labelled<Histogram> =>
    registry.histograms(
      `etcd_network_snapshot_${way}_total_duration_seconds`,
      `Snapshots, by the other member: how long to ${way} one.`,
      [label],
      exponentialBuckets(0.1, 2, 10),
    );
  return {
    roundTrip: registry.histograms(
      'etcd_network_peer_round_trip_time_seconds',
      'Round trips to the other members.',
      ['To'],
      exponentialBuckets(0.0001, 2, 16),
    ),
    snapshotSend: snapshots('send', 'To'),
    snapshotReceive: snapshots('receive', 'From'),
    promoteSucceeded: registry.counter(
      'etcd_server_learner_promote_successes',
      'Learners promoted by this member as leader.',
    ),
    promoteFailed: registry.counters(
      'etcd_server_learner_promote_failures',
      'Promotions refused by this member as leader.',
      ['Reason'],
    ),
    heartbeatsLate: registry.counter(
      'etcd_server_heartbeat_send_failures_total',
      'Heartbeats that left late: the member or its disk was too slow.',
    ),
    snapshotsApplying: registry.gauge(
      'etcd_server_snapshot_apply_in_progress_total',
      '1 while a received snapshot is being installed.',
    ),
    compaction: registry.histogram(
      'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds',
      'Work behind compactions.',
      exponentialBuckets(100, 2, 14),
    ),
    compactionLast: registry.gauge('etcd_debugging_mvcc_db_compaction_last', 'When a compaction ended last.'),
  };
}

export function registerMember(registry: Registry, sources: MemberSources): void {
  registerServer(registry, sources);
  registerMvcc(registry, sources);
  registerPeers(registry, sources);
  registerQueues(registry, sources);
  registerRemnants(registry);
}

function registerServer(registry: Registry, sources: MemberSources): void {
  const { replica, driver, proposals, reads, config } = sources;
  const { state } = replica;
  const gauge = gaugeIn(registry);
  const counter = counterIn(registry);
  const id = hexId(replica.memberId);

  gauge('etcd_server_has_leader', 'Whether the member knows a leader.', () => flag(replica.leaderId !== 0n));
  gauge('etcd_server_is_leader', 'Whether the member leads.', () => flag(driver.role === Role.Leader));
  gauge('etcd_server_is_learner', 'Whether the member is a learner.', () => flag(replica.isLearner));
  counter('etcd_server_leader_changes_seen_total', 'Leaders seen.', () => driver.counters.leaderChanges);
  // Gauges by type, whatever their names say: so are etcd's.
  gauge('etcd_server_proposals_committed_total', 'Index committed.', () => driver.commitIndex);
  gauge('etcd_server_proposals_applied_total', 'Index applied.', () => driver.appliedIndex);
  gauge(
    'etcd_server_proposals_pending',
    'Proposals that wait for their outcome.',
    () => proposals.counters.pending,
  );
  counter('etcd_server_proposals_failed_total', 'Proposals that failed.', () => proposals.counters.failed);
  counter('etcd_server_slow_read_indexes_total', 'Reads that had to ask again.', () => reads.counters.slow);
  counter('etcd_server_read_indexes_failed_total', 'Reads that failed.', () => reads.counters.failed);
  gauge('etcd_server_quota_backend_bytes', 'Bytes the backend may take.', () => sources.quotaBytes);
  labelledOne(registry, 'etcd_server_version', 'The version served.', 'server_version', () => ETCD_VERSION);
  labelledOne(registry, 'etcd_server_go_version', 'The runtime.', 'server_go_version', () => sources.runtime);
  labelledOne(registry, 'etcd_server_id', 'The member.', 'server_id', () => id);
  registry.readAll(
    'gauge',
    'etcd_cluster_version',
    'The version the cluster runs at.',
    ['cluster_version'],
    () => {
      const version = state.membership.clusterVersion;
      return version === '' ? [] : [[[version.replace(/^(\d+\.\d+)\..*$/, '$1')], 1]];
    },
  );
  registry.readAll(
    'gauge',
    'etcd_server_etcd_server_feature_enabled',
    'Feature gates.',
    ['name', 'stage'],
    () =>
      FEATURE_GATE_NAMES.map((name): Reading => [
        [name, FEATURE_GATES[name].stage.toUpperCase()],
        flag(config.featureGates.enabled[name]),
      ]),
  );
  registry.readAll(
    'gauge',
    'etcd_debugging_server_alarms',
    'Alarms that stand.',
    ['server_id', 'alarm_type'],
    () =>
      state.alarms
        .list(AlarmType.None)
        .map(({ memberId, type }): Reading => [
          [hexId(memberId), type === AlarmType.NoSpace ? 'NOSPACE' : 'CORRUPT'],
          1,
        ]),
  );
  gauge('etcd_debugging_auth_revision', 'Revision of users and roles.', () => state.auth.revision);
  const leases = state.lessor.counters;
  counter('etcd_debugging_lease_granted_total', 'Leases granted.', () => leases.granted);
  counter('etcd_debugging_lease_revoked_total', 'Leases revoked.', () => leases.revoked);
  counter('etcd_debugging_lease_renewed_total', 'Leases renewed here.', () => leases.renewed);
  registry.readHistogram(
    'etcd_debugging_lease_ttl_total',
    'Seconds that leases were granted for.',
    () => state.lessor.grantedSeconds,
  );
  counter('etcd_debugging_server_lease_expired_total', 'Leases that expired here.', () => leases.expired);
  gauge(
    'etcd_disk_wal_write_bytes_total',
    'Bytes written to the WAL.',
    () => sources.wal.counters.bytesWritten,
  );
}

function registerMvcc(registry: Registry, sources: MemberSources): void {
  const { replica, watches } = sources;
  const { hub, state } = replica;
  const gauge = gaugeIn(registry);
  const counter = counterIn(registry);
  // A snapshot replaces the store: it is looked up each time.
  const mvcc = (): typeof state.mvcc => state.mvcc;

  counter('etcd_mvcc_range_total', 'Ranges.', () => mvcc().counters.ranges);
  counter('etcd_mvcc_put_total', 'Puts.', () => mvcc().counters.puts);
  counter('etcd_mvcc_delete_total', 'Deletes.', () => mvcc().counters.deletes);
  counter('etcd_mvcc_txn_total', 'Transactions.', () => mvcc().counters.txns);
  gauge('etcd_mvcc_db_total_size_in_bytes', 'Size of the backend.', () => sources.sizes().totalBytes);
  gauge(
    'etcd_mvcc_db_total_size_in_use_in_bytes',
    'Size of the backend in use.',
    () => sources.sizes().inUseBytes,
  );
  gauge('etcd_mvcc_db_open_read_transactions', "bbolt's readers: none here.", () => 0);
  gauge('etcd_debugging_mvcc_current_revision', 'Revision.', () => mvcc().currentRevision);
  gauge('etcd_debugging_mvcc_compact_revision', 'Revision compacted.', () => mvcc().compactRevision);
  gauge('etcd_debugging_mvcc_keys_total', 'Keys.', () => mvcc().keysTotal);
  gauge('etcd_debugging_mvcc_total_put_size_in_bytes', 'Bytes put.', () => mvcc().counters.putBytes);
  gauge('etcd_debugging_mvcc_watch_stream_total', 'Watch streams.', () => watches.streamCount);
  gauge('etcd_debugging_mvcc_watcher_total', 'Watchers.', () => hub.watcherCount);
  gauge('etcd_debugging_mvcc_slow_watcher_total', 'Watchers that are behind.', () => hub.unsyncedCount);
  counter('etcd_debugging_mvcc_events_total', 'Events sent to watchers.', () => hub.counters.eventsDelivered);
  gauge(
    'etcd_debugging_mvcc_pending_events_total',
    'Events kept for watchers: none here, they are read again.',
    () => 0,
  );
  counter(
    'etcd_debugging_mvcc_db_compaction_keys_total',
    'Revisions compacted.',
    () => mvcc().counters.compactedRevisions,
  );
  const pauses = 'etcd_debugging_mvcc';
  const never = 'Compaction works in slices between requests here: never observed.';
  registry.histogram(
    `${pauses}_index_compaction_pause_duration_milliseconds`,
    never,
    exponentialBuckets(0.5, 2, 14),
  );
  registry.histogram(
    `${pauses}_db_compaction_pause_duration_milliseconds`,
    never,
    exponentialBuckets(1, 2, 13),
  );
}

/** A family over all peers: one series a peer for which `value` gives a number. */
function registerPeers(registry: Registry, { replica, transport }: MemberSources): void {
  const local = hexId(replica.memberId);
  const peers = function* (): Iterable<{ readonly id: bigint; readonly counters: Readonly<PeerCounters> }> {
    for (const { id } of replica.state.membership.list()) {
      const counters = transport.counters(id);
      if (id !== replica.memberId && counters !== undefined) yield { id, counters };
    }
  };
  const each = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    label: 'To' | 'From',
    value: (counters: Readonly<PeerCounters>) => number,
  ): void =>
    registry.readAll(type, `etcd_network_${name}`, help, [label], function* () {
      for (const { id, counters } of peers()) yield [[hexId(id)], value(counters)];
    });
  const between = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    value: (id: bigint, counters: Readonly<PeerCounters>) => number,
  ): void =>
    registry.readAll(type, `etcd_network_${name}`, help, ['Local', 'Remote'], function* () {
      for (const { id, counters } of peers()) yield [[local, hexId(id)], value(id, counters)];
    });

  each('counter', 'peer_sent_bytes_total', 'Bytes sent to members.', 'To', (c) => c.sentBytes);
  each(
    'counter',
    'peer_received_bytes_total',
    'Bytes received from members.',
    'From',
    (c) => c.receivedBytes,
  );
  each('counter', 'peer_sent_failures_total', 'Failures to send to members.', 'To', (c) => c.sentFailures);
  each(
    'counter',
    'peer_received_failures_total',
    'Failures to receive from members.',
    'From',
    (c) => c.receivedFailures,
  );
  each('counter', 'snapshot_send_success', 'Snapshots sent.', 'To', (c) => c.snapshotsSent);
  each(
    'counter',
    'snapshot_send_failures',
    'Snapshots that were not sent.',
    'To',
    (c) => c.snapshotsSentFailed,
  );
  each('counter', 'snapshot_receive_success', 'Snapshots received.', 'From', (c) => c.snapshotsReceived);
  each(
    'counter',
    'snapshot_receive_failures',
    'Snapshots that were not received.',
    'From',
    (c) => c.snapshotsReceivedFailed,
  );
  each('gauge', 'snapshot_send_inflights_total', 'Snapshots being sent.', 'To', (c) => c.snapshotsSending);
  each(
    'gauge',
    'snapshot_receive_inflights_total',
    'Snapshots being received.',
    'From',
    (c) => c.snapshotsReceiving,
  );
  between('gauge', 'active_peers', 'Members that are reachable.', (id) =>
    flag(transport.activeSince(id) !== undefined),
  );
  between('counter', 'disconnected_peers_total', 'Members lost.', (_id, c) => c.disconnects);
  registry.readAll(
    'gauge',
    'etcd_network_known_peers',
    'Members known, this one too.',
    ['Local', 'Remote'],
    () => replica.state.membership.list().map(({ id }): Reading => [[local, hexId(id)], 1]),
  );
}

/** Our own queues and their limits; a limit of Infinity is shown as +Inf. */
function registerQueues(registry: Registry, sources: MemberSources): void {
  const { driver, proposals, reads, replica, ports, passwords, transport, inboxMax } = sources;
  const gauge = gaugeIn(registry);
  const counter = counterIn(registry);
  const buffer = (): typeof replica.state.buffer => replica.state.buffer;
  const peerQueue = (name: string, help: string, value: (queues: PeerQueues) => number): void =>
    registry.readAll('gauge', `keelson_peer_queue_${name}`, help, ['To'], function* () {
      for (const { id } of replica.state.membership.list()) {
        const queues = transport.queues?.(id);
        if (queues !== undefined) yield [[hexId(id)], value(queues)];
      }
    });
  counter('keelson_driver_turns_total', 'Turns of the driver.', () => driver.counters.turns);
  gauge('keelson_driver_inbox_messages', 'Messages that wait for the next turn.', () => driver.inboxLength);
  gauge('keelson_driver_inbox_messages_max', 'Messages that may wait.', () => inboxMax);
  counter(
    'keelson_driver_inbox_dropped_total',
    'Messages dropped at a full inbox.',
    () => driver.counters.inboxDropped,
  );
  gauge('keelson_proposals_queued', 'Commands not yet handed to raft.', () => proposals.queuedCount);
  gauge('keelson_proposals_pending_bytes', 'Bytes of commands under way.', () => proposals.bytes);
  gauge(
    'keelson_proposals_pending_bytes_max',
    'Bytes of commands that may be under way.',
    () => proposals.bytesMax,
  );
  gauge('keelson_reads_waiting', 'Linearizable reads that wait.', () => reads.waitingCount);
  gauge('keelson_apply_gap_entries', 'Entries committed and not yet applied.', () =>
    Math.max(0, driver.commitIndex - driver.appliedIndex),
  );
  counter('keelson_applied_entries_total', 'Entries applied.', () => sources.applier.appliedCount);
  gauge(
    'keelson_backend_pending_operations',
    'Operations of the batch that is filling.',
    () => buffer().pendingOperations,
  );
  counter('keelson_backend_batches_total', 'Batches written.', () => buffer().counters.batches);
  counter('keelson_backend_operations_total', 'Operations written.', () => buffer().counters.operations);
  counter('keelson_wal_records_total', 'Records written to the WAL.', () => sources.wal.counters.records);
  counter('keelson_wal_syncs_total', 'Syncs of the WAL.', () => sources.wal.counters.syncs);
  counter(
    'keelson_watch_offers_refused_total',
    'Times a watcher fell behind.',
    () => replica.hub.counters.offersRefused,
  );
  counter(
    'keelson_watch_history_revisions_total',
    'Revisions read again for watchers.',
    () => replica.hub.counters.revisionsRead,
  );
  gauge(
    'keelson_client_connections_waiting_max',
    'Connections that may wait for the member to be ready.',
    () => CONNECTIONS_WAITING_MAX,
  );
  gauge(
    'keelson_client_connections_waiting',
    'Connections that wait for the member to be ready.',
    () => ports.waitingCount,
  );
  gauge('keelson_password_hashes_waiting', 'Logins that wait for their hash.', () => passwords.waitingCount);
  gauge('keelson_password_hashes_waiting_max', 'Logins that may wait.', () => BCRYPT_QUEUE_MAX);
  counter(
    'keelson_password_hashes_refused_total',
    'Logins refused at a full queue.',
    () => passwords.counters.refused,
  );
  peerQueue('messages', 'Messages that wait on streams to a member.', (queues) => queues.messages);
  peerQueue('messages_max', 'Messages that may wait.', (queues) => queues.messagesMax);
  peerQueue('bytes', 'Bytes of messages that wait on streams.', (queues) => queues.bytes);
  peerQueue('bytes_max', 'Bytes that may wait.', (queues) => queues.bytesMax);
  peerQueue('posts', 'Messages that wait to be posted.', (queues) => queues.posts);
  peerQueue('posts_max', 'Messages that may wait to be posted.', (queues) => queues.postsMax);
}

/** What etcd exports of parts that a member of ours has not: there for whoever expects the names. */
function registerRemnants(registry: Registry): void {
  const zero = (): number => 0;
  const rows: readonly (readonly ['counter' | 'gauge', string])[] = [
    ['gauge', 'etcd_grpc_proxy_cache_hits_total'],
    ['gauge', 'etcd_grpc_proxy_cache_keys_total'],
    ['gauge', 'etcd_grpc_proxy_cache_misses_total'],
    ['counter', 'etcd_grpc_proxy_events_coalescing_total'],
    ['gauge', 'etcd_grpc_proxy_watchers_coalescing_total'],
    ['counter', 'etcd_debugging_store_expires_total'],
    ['counter', 'etcd_debugging_store_watch_requests_total'],
    ['gauge', 'etcd_debugging_store_watchers'],
  ];
  for (const [type, name] of rows) registry.read(type, name, 'Of a part this member has not: 0.', zero);
  for (const [name, action] of [
    ['reads', 'getRecursive'],
    ['reads_failed', 'get'],
    ['writes', 'set'],
    ['writes_failed', 'create'],
  ])
    registry.readAll(
      'counter',
      `etcd_debugging_store_${name}_total`,
      'The tree of API version 2: not kept in memory here.',
      ['action'],
      () => [[[action], 0]],
    );
  for (const part of ['watch_stream', 'watch_stream_per_event', 'control_stream', 'progress']) {
    const suffix =
      part === 'watch_stream_per_event'
        ? 'watch_stream_duration_per_event_seconds'
        : `${part}_duration_seconds`;
    registry.histogram(
      `etcd_debugging_server_watch_send_loop_${suffix}`,
      'Watches are written within the turn that found the events here: never observed.',
      exponentialBuckets(0.001, 2, 14),
    );
  }
}

type Read = (name: string, help: string, value: () => number) => void;

function gaugeIn(registry: Registry): Read {
  return (name, help, value) => registry.read('gauge', name, help, value);
}

function counterIn(registry: Registry): Read {
  return (name, help, value) => registry.read('counter', name, help, value);
}

function labelledOne(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  value: () => string,
): void {
  registry.readAll('gauge', name, help, [label], () => [[[value()], 1]]);
}

function flag(value: boolean): number {
  return value ? 1 : 0;
}
