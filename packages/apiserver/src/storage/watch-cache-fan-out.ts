/**
 * Which watchers an event concerns: they are kept by what they watch (all, a namespace, one object, a value of an
 * indexed field), so that an event costs what its watchers cost and nothing for the others. Computes only.
 */

import type { CacheEvent } from './event-ring.ts';
import type { IndexedValue } from './watch-cache.ts';
import type { CacheWatcher } from './watch-cache-watcher.ts';

/** What a watcher watches. */
export interface Scope {
  /** Key prefix with a slash at its end, or the key of one object; in byte order. */
  readonly order: string;
  readonly indexed: IndexedValue | undefined;
}

export class FanOut {
  /** By key prefix or key. */
  private readonly byOrder = new Map<string, Set<CacheWatcher>>();
  /** By field and value, of those that watch the whole resource. */
  private readonly byField = new Map<string, Map<string, Set<CacheWatcher>>>();
  private readonly all = new Map<CacheWatcher, Scope>();
  private readonly root: string;
  /** Those that have something new, until they are told. */
  private due: CacheWatcher[] = [];

  /** @param root key prefix of the resource with a slash at its end */
  constructor(root: string) {
    this.root = root;
  }

  get size(): number {
    return this.all.size;
  }

  watchers(): MapIterator<CacheWatcher> {
    return this.all.keys();
  }

  add(watcher: CacheWatcher, scope: Scope): void {
    this.all.set(watcher, scope);
    this.groupOf(scope).add(watcher);
  }

  /** Does nothing the second time. */
  remove(watcher: CacheWatcher): void {
    const scope = this.all.get(watcher);
    if (scope === undefined) return;
    this.all.delete(watcher);
    const group = this.groupOf(scope);
    group.delete(watcher);
    if (group.size > 0) return;
    if (scope.indexed === undefined || scope.order !== this.root) this.byOrder.delete(scope.order);
    else this.byField.get(scope.indexed.field)?.delete(scope.indexed.value);
  }

  /** Tells watchers of what was given to them since the last time: of all events of a turn at once. */
  wake(): void {
    const { due } = this;
    if (due.length === 0) return;
    this.due = [];
    for (const watcher of due) watcher.awake();
  }

  /** Gives the event to all it may concern; they hear of it with wake(). @returns those that had no room for it */
  give(event: CacheEvent): CacheWatcher[] {
    const full: CacheWatcher[] = [];
    const { order } = event.object;
    if (this.byOrder.size > 0) {
      for (let slash = this.root.length - 1; slash >= 0; slash = order.indexOf('/', slash + 1)) {
        this.addTo(this.byOrder.get(order.slice(0, slash + 1)), event, full);
      }
      this.addTo(this.byOrder.get(order), event, full);
    }
    for (const [field, values] of this.byField) {
      const now = event.now?.fields[field];
      const before = event.before?.fields[field];
      if (now !== undefined) this.addTo(values.get(now), event, full);
      if (before !== undefined && before !== now) this.addTo(values.get(before), event, full);
    }
    return full;
  }

  private addTo(group: ReadonlySet<CacheWatcher> | undefined, event: CacheEvent, full: CacheWatcher[]): void {
    if (group === undefined) return;
    for (const watcher of group) {
      if (!watcher.add(event)) full.push(watcher);
      else if (watcher.takeDue()) this.due.push(watcher);
    }
  }

  private groupOf({ order, indexed }: Scope): Set<CacheWatcher> {
    let groups = this.byOrder;
    let name = order;
    if (indexed !== undefined && order === this.root) {
      name = indexed.value;
      groups = this.byField.get(indexed.field) ?? new Map<string, Set<CacheWatcher>>();
      this.byField.set(indexed.field, groups);
    }
    let group = groups.get(name);
    if (group === undefined) groups.set(name, (group = new Set()));
    return group;
  }
}
