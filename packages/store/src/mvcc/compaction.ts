/**
 * Forgetting the past. A compaction at a revision takes effect for readers at once; the work (dropping what
 * nobody can read any more from index and key bucket) is done in slices with pauses between, and goes on
 * after a restart where the scheduled revision says so. The index knows every revision that is stored, so
 * the key bucket is not read to find what to drop.
 *
 * Kept: for each key the newest version at or below the compacted revision, if the key exists there, and a
 * tombstone exactly at it (etcd since 3.5.16). Batch records below it go too. Modelled on etcd's
 * kvstore_compaction.go; the names in bucket meta are etcd's.
 */
import { isBatchRecordKey } from '../backend/batch-record.ts';
import { Buckets } from '../backend/buckets.ts';
import { hashBeforeCompaction, type HashResult } from './hash.ts';
import { Reclaim } from './reclaim.ts';
import { encodeRevision, encodeTombstone, revisionMain } from './revision.ts';
import type { MvccState, RevisionError } from './state.ts';

/** Hashes of past compactions that are kept (etcd: hashStorageMaxSize). */
const HASHES_MAX = 10;

const SCHEDULED = 'scheduledCompactRev';
const FINISHED = 'finishedCompactRev';

/** Keys looked at in one slice at most: about 1 ms when none of them has anything to drop. */
const SLICE_KEYS = 20_000;
/** Revisions taken out of the index in one slice at most; they are deleted later, so many at a time as etcd's flag says. */
const SLICE_REVISIONS = 10_000;

/** Waits between two slices; rejects when the store is to stop, which ends the work for now. */
export type Pause = () => Promise<void>;

/** The compactions that bucket meta knows of; -1 for none. */
export function readCompactRevisions(state: MvccState): { scheduled: number; finished: number } {
  const read = (name: string): number => {
    const bytes = state.buffer.get(Buckets.meta, name);
    return bytes === undefined ? -1 : revisionMain(bytes.toString('latin1'));
  };
  return { scheduled: read(SCHEDULED), finished: read(FINISHED) };
}

export class Compaction {
  /** One for each of the last compactions, oldest first; empty unless they were asked for. */
  readonly hashes: HashResult[] = [];
  private readonly state: MvccState;
  private readonly batchLimit: number;
  private readonly keepHashes: boolean;
  /** Work at or below it was begun by an earlier process: what is left of it has no hash others share. */
  private readonly resumedTo: number;
  private readonly reclaim = new Reclaim();
  private running: Promise<void> | undefined = undefined;
  /** No batch record on disk is at a main revision below it. */
  recordsFrom: number;

  /**
   * @param batchLimit revisions dropped in one slice at most (etcd: --compaction-batch-limit)
   * @param recordsFrom main revision of the first batch record on disk
   * @param keepHashes whether to hash what a compaction starts from, which reads the whole key bucket
   */
  constructor(state: MvccState, batchLimit: number, recordsFrom: number, keepHashes = false) {
    this.state = state;
    this.batchLimit = batchLimit;
    this.keepHashes = keepHashes;
    this.resumedTo = state.compactRevision;
    this.recordsFrom = recordsFrom;
  }

  /** Whether a scheduled compaction is not finished. */
  get pending(): boolean {
    return this.state.finishedCompactRevision < this.state.compactRevision;
  }

  /** Refuses readers below `revision` from now on and schedules the work; part of apply. */
  schedule(revision: number): 'ok' | RevisionError {
    const { state } = this;
    if (revision <= state.compactRevision) return 'COMPACTED';
    if (revision > state.currentRevision) return 'FUTURE';
    state.compactRevision = revision;
    state.buffer.put(Buckets.meta, SCHEDULED, revisionBytes(revision));
    return 'ok';
  }

