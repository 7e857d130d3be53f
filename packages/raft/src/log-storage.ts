/**
 * What is already durable, as the core sees it. The driver appends to it when a Ready's append work is
 * done; the core only reads. All calls are synchronous and answered from memory.
 */
import type { ConfState, Entry, HardState, Snapshot } from './types.ts';

/** Why entries or a term cannot be given: values, not exceptions, since the core branches on them. */
export const StorageError = {
  /** The index is at or below the last compaction. */
  Compacted: 'compacted',
  /** The index is past the last durable entry. */
  Unavailable: 'unavailable',
} as const;
export type StorageError = (typeof StorageError)[keyof typeof StorageError];

export interface LogStorage {
  /** Hard state and membership to start from. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState };
  /**
   * Entries in [low, high), cut so that their summed raftpb size stays within `bytesMax`, but always at
   * least one. The array is the caller's; the entries are shared and never mutated.
   */
  entries(low: number, high: number, bytesMax: number): Entry[] | StorageError;
  /** Term of the entry at `index`, which may also be firstIndex() - 1. */
  term(index: number): number | StorageError;
  /** Index of the first entry that entries() can give; one past the snapshot's when the log is empty. */
  firstIndex(): number;
  lastIndex(): number;
  /** The newest snapshot to send to a follower; undefined while one is being prepared (ask again later). */
  snapshot(): Snapshot | undefined;
}
