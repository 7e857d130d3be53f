/**
 * Rebuilds index and time from the key bucket at start, reading it once in order. It trusts nothing: the
 * chain of batches must be whole, every main revision above the compacted one must be there, and each key's
 * versions must follow from one another; else the member must not serve. It never repairs.
 *
 * Modelled on etcd's store.restore; the checks are ours, because LevelDB can lose a batch under a later one.
 */
import { BatchChain } from '../backend/batch-chain.ts';
import type { AppliedMark } from '../backend/batch-record.ts';
import { Buckets } from '../backend/buckets.ts';
import { FatalError } from '../errors.ts';
import { readCompactRevisions } from './compaction.ts';
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
}

/**
 * Fills an empty state. The buffer must have nothing unwritten.
 * @throws FatalError naming the revision where the key bucket is not what it must be
 */
export async function restoreState(state: MvccState): Promise<Restored> {
  const { scheduled, finished } = readCompactRevisions(state);
  state.compactRevision = Math.max(scheduled, finished);
  state.finishedCompactRevision = finished;
  const scan = new Scan(state);
  const chain = new BatchChain(Math.max(state.compactRevision, 0));
  let recordsFrom = -1;
  for await (const pairs of state.buffer.range(Buckets.key)) {
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
  return { mark, recordsFrom: Math.max(recordsFrom, 0), leases: scan.leases };
}

/** Takes the revisions in order. */
class Scan {
  readonly leases = new Map<string, bigint>();
  private readonly state: MvccState;
  private main = 0;
  private sub = 0;

  constructor(state: MvccState) {
    this.state = state;
  }

  add(rawKey: string, value: Buffer): void {
    if (rawKey.length !== 1 + REVISION_LENGTH && !isTombstone(rawKey, 1)) {
      throw new FatalError(`mvcc: a key of ${rawKey.length - 1} bytes in the key bucket`);
    }
    this.advance(revisionMain(rawKey, 1), revisionSub(rawKey, 1));
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
    if (this.main > 0 && this.main >= this.state.compactRevision) {
      this.state.changeCounts.append(this.main, this.sub + 1);
    }
  }
}
