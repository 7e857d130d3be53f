/**
 * The state of one resource in memory: all objects in order, an index by selected fields, and the last changes.
 * Past states are not kept but made: the newest one with the changes since undone. Computes only; who fills it, who
 * waits and who watches is the cacher's (cacher.ts).
 */

import { assert, SortedMap, SortedMapBuilder } from '@keelson/base';

import { CacheEvent, EventRing, type EventRingOptions } from './event-ring.ts';
import type { CachedObject } from './watch-cache-object.ts';

/** A part of the state at one revision. */
export interface Place {
  readonly revision: number;
  /** First key, in byte order. */
  readonly low: string;
  /** First key after it; undefined: to the end. */
  readonly high: string | undefined;
  /** Only objects of which an indexed field is so; others may be among them. */
  readonly indexed?: IndexedValue | undefined;
}

export interface IndexedValue {
  readonly field: string;
  readonly value: string;
}

export interface Chunk {
  readonly objects: readonly CachedObject[];
  /** Where the next one starts; undefined: there is no more. */
  readonly next: string | undefined;
}

type Index = Map<string, SortedMap<CachedObject>>;

const NO_ORDERS: readonly string[] = [];
const NOTHING_UNDONE: ReadonlyMap<string, CachedObject | undefined> = new Map();

export class WatchCache {
  private objects = new SortedMap<CachedObject>();
  private readonly indexes: ReadonlyMap<string, Index>;
  private readonly ring: EventRing;
  private current = 0;

  /** @param indexedFields selectable fields that lists and watches are often narrowed by */
  constructor(indexedFields: readonly string[], options: EventRingOptions = {}) {
    this.indexes = new Map(indexedFields.map((field) => [field, new Map<string, SortedMap<CachedObject>>()]));
    this.ring = new EventRing(options);
  }

  /** Everything up to it is here; 0 before the first state. */
  get revision(): number {
    return this.current;
  }

  /** The oldest revision whose state can be made. */
  get oldestRevision(): number {
    return this.ring.since;
  }

  /** Whether changes that were known have been forgotten. */
  get hasForgotten(): boolean {
    return this.ring.hasForgotten;
  }

  /** What happened after `revision` and before the oldest change that is known; it makes the state no newer. */
  prepend(events: readonly CacheEvent[], revision: number): void {
    this.ring.prepend(events, revision);
  }

  get size(): number {
    return this.objects.size;
  }

  get eventCount(): number {
    return this.ring.length;
  }

  /** A new state in place of everything. @param objects in order of their keys */
  replace(objects: readonly CachedObject[], revision: number): void {
    const builder = new SortedMapBuilder<CachedObject>();
    for (const index of this.indexes.values()) index.clear();
    for (const object of objects) {
      builder.add(object.order, object);
      this.enter(object);
    }
    this.objects = builder.finish();
    this.current = revision;
    this.ring.restart(revision);
  }

  /**
   * One change, newer than `revision`. Several of one revision come one after another before `advance`.
   *
   * @param order key in byte order
   * @param now undefined: it is gone
   * @returns undefined when what is gone was not there
   */
  apply(
    order: string,
    now: CachedObject | undefined,
    revision: number,
    atMs: number,
  ): CacheEvent | undefined {
    assert(revision > this.current, 'a change is newer than the state');
    const before = this.objects.get(order);
    if (before !== undefined) this.leave(before);
    if (now !== undefined) {
      this.objects.set(order, now);
      this.enter(now);
    } else if (before === undefined) {
      return undefined;
    } else {
      this.objects.delete(order);
    }
    const event = new CacheEvent(revision, now, before, atMs);
    this.ring.push(event);
    return event;
  }

  /** Everything up to `revision` has been told. */
  advance(revision: number): void {
    if (revision > this.current) this.current = revision;
  }

  get(order: string): CachedObject | undefined {
    return this.objects.get(order);
  }

  /** What happened to keys of the place after `revision`; undefined when some of it is forgotten. */
  after(revision: number, { low, high }: Pick<Place, 'low' | 'high'>): CacheEvent[] | undefined {
    const events = this.ring.after(revision);
    return events?.filter(({ object: { order } }) => order >= low && (high === undefined || order < high));
  }

  /** Whether the field has an index. */
  hasIndex(field: string): boolean {
    return this.indexes.has(field);
  }

  /**
   * Objects from `low` on, at most `countMax`, as they were at the revision.
   *
   * @returns undefined when that is forgotten
   */
  read(place: Place, countMax: number): Chunk | undefined {
    const undone = this.undone(place);
    if (undone === undefined) return undefined;
    const found = new Found(countMax);
    const orders = undone.size === 0 ? NO_ORDERS : [...undone.keys()].sort(byteOrder);
    let at = 0;
    this.mapOf(place).range(place.low, place.high, (order, object) => {
      for (; at < orders.length && orders[at] < order; at += 1) {
        if (!found.add(orders[at], undone.get(orders[at]))) return false;
      }
      if (orders[at] !== order) return found.add(order, object);
      at += 1;
      return found.add(order, undone.get(order));
    });
    for (; at < orders.length && !found.full; at += 1) found.add(orders[at], undone.get(orders[at]));
    return { objects: found.objects, next: found.full ? `${found.last}\0` : undefined };
  }

  /** How many objects there were; undefined when that is forgotten. The index is not looked at. */
  count(place: Place): number | undefined {
    const undone = this.undone(place);
    if (undone === undefined) return undefined;
    let count = this.objects.count(place.low, place.high);
    for (const [order, then] of undone) {
      count += (then === undefined ? 0 : 1) - (this.objects.has(order) ? 1 : 0);
    }
    return count;
  }

  /** Keys of the place that changed since its revision, as they were then. */
  private undone({ revision, low, high }: Place): ReadonlyMap<string, CachedObject | undefined> | undefined {
    if (revision > this.current) return undefined;
    if (revision === this.current) return NOTHING_UNDONE;
    const undone = new Map<string, CachedObject | undefined>();
    const events = this.after(revision, { low, high });
    if (events === undefined) return undefined;
    for (const { object, before } of events) {
      if (!undone.has(object.order)) undone.set(object.order, before);
    }
    return undone;
  }

  private mapOf({ indexed }: Place): SortedMap<CachedObject> {
    const index = indexed === undefined ? undefined : this.indexes.get(indexed.field);
    if (index === undefined || indexed === undefined) return this.objects;
    return index.get(indexed.value) ?? new SortedMap<CachedObject>();
  }

  private enter(object: CachedObject): void {
    for (const [field, index] of this.indexes) {
      const value = object.fields[field] ?? '';
      let map = index.get(value);
      if (map === undefined) index.set(value, (map = new SortedMap<CachedObject>()));
      map.set(object.order, object);
    }
  }

  private leave(object: CachedObject): void {
    for (const [field, index] of this.indexes) {
      const value = object.fields[field] ?? '';
      const map = index.get(value);
      map?.delete(object.order);
      if (map?.size === 0) index.delete(value);
    }
  }
}

/** What a read has come upon. */
class Found {
  readonly objects: CachedObject[] = [];
  /** The last key that was looked at. */
  last = '';
  private readonly countMax: number;

  constructor(countMax: number) {
    this.countMax = countMax;
  }

  get full(): boolean {
    return this.objects.length >= this.countMax;
  }

  /** Whether there is room for more. */
  add(order: string, object: CachedObject | undefined): boolean {
    this.last = order;
    if (object !== undefined) this.objects.push(object);
    return !this.full;
  }
}

function byteOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
