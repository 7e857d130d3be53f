/**
 * Brings a directory of an earlier layout to today's: buckets that stood behind the revisions then (`l`, `m`,
 * `p`, `q`, `r`, `u`) stand before them now (buckets.ts says why). They are small: all move in one batch, so a
 * crash leaves either layout whole. A directory of today's layout costs one look behind the revisions. One with
 * both was opened by an earlier build since, which saw none of what had moved: it is refused, for neither half is true.
 */
import { FatalError } from '../errors.ts';
import type { Backend, BatchOperation } from './backend.ts';
import { Buckets, type Bucket } from './buckets.ts';

/** The byte a bucket's keys began with in directories of before 2026-11-21. */
const FORMER: readonly (readonly [former: string, bucket: Bucket])[] = [
  ['l', Buckets.lease],
  ['m', Buckets.meta],
  ['p', Buckets.members],
  ['q', Buckets.membersRemoved],
  ['r', Buckets.authRoles],
  ['u', Buckets.authUsers],
];

/** @returns how many keys moved. @throws FatalError for a directory of both layouts */
export async function moveFormerBuckets(backend: Backend): Promise<number> {
  const behind = { gte: nextByte(Buckets.key.prefix), lt: '\xff' };
  let any = false;
  for await (const pairs of backend.iterate({ ...behind, limit: 1 })) any ||= pairs.length > 0;
  if (!any) return 0;
  const moves: BatchOperation[] = [];
  for (const [former, bucket] of FORMER) {
    for await (const pairs of backend.iterate({ gte: former, lt: nextByte(former) })) {
      for (const { key, value } of pairs) {
        const moved = bucket.prefix + key.slice(1);
        if (backend.getSync(moved) !== undefined)
          throw new FatalError(
            `backend: bucket ${bucket.name} is there in two layouts: an earlier build has written to this data dir; ` +
              'remove it and add this member to the cluster again, or restore a backup',
          );
        moves.push({ key, value: undefined }, { key: moved, value });
      }
    }
  }
  if (moves.length > 0) await backend.write(moves);
  return moves.length / 2;
}

function nextByte(prefix: string): string {
  return String.fromCharCode(prefix.charCodeAt(0) + 1);
}
