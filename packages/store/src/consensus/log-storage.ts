/**
 * raft's LogStorage over the hot tail of the WAL: the entries since the last compaction, in memory, with
 * their size counted. What is older lives only in the state machine (a follower that needs it gets a
 * snapshot). The WAL is written before anything is appended here.
 */
import { MemoryStorage, type ConfState, type Entry, type HardState, type Snapshot } from '@keelson/raft';

export class LogTail extends MemoryStorage {
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

  /** Payload bytes of entries [low, high], for bounding the tail; linear in their count. */
  payloadBytes(low: number, high: number): number {
    const entries = this.entries(low, high + 1, Infinity);
    if (typeof entries === 'string') return 0;
    let bytes = 0;
    for (const entry of entries) bytes += entry.data.length;
    return bytes;
  }
}
