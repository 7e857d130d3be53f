/**
 * raft's LogStorage over the hot tail of the WAL: the entries since the last compaction, in memory, with
 * their size counted. What is older lives only in the state machine (a follower that needs it gets a
 * snapshot). The WAL is written before anything is appended here.
 */
import { MemoryStorage, type ConfState, type Entry, type HardState, type Snapshot } from '@keelson/raft';

export class LogTail extends MemoryStorage {
  /** Payload of everything appended since this object was made. */
  appendedBytes = 0;
  private readonly startConfState: ConfState;

  /**
   * @param snapshot the state before the first entry; undefined for a log that starts at index 1
   * @param confState membership at the index the state machine has applied when the node starts, which
   *   may be later than the snapshot's
   */
  constructor(
    snapshot: Snapshot | undefined,
    hardState: HardState,
    entries: readonly Entry[],
    confState: ConfState,
  ) {
    super();
    this.startConfState = confState;
    if (snapshot !== undefined) this.applySnapshot(snapshot);
    this.setHardState(hardState);
    this.append(entries);
  }

  override initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: super.initialState().hardState, confState: this.startConfState };
  }

  override append(entries: readonly Entry[]): void {
    for (const entry of entries) this.appendedBytes += entry.dataLength;
    super.append(entries);
  }

  /** The least index in [low, high + 1] from which the entries up to `high` have at most `bytesMax` of payload. */
  firstWithin(low: number, high: number, bytesMax: number): number {
    const entries = this.entries(low, high + 1, Infinity);
    if (typeof entries === 'string') return low;
    let bytes = 0;
    for (let i = entries.length - 1; i >= 0; i--) {
      bytes += entries[i].dataLength;
      if (bytes > bytesMax) return entries[i].index + 1;
    }
    return low;
  }
}
