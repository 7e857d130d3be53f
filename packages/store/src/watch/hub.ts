/**
 * Brings events to watchers. A synced watcher is offered what was just applied; one that starts in the past,
 * or whose sink refused an offer, is unsynced and caught up from mvcc's history. Delivery is complete and in
 * order, or ends with one notice of compaction; memory is bounded, because nothing is kept for a slow watcher but
 * its next revision. It owns no timer: the driver calls syncSome. Modelled on etcd's watchableStore (synced,
 * unsynced and victim groups; here a victim is simply unsynced).
 */
import { assert } from '@keelson/base';
import type { KeyValue } from '../mvcc/key-value.ts';
import type { History } from '../mvcc/state.ts';
import { EventChain, type WatchEvent } from './events.ts';
import { Watcher, WatcherSet, type WatchRequest, type WatchSink } from './watcher.ts';

/** What the hub needs of mvcc. */
export interface WatchStore {
  readonly currentRevision: number;
  readonly compactRevision: number;
  history(from: number, to: number, revisionsMax: number, bytesMax: number): History;
  previousOf(event: WatchEvent): KeyValue | null;
}

export interface WatchHubOptions {
  /** Watchers caught up in one pass (etcd: 512). */
  readonly watchersMax?: number | undefined;
  /** Revisions in one pass, and so in one batch (etcd: 1000). */
  readonly revisionsMax?: number | undefined;
  /** Bytes of history in one pass. etcd has no such bound: a thousand revisions of 1 MB are a gigabyte. */
  readonly bytesMax?: number | undefined;
}

export interface WatchCounters {
  /** Events offered and taken, each watcher counted. */
  eventsDelivered: number;
  batchesDelivered: number;
  /** Offers refused: a watcher fell behind. */
  offersRefused: number;
  /** Revisions read from history. */
  revisionsRead: number;
}

const WATCHERS_MAX = 512;
const REVISIONS_MAX = 1000;
const BYTES_MAX = 4 * 1024 * 1024;

export class WatchHub {
  readonly counters: WatchCounters = {
    eventsDelivered: 0,
    batchesDelivered: 0,
    offersRefused: 0,
    revisionsRead: 0,
  };
  private store: WatchStore;
  private readonly watchersMax: number;
  private readonly revisionsMax: number;
  private readonly bytesMax: number;
  private readonly synced = new WatcherSet();
  /** In the order of their turns. */
  private readonly unsynced = new Set<Watcher>();
  /** The revision up to which synced watchers were told everything. */
  private toldRevision: number;

  constructor(store: WatchStore, options: WatchHubOptions = {}) {
    this.store = store;
    this.watchersMax = options.watchersMax ?? WATCHERS_MAX;
    this.revisionsMax = options.revisionsMax ?? REVISIONS_MAX;
    this.bytesMax = options.bytesMax ?? BYTES_MAX;
    this.toldRevision = store.currentRevision;
  }

  /** Watches that are not over. */
  get watcherCount(): number {
    return this.synced.size + this.unsynced.size;
  }

  /** Of them those that are behind (etcd_debugging_mvcc_slow_watcher_total). */
  get unsyncedCount(): number {
    return this.unsynced.size;
  }

  /** The store's revision, as a response header says it. */
  get currentRevision(): number {
    return this.store.currentRevision;
  }

  /** Begins a watch. Nothing is delivered before the call returns. */
  watch(request: WatchRequest, sink: WatchSink): Watcher {
    const { key, end, startRevision } = request;
    assert(end === '' || end === '\0' || key < end, 'a watcher of an empty range');
    assert(startRevision >= 0, 'a watcher with a negative start');
    const watcher = new Watcher(
      request,
      sink,
      startRevision === 0 ? this.store.currentRevision + 1 : startRevision,
    );
    this.place(watcher);
    return watcher;
  }

  /** Ends a watch; one that is over stays so. */
  cancel(watcher: Watcher): void {
    if (watcher.state === 'synced') this.synced.delete(watcher);
    else if (watcher.state === 'unsynced') this.unsynced.delete(watcher);
    watcher.state = 'canceled';
  }

  /**
   * Tells the synced watchers what was just applied: all events since the last call, in order, up to the
   * store's current revision. The applier calls it once for each turn.
   */
  notify(events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    const revision = this.store.currentRevision;
    assert(
      events[0].kv.modRevision === this.toldRevision + 1 && events.at(-1)!.kv.modRevision === revision,
      'watchers must be told every revision once',
    );
    this.toldRevision = revision;
    if (this.synced.size === 0) return;
    for (const watcher of this.collect(events, this.synced)) {
      if (this.deliver(watcher, revision) || watcher.state !== 'synced') continue;
      this.synced.delete(watcher);
      watcher.state = 'unsynced';
      this.unsynced.add(watcher);
    }
  }

