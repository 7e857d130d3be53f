/**
 * Rebuilds index and time from the key bucket at start, reading it once in order: from where an index
 * checkpoint ends, else from its beginning. It trusts nothing: the chain of batches must be whole, every main
 * revision above the compacted one must be there, and each key's versions must follow from one another; else the
 * member must not serve. It never repairs.
 *
 * Modelled on etcd's store.restore; the checks are ours, because LevelDB can lose a batch under a later one.
 */
import { toError, type Logger } from '@keelson/base';
import { BatchChain } from '../backend/batch-chain.ts';
import {
  behindBatchRecord,
  readBatchRecord,
  type AppliedMark,
  type BatchRecord,
} from '../backend/batch-record.ts';
import { Buckets } from '../backend/buckets.ts';
import { FatalError } from '../errors.ts';
import type { CheckpointFile, CheckpointIdentity } from './checkpoint-file.ts';
import { readCompactRevisions } from './compaction.ts';
import { loadCheckpoint, readIdentities, type LoadedCheckpoint } from './index-checkpoint.ts';
import { CheckpointError } from './index-codec.ts';
import { KeyValue } from './key-value.ts';
import { encodeRevision, isTombstone, revisionMain, revisionSub, REVISION_LENGTH } from './revision.ts';
import type { MvccState } from './state.ts';

export interface Restored {
  /** What the newest batch says about itself; undefined when the key bucket is empty. */
  readonly mark: AppliedMark | undefined;
  /** Main revision of the first batch record. */
  readonly recordsFrom: number;
  /** Keys that exist, with their lease; those without one are left out. */
  readonly leases: ReadonlyMap<string, bigint>;
  /** The checkpoint that was used; undefined for none. */
  readonly checkpoint: CheckpointIdentity | undefined;
  /** Changes that were read: what the checkpoint does not know. */
  readonly readChanges: number;
}

export interface CheckpointOptions {
  readonly file: CheckpointFile;
  readonly logger: Logger;
  /** Keys of one slice of writing at most. */
  readonly sliceKeys?: number;
}

/**
 * Fills an empty state. The buffer must have nothing unwritten.
 * @throws FatalError naming the revision where the key bucket is not what it must be
 */
export async function restoreState(state: MvccState, options?: CheckpointOptions): Promise<Restored> {
  const { scheduled, finished } = readCompactRevisions(state);
  state.compactRevision = Math.max(scheduled, finished);
  state.finishedCompactRevision = finished;
  const start = options === undefined ? undefined : await startFrom(state, options);
  const scan = new Scan(state, start?.checkpoint);
  const chain = new BatchChain(Math.max(state.compactRevision, 0), start?.record);
  let recordsFrom = start?.checkpoint.recordsFrom ?? -1;
  for await (const pairs of state.buffer.range(Buckets.key, start?.from)) {
    for (const pair of pairs) {
      if (!chain.add(pair)) scan.add(pair.key, pair.value);
      else if (recordsFrom < 0) recordsFrom = revisionMain(pair.key, 1);
    }
  }
  scan.finish();
  const mark = chain.finish();
  if (mark !== undefined) {
    const newest = revisionMain(mark.newestRevision);
    if (newest > state.currentRevision) {
      throw new FatalError(
        `mvcc: the newest batch ends at revision ${newest}, but the newest revision there is ${state.currentRevision}`,
      );
    }
    if (mark.newestRevision > state.newestRevision) state.newestRevision = mark.newestRevision;
  }
  return {
    mark,
    recordsFrom: Math.max(recordsFrom, 0),
    leases: scan.leases,
    checkpoint: start?.checkpoint.identity,
    readChanges: scan.readChanges,
  };
}

interface Start {
  readonly checkpoint: LoadedCheckpoint;
  /** The first key of the key bucket that must still be read; undefined for all. */
  readonly from: string | undefined;
  /** The batch record before it. */
  readonly record: BatchRecord | undefined;
}

/** Undefined when there is no checkpoint of this backend that can be used. */
async function startFrom(state: MvccState, { file, logger }: CheckpointOptions): Promise<Start | undefined> {
  const identities = readIdentities(state);
  if (identities.length === 0) return undefined;
  try {
    const checkpoint = await loadCheckpoint(file, identities);
    const start = { checkpoint, ...chainStart(state, checkpoint) };
    logger.info('restored the key index from its checkpoint', {
      'checkpoint-revision': checkpoint.revision,
      'key-count': checkpoint.index.size,
    });
    return start;
  } catch (error) {
    // Also an error of the disk: the key bucket, which is read next, will meet it again if it matters.
    logger.warn('the index checkpoint is not used; reading every revision', {
      path: file.path,
      error: toError(error).message,
    });
    return undefined;
  }
}

