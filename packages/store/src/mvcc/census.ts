/**
 * Who counts what is stored: an interface by which somebody outside of mvcc is told of each key that is written or
 * deleted, at restore in the pass that rebuilds the index. mvcc asks it for nothing.
 */
export interface KeyCensus {
  /** The key has this value now. At restore also each version before the newest. */
  put(key: string, valueLength: number): void;
  /** The key is gone; it may never have been told of. */
  delete(key: string): void;
  /** The store it was made for is the member's from now on. */
  live(): void;
}
