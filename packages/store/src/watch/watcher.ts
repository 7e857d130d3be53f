/**
 * One watch: its range, what it wants of an event, and how far it has come. And the set of watchers by range,
 * which finds those that cover a key. Both only keep books; the hub decides.
 */
import { EventType, type EventChain, type WatchBatch, type WatchEvent } from './events.ts';
import { IntervalTree } from './interval-tree.ts';

/** Where a watcher's batches go. Called synchronously; must not call the hub back but to cancel. */
export interface WatchSink {
  /** Whether an offer would be taken now. */
  writable(): boolean;
  /** Takes the batch, or answers false: then the watcher falls behind and gets the same events later. */
  offer(batch: WatchBatch): boolean;
  /** The watch has ended: history from its next revision on is compacted. Called only while writable. */
  compacted(compactRevision: number): void;
}

export interface WatchRequest {
  readonly key: string;
  /** '' for the single key, '\0' for all from `key` on; otherwise above `key`. */
  readonly end: string;
  /** First revision wanted; 0 for the next one. */
  readonly startRevision: number;
  readonly wantsPuts: boolean;
  readonly wantsDeletes: boolean;
  /** Events come with the version before them. */
  readonly withPrevious: boolean;
}

/**
 * synced: gets events as they are applied. unsynced: is caught up from history. compacted: told that it
 * cannot be. canceled: over.
 */
export type WatcherState = 'synced' | 'unsynced' | 'compacted' | 'canceled';

export class Watcher {
  readonly request: WatchRequest;
  readonly sink: WatchSink;
  state: WatcherState;
  /** Revisions below it are delivered or not wanted. A synced watcher's may lag behind: what was applied since concerned others. */
  nextRevision: number;
  /** Events collected for it within one call of the hub. */
  chain: EventChain | undefined;

  constructor(request: WatchRequest, sink: WatchSink, nextRevision: number) {
    this.request = request;
    this.sink = sink;
    this.state = 'unsynced';
    this.nextRevision = nextRevision;
    this.chain = undefined;
  }

  /** Whether an event of a key it covers is to be delivered. */
  wants(event: WatchEvent): boolean {
    if (event.kv.modRevision < this.nextRevision) return false;
    return event.type === EventType.PUT ? this.request.wantsPuts : this.request.wantsDeletes;
  }
}

/** Watchers by what they cover. */
export class WatcherSet {
  private readonly singles = new Map<string, Set<Watcher>>();
  private readonly ranges = new IntervalTree<Watcher>();
  private singlesCount = 0;

  get size(): number {
    return this.singlesCount + this.ranges.size;
  }

  add(watcher: Watcher): void {
    const { key, end } = watcher.request;
    if (end !== '') {
      this.ranges.add(key, highOf(end), watcher);
      return;
    }
    let same = this.singles.get(key);
    if (same === undefined) {
      same = new Set();
      this.singles.set(key, same);
    }
    same.add(watcher);
    this.singlesCount++;
  }

  delete(watcher: Watcher): void {
    const { key, end } = watcher.request;
    if (end !== '') {
      this.ranges.delete(key, highOf(end), watcher);
      return;
    }
    const same = this.singles.get(key);
    if (same === undefined || !same.delete(watcher)) return;
    this.singlesCount--;
    if (same.size === 0) this.singles.delete(key);
  }

  /** Every watcher that covers `key`. The set must not change meanwhile. */
  visit(key: string, visit: (watcher: Watcher) => void): void {
    const same = this.singles.get(key);
    if (same !== undefined) for (const watcher of same) visit(watcher);
    this.ranges.visit(key, visit);
  }

  forEach(visit: (watcher: Watcher) => void): void {
    for (const same of this.singles.values()) for (const watcher of same) visit(watcher);
    this.ranges.forEach(visit);
  }
}

function highOf(end: string): string | undefined {
  return end === '\0' ? undefined : end;
}