/** Where the key bucket is to be read from, in view of what compaction has removed since. */
function chainStart(
  state: MvccState,
  { anchor, revision, compactRevision }: LoadedCheckpoint,
): Omit<Start, 'checkpoint'> {
  // What is behind its revision must be whole, and it must not be behind in what it has forgotten.
  if (state.compactRevision > revision) throw new CheckpointError('a compaction has overtaken it');
  if (compactRevision > state.finishedCompactRevision)
    throw new CheckpointError('it knows a compaction that the backend does not');
  if (anchor === '') return { from: undefined, record: undefined };
  const record = readBatchRecord((bucket, key) => state.buffer.get(bucket, key), anchor);
  if (record !== undefined) return { from: behindBatchRecord(anchor), record };
  if (revisionMain(anchor) >= state.compactRevision)
    throw new CheckpointError('a batch it was made after is not there');
  return { from: encodeRevision(state.compactRevision, 0), record: undefined };
}

/** Takes the revisions in order. */
class Scan {
  readonly leases: Map<string, bigint>;
  readChanges = 0;
  private readonly state: MvccState;
  /** What is at or below it is known from the checkpoint. */
  private readonly known: number;
  private main = 0;
  private sub = 0;

  constructor(state: MvccState, checkpoint: LoadedCheckpoint | undefined) {
    this.state = state;
    this.leases = checkpoint?.leases ?? new Map();
    this.known = checkpoint?.revision ?? 0;
    if (checkpoint === undefined) return;
    this.main = checkpoint.revision;
    this.sub = checkpoint.newestSub;
    state.index = checkpoint.index;
    state.changeCounts = checkpoint.changeCounts;
    state.storedBytes = checkpoint.storedBytes;
    if (state.finishedCompactRevision > checkpoint.compactRevision)
      forget(state, state.finishedCompactRevision, checkpoint.revisionCount);
  }

  add(rawKey: string, value: Buffer): void {
    if (revisionMain(rawKey, 1) <= this.known) return;
    if (rawKey.length !== 1 + REVISION_LENGTH && !isTombstone(rawKey, 1)) {
      throw new FatalError(`mvcc: a key of ${rawKey.length - 1} bytes in the key bucket`);
    }
    this.advance(revisionMain(rawKey, 1), revisionSub(rawKey, 1));
    this.readChanges++;
    this.state.storedBytes += rawKey.length + value.length;
    if (value.length === 0 && this.main <= this.state.compactRevision) {
      // No change: `snapshot restore --bump-revision` writes it, compacted, to move the revision on. etcd
      // takes it for the empty key, which no request can name, and so keeps and hashes it for ever.
      this.state.index.restorePut('', this.main, this.sub, this.main, 1);
      return;
    }
    const kv = KeyValue.read(value);
    const { keyString: key, lease } = kv;
    let follows: boolean;
    if (isTombstone(rawKey, 1)) {
      follows = this.state.index.restoreTombstone(key, this.main, this.sub);
      this.leases.delete(key);
      this.state.census?.delete(key);
    } else {
      follows =
        kv.modRevision === this.main &&
        this.state.index.restorePut(key, this.main, this.sub, kv.createRevision, kv.version);
      if (lease !== 0n) this.leases.set(key, lease);
      else this.leases.delete(key);
      this.state.census?.put(key, kv.valueLength);
    }
    if (!follows) {
      throw new FatalError(
        `mvcc: revision ${this.main}.${this.sub} does not follow from the key's revisions before`,
      );
    }
  }

  finish(): void {
    const { state } = this;
    this.completeMain();
    // Compaction may have removed the newest revisions too, when they were deletes (etcd #17780).
    state.currentRevision = Math.max(this.main, state.compactRevision, 1);
    state.newestMain = state.currentRevision;
    state.newestRevision =
      this.main === state.currentRevision
        ? encodeRevision(this.main, this.sub)
        : encodeRevision(state.currentRevision, 0);
  }

  private advance(main: number, sub: number): void {
    const { compactRevision } = this.state;
    if (main !== this.main) {
      this.completeMain();
      const expected = Math.max(this.main, compactRevision, 1) + 1;
      if (main > expected) throw new FatalError(`mvcc: revision ${expected} is missing`);
      if (main > compactRevision && sub !== 0) throw new FatalError(`mvcc: revision ${main}.0 is missing`);
    } else if (main > compactRevision && sub !== this.sub + 1) {
      throw new FatalError(`mvcc: revision ${main}.${this.sub + 1} is missing`);
    }
    this.main = main;
    this.sub = sub;
  }

  private completeMain(): void {
    if (this.main > this.known && this.main >= this.state.compactRevision) {
      this.state.changeCounts.append(this.main, this.sub + 1);
    }
  }
}

/** Takes out of the index what a compaction has removed from the key bucket since the checkpoint was written. */
function forget(state: MvccState, revision: number, revisionCount: number): void {
  const cursor = { revision, nextKey: '', position: 0 };
  let dropped = 0;
  const drop = (): void => {
    dropped++;
  };
  while (state.index.compactSlice(cursor, Infinity, Infinity, drop));
  // Their sizes are gone with them: the mean of all stands for theirs.
  state.storedBytes -= Math.round((state.storedBytes * dropped) / Math.max(revisionCount, 1));
  state.changeCounts.dropBelow(revision);
}
