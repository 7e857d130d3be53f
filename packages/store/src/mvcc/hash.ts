/**
 * HashKV: CRC-32C over the name of the key bucket and every key and value in it that compaction would keep,
 * up to a revision. Equal on all members, and on a real etcd with the same history (3.6 and 3.7; etcd's
 * mvcc/hash.go), so it tells whether two databases diverged. It reads a frozen view in slices and writes
 * nothing.
 *
 * Of the revisions at or below the compacted one only those count that are the newest of a key existing at
 * the hashed revision; a tombstone exactly at the compacted revision never counts, because older versions of
 * etcd remove it. So the hash does not depend on how far the removing has got. With no key existing there etcd
 * counts all that is stored; here what finished removing leaves, which is as much and does not depend on it either.
 */
import { assert, crc32c } from '@keelson/base';
import type { BackendPair } from '../backend/backend.ts';
import { isBatchRecordKey } from '../backend/batch-record.ts';
import { bucketRange, Buckets } from '../backend/buckets.ts';
import { KeyValue } from './key-value.ts';
import { isTombstone, revisionMain, revisionSub } from './revision.ts';
import type { MvccState, RevisionError } from './state.ts';

export interface HashResult {
  readonly hash: number;
  /** -1 when nothing was ever compacted. */
  readonly compactRevision: number;
  /** The revision that was hashed. */
  readonly hashRevision: number;
  /** The store's revision when the hash was asked for. */
  readonly currentRevision: number;
}

/** @param revision up to where; 0 for the current one */
export async function hashKV(state: MvccState, revision: number): Promise<HashResult | RevisionError> {
  const { currentRevision } = state;
  const hashRevision = revision <= 0 ? currentRevision : revision;
  if (hashRevision > currentRevision) return 'FUTURE';
  for (;;) {
    const { compactRevision } = state;
    if (hashRevision < compactRevision) return 'COMPACTED';
    const hash = await hashOnce(state, compactRevision, hashRevision);
    // A compaction came between: the index no longer tells what counts below the old one.
    if (hash !== undefined) return { hash, compactRevision, hashRevision, currentRevision };
  }
}

/**
 * The hash at a revision about to be compacted, before anything of it is dropped: what was left by the
 * compaction before counts. Members that compact alike have equal ones, without reading everything again.
 * @param compactRevision the last one whose work is finished; -1 for none
 * @param hashRevision the scheduled one: nothing it drops may be gone yet
 */
export async function hashBeforeCompaction(
  state: MvccState,
  compactRevision: number,
  hashRevision: number,
): Promise<HashResult> {
  const { currentRevision } = state;
  const hash = await hashOnce(state, compactRevision, hashRevision, true);
  assert(hash !== undefined, 'a hash was given up that nothing disturbs');
  return { hash, compactRevision, hashRevision, currentRevision };
}

/**
 * Undefined as soon as the index cannot tell any more what it is asked.
 * @param removed nothing is stored any more that the compaction at `compactRevision` drops
 */
async function hashOnce(
  state: MvccState,
  compactRevision: number,
  hashRevision: number,
  removed = false,
): Promise<number | undefined> {
  const snapshot = await state.buffer.snapshot();
  try {
    // With no key left at all etcd skips nothing but what compaction drops.
    const keptAt = state.index.anyAt(hashRevision) ? hashRevision : removed ? undefined : compactRevision;
    let hash = crc32c(Buffer.from(Buckets.key.name, 'latin1'));
    for await (const pairs of snapshot.iterate(bucketRange(Buckets.key))) {
      const counted: BackendPair[] = [];
      let bytes = 0;
      for (const pair of pairs) {
        if (isBatchRecordKey(pair.key)) continue;
        const main = revisionMain(pair.key, 1);
        if (main > hashRevision) continue;
        if (main <= compactRevision) {
          if (!removed && state.compactRevision !== compactRevision) return undefined;
          if (main === compactRevision && isTombstone(pair.key, 1)) continue;
          if (keptAt !== undefined && !isKept(state, pair, main, keptAt)) continue;
        }
        counted.push(pair);
        bytes += pair.key.length - 1 + pair.value.length;
      }
      hash = crc32c(join(counted, bytes), hash);
    }
    return hash;
  } finally {
    await snapshot.close();
  }
}

/** Whether the revision is what a reader at `atRevision` sees of its key. */
function isKept(state: MvccState, pair: BackendPair, main: number, atRevision: number): boolean {
  const version = state.index.at(KeyValue.read(pair.value).keyString, atRevision);
  return version !== undefined && version.main === main && version.sub === revisionSub(pair.key, 1);
}

/** Keys (without the bucket's byte) and values behind one another. */
function join(pairs: readonly BackendPair[], size: number): Buffer {
  const joined = Buffer.allocUnsafe(size);
  let position = 0;
  for (const { key, value } of pairs) {
    for (let i = 1; i < key.length; i++) joined[position++] = key.charCodeAt(i);
    joined.set(value, position);
    position += value.length;
  }
  return joined;
}