  /**
   * One pass of catching up: reads one stretch of history and brings the watchers that are due it forward. The
   * one whose turn it is decides where the stretch begins; everyone near it comes along.
   *
   * @returns whether another pass would find work now; if not, call again when a sink has become writable,
   *   and every 100 ms in any case
   */
  syncSome(): boolean {
    const chosen = this.choose();
    if (chosen.length === 0) return false;
    const from = chosen[0].nextRevision;
    const { events, through } = this.store.history(from, this.toldRevision, this.revisionsMax, this.bytesMax);
    this.counters.revisionsRead += through - from + 1;
    const group = new WatcherSet();
    for (const watcher of chosen) group.add(watcher);
    this.collect(events, group);
    let advanced = false;
    for (const watcher of chosen) {
      if (watcher.state !== 'unsynced') {
        watcher.chain = undefined;
        continue;
      }
      this.unsynced.delete(watcher);
      if (watcher.chain === undefined || this.deliver(watcher, this.toldRevision)) {
        advanced ||= watcher.nextRevision <= through;
        watcher.nextRevision = Math.max(watcher.nextRevision, through + 1);
      }
      // The sink may have canceled it meanwhile.
      if (isUnsynced(watcher)) this.place(watcher);
    }
    return advanced && this.unsynced.size > 0;
  }

  /**
   * The revision up to which all of these watchers have been given everything they want; undefined while one is
   * behind, or waits for a start in the future.
   */
  progressRevision(watchers: Iterable<Watcher>): number | undefined {
    for (const watcher of watchers) {
      if (watcher.state !== 'synced' || watcher.request.startRevision > this.toldRevision) return undefined;
    }
    return this.toldRevision;
  }

  /**
   * After a snapshot was installed: watchers go on in the new store from where they were. None sees a
   * revision twice; one whose next revision is compacted there is told so.
   */
  replaceStore(store: WatchStore): void {
    assert(store.currentRevision >= this.toldRevision, 'a snapshot takes revisions back');
    const watchers: Watcher[] = [];
    this.synced.forEach((watcher) => watchers.push(watcher));
    for (const watcher of watchers) {
      this.synced.delete(watcher);
      watcher.nextRevision = Math.max(watcher.nextRevision, this.toldRevision + 1);
    }
    this.store = store;
    this.toldRevision = store.currentRevision;
    for (const watcher of watchers) this.place(watcher);
  }

  private place(watcher: Watcher): void {
    if (watcher.nextRevision > this.toldRevision) {
      watcher.state = 'synced';
      this.synced.add(watcher);
    } else {
      watcher.state = 'unsynced';
      this.unsynced.add(watcher);
    }
  }

  /** The next watchers to catch up; all of them need something of one stretch of history. Ends those that cannot be. */
  private choose(): Watcher[] {
    const chosen: Watcher[] = [];
    const { compactRevision } = this.store;
    let first = 0;
    for (const watcher of this.unsynced) {
      if (chosen.length === this.watchersMax) break;
      if (!watcher.sink.writable()) continue;
      if (watcher.nextRevision < compactRevision) {
        this.unsynced.delete(watcher);
        watcher.state = 'compacted';
        watcher.sink.compacted(compactRevision);
        continue;
      }
      if (chosen.length === 0) first = watcher.nextRevision;
      else if (watcher.nextRevision < first || watcher.nextRevision >= first + this.revisionsMax) continue;
      chosen.push(watcher);
    }
    return chosen;
  }

  /** Hands the events round; each watcher that wants some has its chain then. */
  private collect(events: readonly WatchEvent[], watchers: WatcherSet): Watcher[] {
    const touched: Watcher[] = [];
    const plain = EventChain.root(false);
    const withPrevious = EventChain.root(true);
    let event = events[0];
    const visit = (watcher: Watcher): void => {
      if (!watcher.wants(event)) return;
      if (watcher.chain === undefined) touched.push(watcher);
      if (watcher.request.withPrevious) {
        this.store.previousOf(event);
        watcher.chain = (watcher.chain ?? withPrevious).extend(event);
      } else {
        watcher.chain = (watcher.chain ?? plain).extend(event);
      }
    };
    for (event of events) watchers.visit(event.kv.keyString, visit);
    return touched;
  }

  /** Offers what was collected. When it is refused the watcher's next revision is the first of it. */
  private deliver(watcher: Watcher, revision: number): boolean {
    const batch = watcher.chain!.toBatch(revision);
    watcher.chain = undefined;
    if (watcher.state === 'canceled') return false;
    if (watcher.sink.offer(batch)) {
      this.counters.batchesDelivered++;
      this.counters.eventsDelivered += batch.events.length;
      return true;
    }
    this.counters.offersRefused++;
    watcher.nextRevision = batch.events[0].kv.modRevision;
    return false;
  }
}

function isUnsynced(watcher: Watcher): boolean {
  return watcher.state === 'unsynced';
}
