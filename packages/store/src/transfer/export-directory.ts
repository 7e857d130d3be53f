/**
 * The way back: a stopped member's data as the data dir of a real etcd. Its database becomes a bbolt file, a
 * .snap file and a log begin at the same entry, and what the log has beyond it follows. Everything that is
 * committed is applied first, as a start would do it, so an etcd of any version finds only what it knows; and
 * nothing in the new data dir ties it to a version of the cluster or of the storage.
 *
 * The member's own data dir stays what it is. It must not run meanwhile: its lock is taken.
 */
import type { Disk, Logger } from '@keelson/base';
import { Snapshot, type Entry, type HardState } from '@keelson/raft';
import { Applier } from '../apply/applier.ts';
import { decodeConfState } from '../consensus/conf-state.ts';
import { ConfChanges } from '../consensus/conf-changes.ts';
import type { MemberStorage } from '../consensus/member-storage.ts';
import { errorCodeOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';
import { encodeV2Store } from '../membership/v2-store.ts';
import { SnapStore } from '../snap/snap-store.ts';
import { exportBuckets, markOf } from '../snapshot/state-image.ts';
import { encodeMetadata } from '../wal/entry-codec.ts';
import { Wal } from '../wal/wal.ts';
import { writeDatabase } from './database.ts';
import { NO_WAITERS, stillNode } from './member-log.ts';

/** Entries applied between two backend batches. */
const APPLY_BATCH = 1_000;

/**
 * @param storage opened from the member's data dir; it stays the caller's to close
 * @param target absent or empty; gets `member/snap` and `member/wal`
 * @returns the index the new log begins at
 * @throws FatalError when the target holds something or the member has applied nothing yet
 */
export async function exportDirectory(
  storage: MemberStorage,
  disk: Disk,
  target: string,
  logger: Logger,
): Promise<number> {
  await requireEmpty(disk, target);
  await applyCommitted(storage);
  const { state, tail } = storage;
  await state.buffer.commit();
  const view = await state.buffer.snapshot();
  try {
    const mark = await markOf(view);
    if (mark === undefined || mark.consistentIndex === 0)
      throw new FatalError('nothing has been applied yet: there is nothing to export');
    const { consistentIndex: index, term } = mark;
    const confState = decodeConfState(mark.confState);
    const snap = `${target}/member/snap`;
    await disk.makeDirectory(snap);
    await writeDatabase(disk, `${snap}/db`, exportBuckets(view, mark, { portable: true }));
    const { membership } = state;
    const data = encodeV2Store(membership.list(), membership.removed(), '');
    await new SnapStore(disk, snap, logger).save(new Snapshot(index, term, confState, data));

    const { hardState } = tail.initialState();
    const entries = entriesAfter(storage, index);
    const wal = await Wal.create(
      disk,
      `${target}/member/wal`,
      encodeMetadata({ memberId: storage.memberId, clusterId: storage.clusterId }),
    );
    try {
      await wal.saveSnapshotMarker({ index, term, confState });
      const promised: HardState = { ...hardState, commit: Math.max(hardState.commit, index) };
      await wal.append({ entries, hardState: promised, mustSync: true });
    } finally {
      await wal.close();
    }
    await disk.syncDirectory(`${target}/member`);
    await disk.syncDirectory(target);
    logger.info('exported the data dir', {
      path: target,
      'snapshot-index': index,
      'snapshot-term': term,
      'entries-after': entries.length,
    });
    return index;
  } finally {
    await view.close();
  }
}

async function requireEmpty(disk: Disk, target: string): Promise<void> {
  let names: string[] = [];
  try {
    names = await disk.list(target);
  } catch (error) {
    if (errorCodeOf(error) !== 'ENOENT') throw error;
  }
  if (names.length > 0) throw new FatalError(`${target} is not empty`);
}

/** What a start applies before it serves. */
async function applyCommitted(storage: MemberStorage): Promise<void> {
  const { state, tail } = storage;
  const { commit } = tail.initialState().hardState;
  const node = stillNode(storage.memberId, tail, state.consistentIndex);
  const confChanges = new ConfChanges({
    membership: () => state.membership,
    waiters: NO_WAITERS,
    applyToRaft: (change) => node.applyConfChange(change),
    idOf: () => ({ owner: 0, sequence: 0 }),
    revision: () => state.mvcc.currentRevision,
    removedSelf: () => {},
  });
  const applier = new Applier(state, NO_WAITERS, confChanges);
  const pending = entriesAfter(storage, state.consistentIndex).filter((entry) => entry.index <= commit);
  for (let at = 0; at < pending.length; at += APPLY_BATCH) {
    applier.applyBatch(pending.slice(at, at + APPLY_BATCH));
    await state.buffer.commit();
  }
}

function entriesAfter({ tail }: MemberStorage, index: number): Entry[] {
  const last = tail.lastIndex();
  if (index >= last) return [];
  const entries = tail.entries(index + 1, last + 1, Infinity);
  if (typeof entries === 'string') throw new FatalError(`the log after entry ${index} is not there`);
  return [...entries];
}
