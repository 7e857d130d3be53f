/**
 * What can be said of a database without starting it: etcdutl's snapshot status and its HashKV, for both
 * layouts. Each goes over the buckets in slices and holds no more than the keys' names (HashKV of a compacted
 * database) in memory.
 */
import { crc32c } from '@keelson/base';
import { Buckets } from '../backend/buckets.ts';
import { FatalError, messageOf } from '../errors.ts';
import { KeyValue } from '../mvcc/key-value.ts';
import { isTombstone, revisionMain, REVISION_LENGTH } from '../mvcc/revision.ts';
import type { BucketSource } from '../snapshot/pages.ts';
import type { Database } from './database.ts';

export interface SnapshotStatus {
  /** CRC-32C over names, keys and values of all buckets. */
  readonly hash: number;
  readonly revision: number;
  /** Pairs of all buckets. */
  readonly totalKey: number;
  readonly totalSize: number;
  /** Of the storage; '' before etcd 3.6. */
  readonly version: string;
}

export async function snapshotStatus(database: Database): Promise<SnapshotStatus> {
  let hash = 0;
  let revision = 0;
  let totalKey = 0;
  let version = '';
  for (const bucket of database.buckets) {
    const name = bucket.name.toString('latin1');
    hash = crc32c(bucket.name, hash);
    for await (const pairs of bucket.entries()) {
      for (const { key, value } of pairs) {
        hash = crc32c(value, crc32c(key, hash));
        totalKey++;
        if (name === Buckets.key.name) revision = mainOf(key);
        else if (name === Buckets.meta.name && key.toString('latin1') === 'storageVersion')
          version = value.toString('utf8');
      }
    }
  }
  return { hash, revision, totalKey, totalSize: database.bytes, version };
}

export interface OfflineHash {
  readonly hash: number;
  readonly hashRevision: number;
  /** -1 when nothing was ever compacted. */
  readonly compactRevision: number;
}

/**
 * HashKV as a member with this database answers it (mvcc/hash.ts says what counts and why).
 *
 * @param revision up to where; 0 for the newest
 * @throws FatalError with etcd's text for a revision that is compacted or not there yet
 */
export async function offlineHashKV(database: Database, revision: number): Promise<OfflineHash> {
  const compactRevision = await compactRevisionOf(database);
  const bucket = bucketNamed(database, Buckets.key.name);
  const kept = new Map<string, string>();
  // What finished removing leaves; it counts where nothing is kept.
  const left = new Map<string, string>();
  let newest = 0;
  // The newest revision is known only at the end; without a wish, all of them count.
  const limit = revision <= 0 ? Infinity : revision;
  for await (const pairs of bucket?.entries() ?? []) {
    for (const pair of pairs) {
      const key = pair.key.toString('latin1');
      newest = mainOf(pair.key);
      if (compactRevision < 0 || newest > limit) continue;
      const name = KeyValue.read(pair.value).keyString;
      for (const keys of newest <= compactRevision ? [kept, left] : [kept])
        if (isTombstone(key)) keys.delete(name);
        else keys.set(name, key);
    }
  }
  const currentRevision = Math.max(newest, compactRevision, 1);
  const hashRevision = revision <= 0 ? currentRevision : revision;
  if (hashRevision > currentRevision) throw new FatalError(textOf('FUTURE_REVISION'));
  if (hashRevision < compactRevision) throw new FatalError(textOf('COMPACTED'));

  const counted = kept.size > 0 ? kept : left;
  let hash = crc32c(Buffer.from(Buckets.key.name, 'latin1'));
  for await (const pairs of bucket?.entries() ?? []) {
    for (const pair of pairs) {
      const key = pair.key.toString('latin1');
      const main = revisionMain(key);
      if (main > hashRevision) continue;
      if (main <= compactRevision) {
        if (main === compactRevision && isTombstone(key)) continue;
        if (counted.get(KeyValue.read(pair.value).keyString) !== key) continue;
      }
      hash = crc32c(pair.value, crc32c(pair.key, hash));
    }
  }
  return { hash, hashRevision, compactRevision };
}

/** @throws FatalError for a key that is no revision */
function mainOf(key: Buffer): number {
  if (key.length < REVISION_LENGTH) throw new FatalError('the key bucket holds a key that is no revision');
  return revisionMain(key.toString('latin1', 0, REVISION_LENGTH));
}

/** As the library says it, without the server's name before it. */
function textOf(code: 'FUTURE_REVISION' | 'COMPACTED'): string {
  return messageOf(code).replace('etcdserver: ', '');
}

/** The revision a member with this database starts at, also where the newest ones were compacted away. */
export async function currentRevisionOf(database: Database): Promise<number> {
  const { revision } = await snapshotStatus(database);
  return Math.max(revision, await compactRevisionOf(database), 1);
}

async function compactRevisionOf(database: Database): Promise<number> {
  let found = -1;
  for await (const pairs of bucketNamed(database, Buckets.meta.name)?.entries() ?? []) {
    for (const { key, value } of pairs) {
      const name = key.toString('latin1');
      if (
        (name === 'scheduledCompactRev' || name === 'finishedCompactRev') &&
        value.length >= REVISION_LENGTH
      )
        found = Math.max(found, revisionMain(value.toString('latin1')));
    }
  }
  return found;
}

function bucketNamed(database: Database, name: string): BucketSource | undefined {
  return database.buckets.find((bucket) => bucket.name.toString('latin1') === name);
}