  /**
   * Does all scheduled work. Calls while it runs join it.
   * @throws what `pause` throws; the work is then still pending
   */
  run(pause: Pause): Promise<void> {
    this.running ??= this.drain(pause).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async drain(pause: Pause): Promise<void> {
    const { state } = this;
    while (this.pending) {
      const revision = state.compactRevision;
      if (this.keepHashes && revision > this.resumedTo) {
        this.hashes.push(await hashBeforeCompaction(state, state.finishedCompactRevision, revision));
        if (this.hashes.length > HASHES_MAX) this.hashes.shift();
        await pause();
      }
      const superseded = await this.takeFromIndex(revision, pause);
      await this.deleteRevisions(superseded, pause);
      await this.reclaim.run(state.buffer, pause);
      await this.dropBatchRecords(revision, pause);
      state.changeCounts.dropBelow(revision);
      state.buffer.put(Buckets.meta, FINISHED, revisionBytes(revision));
      state.finishedCompactRevision = revision;
    }
  }

  /** What the index no longer knows from here on; until all of it is deleted the compaction is pending. */
  private async takeFromIndex(revision: number, pause: Pause): Promise<Superseded> {
    const superseded = new Superseded();
    const cursor = { revision, nextKey: '', position: 0 };
    const take = (main: number, sub: number, tombstone: boolean): void =>
      superseded.add(main, sub, tombstone);
    while (this.state.index.compactSlice(cursor, SLICE_KEYS, SLICE_REVISIONS, take)) await pause();
    return superseded;
  }

  /**
   * In the order of revisions: LevelDB writes what is deleted together into tables, and merges these with each table
   * that has anything between their first and last key. In the order of keys that is every one, again and again.
   */
  private async deleteRevisions(superseded: Superseded, pause: Pause): Promise<void> {
    const { state } = this;
    const dropped = new DroppedBytes();
    const account = (): void => {
      state.storedBytes = Math.max(0, state.storedBytes - dropped.take());
    };
    for (const key of superseded.ascending()) {
      if (dropped.wantsMore) dropped.look(key, state.buffer.get(Buckets.key, key));
      dropped.count++;
      this.reclaim.add(revisionMain(key), dropped.mean);
      state.buffer.drop(key);
      state.counters.compactedRevisions++;
      if (dropped.count === this.batchLimit) {
        account();
        await pause();
      }
    }
    account();
  }

  /** Batch records lie between revisions, at places only the disk knows. Those already looked at are not read again. */
  private async dropBatchRecords(revision: number, pause: Pause): Promise<void> {
    if (this.recordsFrom >= revision) return;
    const { buffer } = this.state;
    // Now the newest record on disk is at or above `revision`, and the dropped revisions are not there to be read.
    await buffer.commit();
    const end = encodeRevision(revision, 0);
    for await (const pairs of buffer.range(Buckets.key, encodeRevision(this.recordsFrom, 0), end)) {
      for (const { key } of pairs) {
        if (isBatchRecordKey(key)) buffer.delete(Buckets.key, key.slice(1));
      }
      await pause();
    }
    this.recordsFrom = revision;
  }
}

/** Main revisions of one page of what is superseded. */
const PAGE_REVISIONS = 4096;
const SUBS = 2 ** 32;

/**
 * Revisions that come in the order of keys and leave in their own, without one long sort: 8 bytes each, by pages of
 * main revisions, each sorted when its turn comes (0.2 ms for a full one).
 */
class Superseded {
  private readonly pages = new Map<number, number[]>();

  add(main: number, sub: number, tombstone: boolean): void {
    const page = Math.floor(main / PAGE_REVISIONS);
    const place = ((main - page * PAGE_REVISIONS) * SUBS + sub) * 2 + (tombstone ? 1 : 0);
    const places = this.pages.get(page);
    if (places === undefined) this.pages.set(page, [place]);
    else places.push(place);
  }

  /** Keys in the key bucket. A page is forgotten once it is begun. */
  *ascending(): Generator<string> {
    for (const page of Float64Array.from(this.pages.keys()).sort()) {
      const places = Float64Array.from(this.pages.get(page) ?? []).sort();
      this.pages.delete(page);
      for (const place of places) {
        const tombstone = place % 2 === 1;
        const revision = Math.floor(place / 2);
        const sub = revision % SUBS;
        const main = page * PAGE_REVISIONS + (revision - sub) / SUBS;
        yield tombstone ? encodeTombstone(main, sub) : encodeRevision(main, sub);
      }
    }
  }
}

/** So many revisions of a slice are read before they are dropped: 0.1 ms, where reading a thousand takes 3 ms. */
const SAMPLE = 32;

/** What a slice has dropped, in bytes: the mean of those looked at stands for the others. */
class DroppedBytes {
  count = 0;
  private looked = 0;
  private lookedBytes = 0;

  get wantsMore(): boolean {
    return this.looked < SAMPLE;
  }

  /** Of those looked at. */
  get mean(): number {
    return this.looked === 0 ? 0 : this.lookedBytes / this.looked;
  }

  look(key: string, value: Buffer | undefined): void {
    this.looked++;
    this.lookedBytes += 1 + key.length + (value?.length ?? 0);
  }

  /** Bytes since the last call. */
  take(): number {
    const bytes = Math.round(this.mean * this.count);
    this.count = 0;
    this.looked = 0;
    this.lookedBytes = 0;
    return bytes;
  }
}

/** As etcd writes it: a revision with sub 0. */
function revisionBytes(main: number): Buffer {
  return Buffer.from(encodeRevision(main, 0), 'latin1');
}
