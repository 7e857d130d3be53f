/**
 * The last changes of a resource, oldest first: what watches start from and what past states are made of. Bounded by
 * number and by age; time is told.
 *
 * Bounds as kubernetes/apiserver pkg/storage/cacher/watch_cache.go.
 */

import { Ring } from '@keelson/base';

import type { CachedObject } from './watch-cache-object.ts';
import type { ObjectEvent } from './storage.ts';

/** One change. What watchers are given is made once for all of them. */
export class CacheEvent {
  readonly revision: number;
  /** Undefined: it is gone. */
  readonly now: CachedObject | undefined;
  /** Undefined: it was not there. */
  readonly before: CachedObject | undefined;
  /** Monotonic, when it arrived. */
  readonly atMs: number;
  private views: ObjectEvent[] | undefined = undefined;

  constructor(
    revision: number,
    now: CachedObject | undefined,
    before: CachedObject | undefined,
    atMs: number,
  ) {
    this.revision = revision;
    this.now = now;
    this.before = before;
    this.atMs = atMs;
  }

  /** The object the event is about. */
  get object(): CachedObject {
    const object = this.now ?? this.before;
    if (object === undefined) throw new Error('a change has one state at least');
    return object;
  }

  /** The event as a watcher sees it who sees it so; the same for all who do. */
  as(type: ObjectEvent['type']): ObjectEvent {
    const made = this.views?.find((view) => view.type === type);
    if (made !== undefined) return made;
    const object = type === 'DELETED' ? (this.before ?? this.object).at(this.revision) : this.object;
    const view: ObjectEvent = { type, object, previous: this.before, initial: false };
    this.views = [...(this.views ?? []), view];
    return view;
  }
}

export interface EventRingOptions {
  /** Most events. Default 102,400. */
  readonly countMax?: number;
  /** As many are kept however old. Default 100. */
  readonly countMin?: number;
  /** Younger ones are kept as long as there is room. Default 75 s, more than a watch needs to come back. */
  readonly keepMs?: number;
}

export class EventRing {
  private readonly countMax: number;
  private readonly countMin: number;
  private readonly keepMs: number;
  private readonly events = new Ring<CacheEvent>();
  /** Everything that happened after it is here. */
  private sinceRevision = 0;
  private forgetful = false;

  constructor({ countMax = 102_400, countMin = 100, keepMs = 75_000 }: EventRingOptions = {}) {
    this.countMax = countMax;
    this.countMin = countMin;
    this.keepMs = keepMs;
  }

  get length(): number {
    return this.events.length;
  }

  /** The revision all events after which are kept. */
  get since(): number {
    return this.sinceRevision;
  }

  /** Whether something that was here had to leave. */
  get hasForgotten(): boolean {
    return this.forgetful;
  }

  /** Puts what happened after `revision` before everything else, as far as there is room for it. */
  prepend(events: readonly CacheEvent[], revision: number): void {
    if (this.events.length + events.length > this.countMax) return;
    const later = Array.from({ length: this.events.length }, () => this.events.shift());
    for (const event of [...events, ...later]) if (event !== undefined) this.events.push(event);
    this.sinceRevision = revision;
  }

  /** Forgets all; history begins after `revision`. */
  restart(revision: number): void {
    this.events.clear();
    this.sinceRevision = revision;
    this.forgetful = false;
  }

  /** Events come in order of revisions. Of what is too old a few leave for each that comes. */
  push(event: CacheEvent): void {
    this.events.push(event);
    while (this.events.length > this.countMax) this.shift();
    for (let step = 0; step < 4 && this.events.length > this.countMin; step += 1) {
      const oldest = this.events.at(0);
      if (oldest === undefined || event.atMs - oldest.atMs < this.keepMs) return;
      this.shift();
    }
  }

  /** What happened after `revision`, oldest first; undefined when some of it is forgotten. */
  after(revision: number): CacheEvent[] | undefined {
    if (revision < this.sinceRevision) return undefined;
    const found: CacheEvent[] = [];
    for (let at = this.firstAfter(revision); at < this.events.length; at += 1) {
      const event = this.events.at(at);
      if (event !== undefined) found.push(event);
    }
    return found;
  }

  private shift(): void {
    const gone = this.events.shift();
    if (gone === undefined) return;
    this.sinceRevision = gone.revision;
    this.forgetful = true;
  }

  private firstAfter(revision: number): number {
    let low = 0;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.events.at(middle)?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
