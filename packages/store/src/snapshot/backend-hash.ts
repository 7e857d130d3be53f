/**
 * Maintenance.Hash: CRC-32C over every bucket's name, keys and values, in their order, as a real etcd's
 * database with the same content gives it. What differs between members that agree (how far each has
 * applied, in which term) and the storage version are left out. It reads a frozen view in slices.
 */
import { crc32c } from '@keelson/base';
import type { AppliedMark } from '../backend/batch-record.ts';
import type { BackendSnapshot } from '../backend/backend.ts';
import type { BucketSource } from './pages.ts';
import { exportBuckets } from './state-image.ts';

const LEFT_OUT: ReadonlySet<string> = new Set(['consistent_index', 'term', 'storageVersion']);

export function hashBackend(view: BackendSnapshot, mark: AppliedMark): Promise<number> {
  return hashBuckets(exportBuckets(view, mark));
}

/** The same of any database. */
export async function hashBuckets(buckets: readonly BucketSource[]): Promise<number> {
  let hash = 0;
  for (const bucket of buckets) {
    hash = crc32c(bucket.name, hash);
    const isMeta = bucket.name.toString('latin1') === 'meta';
    for await (const pairs of bucket.entries())
      for (const { key, value } of pairs) {
        if (isMeta && LEFT_OUT.has(key.toString('latin1'))) continue;
        hash = crc32c(value, crc32c(key, hash));
      }
  }
  return hash;
}
