/**
 * What the rooms of mvcc share: index, cache, buffer and where in time the store is; and every way of reading
 * it. Reading is synchronous: one turn sees one state. Who writes (write-txn.ts), forgets (compaction.ts),
 * hashes (hash.ts) or rebuilds (restore.ts) works on this object; outside of mvcc nobody holds it.
 */
import { assert } from '@keelson/base';
import type { WriteBuffer } from '../backend/write-buffer.ts';
import { Buckets } from '../backend/buckets.ts';
import type { KeyCensus } from './census.ts';
import { ChangeCounts } from './change-counts.ts';
import { EventType, WatchEvent } from './event.ts';
import type { IndexedVersion } from './key-index.ts';
import { KeyValue } from './key-value.ts';
import { encodeRevision, encodeTombstone } from './revision.ts';
import { Slab } from './slab.ts';
import { TreeIndex } from './tree-index.ts';
import { ValueCache } from './value-cache.ts';

/** What mvcc needs of the write buffer. */
export type MvccBuffer = Pick<
  WriteBuffer,
  | 'get'
  | 'put'
  | 'putRevision'
  | 'delete'
  | 'drop'
  | 'range'
  | 'bytesOnDisk'
  | 'rewrite'
  | 'snapshot'
  | 'commit'
  | 'anchor'
>;

/** Asked for more or older than there is (etcd: ErrCompacted, ErrFutureRev). */
export type RevisionError = 'COMPACTED' | 'FUTURE';

export interface RangeOptions {
  /** 0 or below: the current one. */
  readonly revision?: number;
  /** At most this many keys; 0 for all. Does not change `count`. */
  readonly limit?: number;
  /** Only `count`. */
  readonly countOnly?: boolean;
  /** Answered from the index: no values and no leases, as etcd 3.7 does. */
  readonly keysOnly?: boolean;
}

export interface RangeResult {
  /** Ascending by key. Shared objects: not to be changed. */
  readonly kvs: KeyValue[];
  /** Keys of the range at that revision, whatever the limit. */
  readonly count: number;
  /** The current revision of whoever answered (not the one asked for). */
  readonly revision: number;
}

/** A span of the past. */
export interface History {
  /** In the order of their revisions. */
  readonly events: WatchEvent[];
  /** The last main revision that is completely in it. */
  readonly through: number;
}

/** Counts since start, as etcd's mvcc metrics name them. */
export interface MvccCounters {
  puts: number;
  putBytes: number;
  /** DeleteRange calls, not keys. */
  deletes: number;
  ranges: number;
  /** Transactions of more than one operation. */
  txns: number;
  events: number;
  /** Revisions that compaction removed. */
  compactedRevisions: number;
}

/** Ranges of at most this many keys leave what they read in the cache; larger ones would sweep it out. */
const CACHED_RANGE_MAX = 64;

export class MvccState {
  readonly buffer: MvccBuffer;
  /** These two are replaced only by a restore. */
  index = new TreeIndex();
  changeCounts = new ChangeCounts();
  readonly cache: ValueCache;
  /** Where versions are written. */
  readonly slab = new Slab();
  /** Told of each change; undefined: nobody counts. */
  readonly census: KeyCensus | undefined;
  readonly counters: MvccCounters = {
    puts: 0,
    putBytes: 0,
    deletes: 0,
    ranges: 0,
    txns: 0,
    events: 0,
    compactedRevisions: 0,
  };
  /**
   * Bytes of the revisions that are stored, as they are stored, with their keys. Exact after a restore that
   * read everything; what compaction drops is estimated from a sample of it.
   */
  storedBytes = 0;
  /** Revision of the last completed write; 1 before the first. */
  currentRevision = 1;
  /** Readers below it are refused; -1 when nothing was ever compacted. */
  compactRevision = -1;
  /** The newest compaction whose work is done; -1 for none. */
  finishedCompactRevision = -1;
  /** Main revision of the newest change, also of a write that is not completed yet. */
  newestMain = 1;
  /** The newest change in the form of the key bucket, without the mark of a tombstone. */
  newestRevision = encodeRevision(1, 0);

  constructor(buffer: MvccBuffer, valueCacheBytes: number, census?: KeyCensus) {
    this.buffer = buffer;
    this.census = census;
    this.cache = new ValueCache(valueCacheBytes);
  }

  /** The newest version of a key, a running write's included. */
  get(key: string): KeyValue | undefined {
    const cached = this.cache.get(key);
    if (cached !== undefined) return cached;
    const version = this.index.at(key, this.newestMain);
    if (version === undefined) return undefined;
    const kv = this.read(key, version);
    // It is not there: get() has looked.
    this.cache.replace(undefined, key, kv, undefined);
    return kv;
  }

