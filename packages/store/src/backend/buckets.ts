/**
 * Buckets: one leading byte a raw key, standing for the bbolt bucket of the same purpose in a real
 * etcd's database (names below), so that a snapshot leaves and enters bucket by bucket.
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
  meta: { prefix: 'm', name: 'meta' },
  lease: { prefix: 'l', name: 'lease' },
  alarm: { prefix: 'a', name: 'alarm' },
  cluster: { prefix: 'c', name: 'cluster' },
  members: { prefix: 'p', name: 'members' },
  membersRemoved: { prefix: 'q', name: 'members_removed' },
  auth: { prefix: 'h', name: 'auth' },
  authUsers: { prefix: 'u', name: 'authUsers' },
  authRoles: { prefix: 'r', name: 'authRoles' },
  /** Ours alone: format version, layout facts. Never leaves in a snapshot. */
  local: { prefix: '!', name: '' },
} as const satisfies Readonly<Record<string, Bucket>>;

/** The raw range that holds all of a bucket. */
export function bucketRange(bucket: Bucket): { gte: string; lt: string } {
  return { gte: bucket.prefix, lt: String.fromCharCode(bucket.prefix.charCodeAt(0) + 1) };
}
