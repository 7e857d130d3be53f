/**
 * Gives back the disk space of deleted revisions. LevelDB merges tables when a level grows too large and never because
 * much in them is deleted: a deletion takes 20 bytes and stays above what it deletes, so without this the files grew by
 * all that was ever written. What a compaction deletes is counted by pages of main revisions; a page that is half
 * deleted is rewritten, together with its neighbours. Only the key bucket, and only the disk: readers notice nothing.
 *
 * A page is rewritten for half its size at most twice for each byte that lay in it. What is counted is forgotten when
 * the process ends, so a page may wait for another half.
 */
import { Buckets } from '../backend/buckets.ts';
import { encodeRevision } from './revision.ts';
import type { MvccBuffer } from './state.ts';

/** Main revisions of a page: some 1.2 MB of the usual objects. */
const PAGE_REVISIONS = 4096;
/** Less is left to the next compaction: LevelDB writes its memory out for each rewrite. */
const DELETED_BYTES_MIN = 4 * 1024 * 1024;
/** One rewrite at most, unless a page is larger: LevelDB merges nothing else meanwhile, and is at it for some 0.1 s. */
const RUN_BYTES_MAX = 16 * 1024 * 1024;
/** One pause for so much of a rewrite: at 10 ms each about half of the time is left to others. */
const PAUSE_BYTES = 1024 * 1024;

export class Reclaim {
  /** Bytes deleted in each page since it was rewritten; an entry for each page with something deleted. */
  private readonly deleted = new Map<number, number>();

  /** @param bytes of one revision that is deleted: its key and value as they were stored */
  add(main: number, bytes: number): void {
    const page = Math.floor(main / PAGE_REVISIONS);
    this.deleted.set(page, (this.deleted.get(page) ?? 0) + bytes);
  }

  /**
   * Rewrites the pages that are worth it, oldest first.
   * @param pause waits between two rewrites, the longer the more was rewritten; what it throws ends the work, and the next run goes on
   */
  async run(buffer: MvccBuffer, pause: () => Promise<void>): Promise<void> {
    const runs = await this.worthwhile(buffer);
    if (runs.reduce((sum, run) => sum + run.deletedBytes, 0) < DELETED_BYTES_MIN) return;
    for (const { from, end, bytes } of runs) {
      await buffer.rewrite(Buckets.key, firstOf(from), firstOf(end));
      for (let page = from; page < end; page++) this.deleted.delete(page);
      for (let rested = 0; rested <= bytes; rested += PAUSE_BYTES) await pause();
    }
  }

  private async worthwhile(buffer: MvccBuffer): Promise<Run[]> {
    const runs: Run[] = [];
    if (total(this.deleted) < DELETED_BYTES_MIN) return runs;
    await buffer.commit();
    for (const page of [...this.deleted.keys()].sort((a, b) => a - b)) {
      const deletedBytes = this.deleted.get(page) ?? 0;
      const bytes = await buffer.bytesOnDisk(Buckets.key, firstOf(page), firstOf(page + 1));
      if (deletedBytes < bytes / 2) continue;
      const last = runs.at(-1);
      if (last?.end === page && last.bytes + bytes <= RUN_BYTES_MAX) {
        last.end++;
        last.bytes += bytes;
        last.deletedBytes += deletedBytes;
      } else runs.push({ from: page, end: page + 1, bytes, deletedBytes });
    }
    return runs;
  }
}

/** Neighbouring pages, the last excluded. */
interface Run {
  readonly from: number;
  end: number;
  bytes: number;
  deletedBytes: number;
}

function total(deleted: ReadonlyMap<number, number>): number {
  let bytes = 0;
  for (const each of deleted.values()) bytes += each;
  return bytes;
}

function firstOf(page: number): string {
  return encodeRevision(page * PAGE_REVISIONS, 0);
}
