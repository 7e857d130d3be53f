/**
 * What the .proto files do not say and the generator must know: which 64-bit fields are counts and which
 * are ids, which proto2 fields are on the wire even when zero, and the TypeScript names that differ.
 * A 64-bit field without a line here, and a line without a field, fail the generation.
 */

/**
 * `count`: we or raft count it, so it stays below 2^53 and is a number; a stranger's larger value saturates.
 * `id`: others may choose all 64 bits, so it is a bigint.
 * By field name, as no name means both; a fuller name (`package.Message.field`) goes before.
 */
const INTEGER_KINDS: Readonly<Record<string, 'count' | 'id'>> = {
  // leases, members, clusters, raft nodes, watches, and the request ids of a member
  ID: 'id',
  NodeID: 'id',
  ClusterID: 'id',
  cluster_id: 'id',
  member_id: 'id',
  member_ID: 'id',
  memberID: 'id',
  targetID: 'id',
  leader: 'id',
  lease: 'id',
  watch_id: 'id',
  node_id: 'id',
  id: 'id',
  to: 'id',
  from: 'id',
  vote: 'id',
  voters: 'id',
  voters_outgoing: 'id',
  learners: 'id',
  learners_next: 'id',

  // revisions and versions
  revision: 'count',
  version: 'count',
  create_revision: 'count',
  mod_revision: 'count',
  min_mod_revision: 'count',
  max_mod_revision: 'count',
  min_create_revision: 'count',
  max_create_revision: 'count',
  start_revision: 'count',
  compact_revision: 'count',
  hash_revision: 'count',
  auth_revision: 'count',
  authRevision: 'count',
  rev: 'count',

  // raft's log
  term: 'count',
  Term: 'count',
  logTerm: 'count',
  raft_term: 'count',
  raftTerm: 'count',
  index: 'count',
  Index: 'count',
  raftIndex: 'count',
  raftAppliedIndex: 'count',
  commit: 'count',
  rejectHint: 'count',
  type: 'count',

  // amounts
  limit: 'count',
  count: 'count',
  deleted: 'count',
  dbSize: 'count',
  dbSizeInUse: 'count',
  dbSizeQuota: 'count',
  remaining_bytes: 'count',
  TTL: 'count',
  grantedTTL: 'count',
  RemainingTTL: 'count',
  remaining_TTL: 'count',

  // our own backup service
  unix_ms: 'count',
  lease_ttl_min: 'count',
};

/**
 * proto2 fields that etcd writes even when they are zero: those that were non-nullable in its Go structs
 * up to 3.6. Any other proto2 field is absent until set, and then
 * `undefined` here. Checked against files written by a real etcd, see README.md.
 */
const ALWAYS_WRITTEN: readonly string[] = [
  'etcdserverpb.Metadata.NodeID',
  'etcdserverpb.Metadata.ClusterID',
  'walpb.Record.type',
  'walpb.Record.crc',
  'walpb.Snapshot.index',
  'walpb.Snapshot.term',
  'snappb.snapshot.crc',
  'raftpb.Entry.Type',
  'raftpb.Entry.Term',
  'raftpb.Entry.Index',
  'raftpb.SnapshotMetadata.conf_state',
  'raftpb.SnapshotMetadata.index',
  'raftpb.SnapshotMetadata.term',
  'raftpb.Snapshot.metadata',
  'raftpb.Message.type',
  'raftpb.Message.to',
  'raftpb.Message.from',
  'raftpb.Message.term',
  'raftpb.Message.logTerm',
  'raftpb.Message.index',
  'raftpb.Message.commit',
  'raftpb.Message.reject',
  'raftpb.Message.rejectHint',
  'raftpb.Message.vote',
  'raftpb.HardState.term',
  'raftpb.HardState.vote',
  'raftpb.HardState.commit',
  'raftpb.ConfState.auto_leave',
  'raftpb.ConfChange.id',
  'raftpb.ConfChange.type',
  'raftpb.ConfChange.node_id',
  'raftpb.ConfChangeSingle.type',
  'raftpb.ConfChangeSingle.node_id',
  'raftpb.ConfChangeV2.transition',
];

/** TypeScript names of types whose own name says too little or is not a type's; others keep theirs. */
const TYPE_NAMES: Readonly<Record<string, string>> = {
  'authpb.Permission.Type': 'PermissionType',
  'snappb.snapshot': 'Snapshot',
};

/** Files and namespaces of packages whose name is not an identifier. */
const PACKAGE_NAMES: Readonly<Record<string, string>> = {
  'grpc.health.v1': 'healthpb',
  'keelson.backup.v1': 'backuppb',
};

export interface Decisions {
  readonly integerKinds: Readonly<Record<string, 'count' | 'id'>>;
  readonly alwaysWritten: readonly string[];
  readonly typeNames: Readonly<Record<string, string>>;
  readonly packageNames: Readonly<Record<string, string>>;
}

export const DECISIONS: Decisions = {
  integerKinds: INTEGER_KINDS,
  alwaysWritten: ALWAYS_WRITTEN,
  typeNames: TYPE_NAMES,
  packageNames: PACKAGE_NAMES,
};
