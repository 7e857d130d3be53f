/**
 * What a storage needs of a store of keys: reads at a revision, writes that happen only if nobody else wrote, and
 * watches. The few shapes of requests kube-apiserver makes of etcd and no others, so that any etcd endpoint serves;
 * etcd-key-space.ts makes them, memory-key-space.ts answers them itself.
 *
 * Keys are full keys as text (UTF-8 in the store), in order of their bytes.
 */

/** One key as it is or was. */
export interface KeyPair {
  readonly key: string;
  readonly value: Buffer;
  /** Revision of the last change. */
  readonly revision: number;
}

export interface KeyChange {
  readonly key: string;
  readonly type: 'created' | 'changed' | 'deleted';
  readonly revision: number;
  /** Empty for `deleted`. */
  readonly value: Buffer;
  /** What it was before; undefined for `created`, and otherwise only when it has been compacted away. */
  readonly previous: KeyPair | undefined;
}

export interface KeyChanges {
  /** In order of their revisions; all of one revision together. Empty: a sign of progress. */
  readonly changes: readonly KeyChange[];
  /** Progress: everything up to here has been delivered. Otherwise the last change's. */
  readonly revision: number;
}

export interface KeyRange {
  readonly start: string;
  /** Every key that begins with it; undefined: `start` alone. */
  readonly prefix: string | undefined;
}

export interface RangeRequest extends KeyRange {
  /** The store as it was then; 0: now, by a quorum. */
  readonly revision: number;
  /** 0: all. */
  readonly limit: number;
}

export interface RangeResult {
  readonly pairs: readonly KeyPair[];
  /** Keys from `start` on, whatever the limit. */
  readonly count: number;
  readonly more: boolean;
  /** The store's revision when it answered. */
  readonly revision: number;
}

export interface GetResult {
  readonly pair: KeyPair | undefined;
  readonly revision: number;
}

/** A conditional write: done, or the key as it is instead. */
export type WriteResult =
  | { readonly succeeded: true; readonly revision: number }
  | { readonly succeeded: false; readonly current: KeyPair | undefined };

/** A running watch of keys. Iterate it once; a slow reader makes the source wait. */
export interface KeyWatch extends AsyncIterable<KeyChanges> {
  /** Ends the iteration without an error. */
  stop(): void;
}

export type KeySpaceErrorCode = 'COMPACTED' | 'FUTURE_REVISION' | 'TOO_LARGE';

/** What a storage answers in its own words. Everything else that goes wrong passes through it as it is. */
export class KeySpaceError extends Error {
  override readonly name = 'KeySpaceError';
  readonly code: KeySpaceErrorCode;

  constructor(code: KeySpaceErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export function isKeySpaceError(error: unknown, code: KeySpaceErrorCode): error is KeySpaceError {
  return error instanceof KeySpaceError && error.code === code;
}

export interface KeySpace {
  get(key: string, signal: AbortSignal | undefined): Promise<GetResult>;

  /** @throws KeySpaceError COMPACTED, FUTURE_REVISION */
  range(request: RangeRequest, signal: AbortSignal | undefined): Promise<RangeResult>;

  /** The revision of a key's last change, by a quorum; 0 where there is none. Where it costs less than get(). */
  revisionOf?(key: string): Promise<number>;

  /** Number of keys, and the store's revision, without the keys. */
  count(range: KeyRange, signal: AbortSignal | undefined): Promise<RangeResult>;

  /**
   * Writes if the key's last change is of `expected`; 0: if it does not exist.
   *
   * @param ttlSeconds 0: for ever
   * @param wantCurrent tell what is there when it did not happen; a creation need not
   * @throws KeySpaceError TOO_LARGE
   */
  put(
    key: string,
    value: Buffer,
    expected: number,
    ttlSeconds: number,
    wantCurrent: boolean,
    signal: AbortSignal | undefined,
  ): Promise<WriteResult>;

  /** Deletes if the key's last change is of `expected`. */
  delete(key: string, expected: number, signal: AbortSignal | undefined): Promise<WriteResult>;

  /**
   * Changes from revision `from` on. Its iteration throws KeySpaceError COMPACTED when that is not there any more.
   *
   * @param progress also signs of progress when nothing happens
   */
  watch(range: KeyRange, from: number, progress: boolean): KeyWatch;

  supportsProgress(): Promise<boolean>;

  /** Asks for a sign of progress on the watches that want them. */
  requestProgress(): void;

  /** The last compaction it knows of; 0: none. */
  compactedRevision(): number;
}
