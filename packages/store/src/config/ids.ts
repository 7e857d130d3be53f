/**
 * Member and cluster ids, bit for bit etcd's: mixed clusters and restored snapshots depend on it. The
 * first eight bytes, big endian, of a SHA-1. Pure.
 */
import { createHash } from 'node:crypto';

function firstEight(parts: readonly (string | Buffer)[]): bigint {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest().readBigUInt64BE(0);
}

/**
 * The id of a member: over its peer URLs in ascending order, joined without a separator, then the
 * cluster's token, then, for one added to a running cluster, the time in decimal.
 *
 * @param peerUrls canonical texts, in any order
 * @param nowSeconds Unix time of a MemberAdd; absent for members of the initial cluster, which must
 *   all compute the same ids
 */
export function memberId(peerUrls: readonly string[], clusterToken: string, nowSeconds?: number): bigint {
  const time = nowSeconds === undefined ? '' : String(nowSeconds);
  return firstEight([[...peerUrls].sort().join(''), clusterToken, time]);
}

/** The id of a cluster: over the ids of its initial members in ascending order, eight bytes each. */
export function clusterId(memberIds: readonly bigint[]): bigint {
  const ascending = [...memberIds].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const parts = ascending.map((id) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(id);
    return bytes;
  });
  return firstEight(parts);
}
