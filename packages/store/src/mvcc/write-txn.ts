/**
 * One write transaction: its changes share one main revision and are numbered in order. They are visible to
 * itself at once and to everyone when it ends; since nothing else runs meanwhile, there is nothing to undo
 * and no way to abort. Whoever applies has checked everything before the first write.
 */
import { assert } from '@keelson/base';
import type { KeyCensus } from './census.ts';
import { EventType, WatchEvent } from './event.ts';
import { encodeTombstoneValue, KeyValue } from './key-value.ts';
import { encodeRevision, tombstoneOf } from './revision.ts';
import type { CacheEntry } from './value-cache.ts';
import type { MvccState, RangeOptions, RangeResult, RevisionError } from './state.ts';

export interface DeleteResult {
  /** The keys deleted, ascending. */
  readonly keys: string[];
  /** What was deleted, in the same order; empty unless asked for. */
  readonly previous: KeyValue[];
}

export interface WriteResult {
  /** The store's revision now: one more than before if anything changed. */
  readonly revision: number;
  /** One for each change, in order. */
  readonly events: readonly WatchEvent[];
}

/** One transaction at a time goes through: it closes the gate behind itself, and opens it when it ends. */
export interface WriteGate {
  writing: boolean;
}

export class WriteTxn {
  /** The store's revision before. Changes are made at the next one. */
  readonly beginRevision: number;
  private readonly state: MvccState;
  private readonly gate: WriteGate;
  private readonly events: WatchEvent[] = [];
  private ended = false;
  private putCount = 0;
  private deleteCount = 0;
  private rangeCount = 0;

  constructor(state: MvccState, gate: WriteGate) {
    this.state = state;
    this.beginRevision = state.currentRevision;
    this.gate = gate;
    gate.writing = true;
  }

  /** The revision its own reads are at. */
  get revision(): number {
    return this.events.length === 0 ? this.beginRevision : this.beginRevision + 1;
  }

  /** With the name a reader of the store's current revision uses. */
  get currentRevision(): number {
    return this.revision;
  }

  get compactRevision(): number {
    return this.state.compactRevision;
  }

  /** The changes so far, in order. */
  changes(): readonly WatchEvent[] {
    return this.events;
  }

  /** The newest version of a key, own writes included. */
  get(key: string): KeyValue | undefined {
    return this.state.get(key);
  }

  /** Sees own writes; an explicit revision up to beginRevision does not. */
  range(key: string, end: string, options: RangeOptions = {}): RangeResult | RevisionError {
    this.rangeCount++;
    return this.state.range(key, end, options, this.revision);
  }

  /**
   * @param value copied, of it [from, to)
   * @param lease 0n for none; what it means is the caller's affair
   * @returns the version written
   */
  put(name: string, value: Uint8Array, lease: bigint, from = 0, to: number = value.length): KeyValue {
    assert(!this.ended && name.length > 0, 'put after the end or without a key');
    const { state } = this;
    const main = this.beginRevision + 1;
    const sub = this.events.length;
    const cached = state.cache.find(name);
    const replaced = cached?.kv;
    // The string that is kept already, so that the one just read need not be.
    const key = replaced?.keyString ?? name;
    const remembered = cached?.history;
    const index =
      remembered?.isIndexed === true
        ? state.index.putTo(remembered, key, main, sub)
        : state.index.put(key, main, sub);
    const history = typeof index === 'number' ? undefined : index;
    const created = history?.created ?? main;
    const version = history?.version ?? 1;
    const kv = KeyValue.write(key, created, main, version, value, lease, state.slab, from, to);
    const revision = encodeRevision(main, sub);
    state.buffer.putRevision(revision, kv.block, kv.blockStart, kv.blockEnd);
    state.storedBytes += 1 + revision.length + kv.blockEnd - kv.blockStart;
    state.cache.replace(cached, key, kv, history);
    this.record(new WatchEvent(EventType.PUT, kv), main, revision, replaced);
    this.putCount++;
    state.counters.putBytes += key.length + to - from;
    return kv;
  }

  /**
   * Deletes the keys of a range that exist, ascending: one change each.
   * @param end '' for the single key, '\0' for all from `key` on
   */
  deleteRange(key: string, end: string, wantPrevious = false): DeleteResult {
    assert(!this.ended, 'delete after the end');
    this.deleteCount++;
    const { state } = this;
    const keys: string[] = [];
    state.index.range(key, end, state.newestMain, (name) => {
      keys.push(name);
    });
    const previous: KeyValue[] = [];
    for (const name of keys) {
      if (wantPrevious) previous.push(state.get(name)!);
      this.bury(name, state.cache.find(name));
    }
    return { keys, previous };
  }

  /** deleteRange() of one key of which nobody wants the previous version. @returns whether it existed */
  delete(name: string): boolean {
    assert(!this.ended, 'delete after the end');
    this.deleteCount++;
    const { state } = this;
    const cached = state.cache.find(name);
    if (cached === undefined && !state.index.exists(name)) return false;
    this.bury(name, cached);
    return true;
  }

  /** Deletes a key that exists. @param cached what the cache has of it */
  private bury(name: string, cached: CacheEntry | undefined): void {
    const { state } = this;
    const main = this.beginRevision + 1;
    const sub = this.events.length;
    const replaced = cached?.kv;
    const key = replaced?.keyString ?? name;
    const remembered = cached?.history;
    if (remembered?.isIndexed === true) state.index.tombstoneOf(remembered, key, main, sub);
    else state.index.tombstone(key, main, sub);
    const revision = encodeRevision(main, sub);
    const tombstone = tombstoneOf(revision);
    const value = encodeTombstoneValue(key);
    state.buffer.putRevision(tombstone, value, 0, value.length);
    state.storedBytes += 1 + tombstone.length + value.length;
    if (cached !== undefined) state.cache.delete(key);
    this.record(new WatchEvent(EventType.DELETE, KeyValue.deleted(key, main)), main, revision, replaced);
  }

  /** Makes the changes the store's current state. Nothing may be called afterwards. */
  end(): WriteResult {
    assert(!this.ended, 'a transaction ends once');
    this.ended = true;
    const { state, events } = this;
    if (events.length > 0) {
      state.currentRevision = this.beginRevision + 1;
      state.changeCounts.append(state.currentRevision, events.length);
      if (state.census !== undefined) count(state.census, events);
    }
    const { counters } = state;
    counters.puts += this.putCount;
    counters.deletes += this.deleteCount;
    counters.ranges += this.rangeCount;
    if (this.putCount + this.deleteCount + this.rangeCount > 1) counters.txns++;
    counters.events += events.length;
    this.gate.writing = false;
    return { revision: state.currentRevision, events };
  }

  private record(event: WatchEvent, main: number, revision: string, replaced: KeyValue | undefined): void {
    // What was the newest version before this transaction is what a watcher wants as the previous one.
    if (event.isCreate) event.previous = null;
    else if (replaced !== undefined && replaced.modRevision < main) event.previous = replaced;
    this.events.push(event);
    this.state.newestMain = main;
    this.state.newestRevision = revision;
  }
}

function count(census: KeyCensus, events: readonly WatchEvent[]): void {
  for (const { type, kv } of events)
    if (type === EventType.PUT) census.put(kv.keyString, kv.valueLength);
    else census.delete(kv.keyString);
}
