/**
 * Bounds that no flag moves and that a simulation moves to their edges, where most faults of a store live
 * (3a of the plan of tests: "buggify the constants"). In production each is what limits.ts or its own file says.
 */
export interface Tuning {
  /** Bytes of records at which a segment of the log is cut. */
  readonly walSegmentBytes?: number;
  /** Bytes of entries in one append message, and such messages without an answer. */
  readonly raftMessageBytesMax?: number;
  readonly raftInflightMessagesMax?: number;
  /** Committed entries not yet applied at which proposals are refused. */
  readonly applyGapMax?: number;
  /** Payload of entries kept behind a snapshot, and applied between two. */
  readonly tailBytesMax?: number;
  /** Expired leases that are revoked in one round. */
  readonly leaseExpiryBatchMax?: number;
  /** Between two checkpoints of what a lease has left. */
  readonly leaseCheckpointIntervalMs?: number;
  /** One pass over watchers that lag: so many of them, so many revisions, so many bytes. */
  readonly watchWatchersMax?: number;
  readonly watchRevisionsMax?: number;
  readonly watchBytesMax?: number;
  /** Bytes of one response to a watch that may be told in parts. */
  readonly watchFragmentBytes?: number;
}
