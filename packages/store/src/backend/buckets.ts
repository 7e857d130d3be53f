/**
 * Buckets: one leading byte a raw key, standing for the bbolt bucket of the same purpose in a real
 * etcd's database (names below), so that a snapshot leaves and enters bucket by bucket.
 *
 * Law: revisions sort behind every other bucket. They only grow, so each table of them that LevelDB writes then
 * lies behind all tables before it and is never merged with one again (measured: a compaction thread at work
 * for 0.3 instead of 0.85 s in 300,000 puts). With one small bucket behind them the newest table would span
 * from revisions to that bucket, and overlap every table that follows.
 */
export interface Bucket {
  /** First byte of its raw keys. */
  readonly prefix: string;
  /** The bbolt bucket it becomes in a snapshot. */
  readonly name: string;
}

export const Buckets = {
  /** 17 or 18 bytes of revision → mvccpb.KeyValue; also the batch records (see write-buffer.ts). */
  key: { prefix: 'k', name: 'key' },
  meta: { prefix: 'M', name: 'meta' },
  lease: { prefix: 'L', name: 'lease' },
  alarm: { prefix: 'a', name: 'alarm' },
  cluster: { prefix: 'c', name: 'cluster' },
  members: { prefix: 'P', name: 'members' },
  membersRemoved: { prefix: 'Q', name: 'members_removed' },
  auth: { prefix: 'h', name: 'auth' },
  authUsers: { prefix: 'U', name: 'authUsers' },
  authRoles: { prefix: 'R', name: 'authRoles' },
  /** Ours alone: format version, layout facts. Never leaves in a snapshot. */
  local: { prefix: '!', name: '' },
} as const satisfies Readonly<Record<string, Bucket>>;

/** The raw range that holds all of a bucket. */
export function bucketRange(bucket: Bucket): { gte: string; lt: string } {
  return { gte: bucket.prefix, lt: String.fromCharCode(bucket.prefix.charCodeAt(0) + 1) };
}