  /** @param current the newest revision this reader may see */
  range(key: string, end: string, options: RangeOptions, current: number): RangeResult | RevisionError {
    const asked = options.revision ?? 0;
    if (asked > current) return 'FUTURE';
    const revision = asked <= 0 ? current : asked;
    if (revision < this.compactRevision) return 'COMPACTED';
    const newest = revision >= this.newestMain;
    if (options.countOnly === true) {
      const count = newest ? this.index.countCurrent(key, end) : this.index.countAt(key, end, revision);
      return { kvs: [], count, revision: current };
    }
    if (end === '') {
      const kv = newest ? this.get(key) : this.at(key, revision);
      if (kv === undefined) return { kvs: [], count: 0, revision: current };
      return { kvs: [options.keysOnly === true ? withoutValue(kv) : kv], count: 1, revision: current };
    }

    const kvs: KeyValue[] = [];
    const limit = options.limit ?? 0;
    const keysOnly = options.keysOnly === true;
    let count = 0;
    this.index.range(key, end, revision, (name, version) => {
      count++;
      if (limit <= 0 || count <= limit) {
        kvs.push(
          keysOnly
            ? KeyValue.fromIndex(name, version.created, version.main, version.version)
            : this.readCached(name, version),
        );
      }
      return !newest || limit <= 0 || count < limit;
    });
    if (newest && limit > 0 && count === limit) count = this.index.countCurrent(key, end);
    if (newest && !keysOnly && kvs.length <= CACHED_RANGE_MAX) {
      for (const kv of kvs) if (this.cache.get(kv.keyString) !== kv) this.cache.set(kv.keyString, kv);
    }
    return { kvs, count, revision: current };
  }

  /** As MvccStore.valueLengths. Leaves the cache as it is. */
  valueLengths(
    from: string,
    end: string,
    keysMax: number,
    visit: (key: string, valueLength: number) => void,
  ): string | undefined {
    let left = keysMax;
    let next: string | undefined;
    this.index.range(from, end, this.newestMain, (key, version) => {
      if (left-- === 0) {
        next = key;
        return false;
      }
      visit(key, (this.cache.peek(key) ?? this.read(key, version)).valueLength);
      return true;
    });
    return next;
  }

  /** What the change was made to; null when it created the key, or the past is compacted. Looked up once an event. */
  previousOf(event: WatchEvent): KeyValue | null {
    if (event.previous === undefined) {
      const before = event.kv.modRevision - 1;
      const visible = !event.isCreate && before >= this.compactRevision;
      event.previous = (visible ? this.at(event.kv.keyString, before) : undefined) ?? null;
    }
    return event.previous;
  }

  /**
   * The changes of the main revisions from `from` to at most `to`: as many whole revisions as fit the
   * bounds, at least one. `from` must not be compacted.
   */
  history(from: number, to: number, revisionsMax: number, bytesMax: number): History {
    assert(from >= this.compactRevision && to <= this.newestMain, 'history outside of what is kept');
    const events: WatchEvent[] = [];
    const last = Math.min(to, from + revisionsMax - 1);
    let bytes = 0;
    let main = Math.max(from, 1);
    for (; main <= last && bytes < bytesMax; main++) {
      const count = this.changeCounts.get(main);
      assert(count > 0 || main <= Math.max(this.compactRevision, 1), 'a revision without changes');
      for (let sub = 0; sub < count; sub++) {
        const put = this.buffer.get(Buckets.key, encodeRevision(main, sub));
        if (put !== undefined) {
          events.push(new WatchEvent(EventType.PUT, KeyValue.read(put)));
          bytes += put.length;
          continue;
        }
        const tombstone = this.buffer.get(Buckets.key, encodeTombstone(main, sub));
        // Only at the compacted revision something may be missing.
        assert(tombstone !== undefined || main === this.compactRevision, 'a change is missing');
        if (tombstone === undefined) continue;
        const { keyString } = KeyValue.read(tombstone);
        events.push(new WatchEvent(EventType.DELETE, KeyValue.deleted(keyString, main)));
        bytes += tombstone.length;
      }
    }
    return { events, through: main - 1 };
  }

  /** A key at a revision that is not compacted. */
  at(key: string, revision: number): KeyValue | undefined {
    const version = this.index.at(key, revision);
    return version === undefined ? undefined : this.readCached(key, version);
  }

  private readCached(key: string, version: IndexedVersion): KeyValue {
    const cached = this.cache.get(key);
    return cached !== undefined && cached.modRevision === version.main ? cached : this.read(key, version);
  }

  private read(key: string, version: IndexedVersion): KeyValue {
    const bytes = this.buffer.get(Buckets.key, encodeRevision(version.main, version.sub));
    assert(bytes !== undefined, () => `revision ${version.main}.${version.sub} is indexed but not stored`);
    return KeyValue.read(bytes, key);
  }
}

function withoutValue(kv: KeyValue): KeyValue {
  return KeyValue.fromIndex(kv.keyString, kv.createRevision, kv.modRevision, kv.version);
}
