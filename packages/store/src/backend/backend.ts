/**
 * The ordered, durable map under everything a member keeps besides its log. LevelDB in production,
 * a sorted map in memory for embedding and simulation; both pass test/contract/backend.ts.
 *
 * Raw keys are latin1 strings in byte order: one bucket byte (buckets.ts) and the bucket's own key.
 * Values are bytes. Nothing here knows revisions, leases or members.
 */

/** One change inside a batch; `value` undefined removes the key. */
export interface BatchOperation {
  readonly key: string;
  readonly value: Buffer | undefined;
}

/** A half-open range of raw keys, ascending unless `reverse`. */
export interface BackendRange {
  readonly gte: string;
  readonly lt: string;
  readonly reverse?: boolean;
  /** At most this many pairs in all. */
  readonly limit?: number;
}

export interface BackendPair {
  readonly key: string;
  /** The caller's to keep. */
  readonly value: Buffer;
}

/** A frozen view: what was written before it was taken, whatever happens afterwards. */
export interface BackendSnapshot {
  /** Pairs of the range in batches of at most a few hundred, yielding to the event loop between them. */
  iterate(range: BackendRange): AsyncIterable<readonly BackendPair[]>;
  /** Must be called once; the files it pins stay on disk until then. */
  close(): Promise<void>;
}

export interface Backend {
  /** The value under a raw key; synchronous, microseconds (apply and range run inside one turn). */
  getSync(key: string): Buffer | undefined;
  iterate(range: BackendRange): AsyncIterable<readonly BackendPair[]>;
  /**
   * Writes the batch atomically and durably (synced). One call at a time.
   * @throws when the disk refuses: the backend then refuses every further write, and the member stops
   */
  write(operations: readonly BatchOperation[]): Promise<void>;
  snapshot(): BackendSnapshot;
  /** Bytes on disk (or in memory), approximate. */
  sizeBytes(): Promise<number>;
  /** Bytes of a raw key range, approximate. */
  rangeSizeBytes(gte: string, lt: string): Promise<number>;
  /** Rewrites the range so that removed keys give their space back. */
  compact(gte: string, lt: string): Promise<void>;
  close(): Promise<void>;
}
