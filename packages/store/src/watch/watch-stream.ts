/**
 * One client's watch stream: its watchers by id, and the exact responses etcd gives (v3rpc/watch.go,
 * mvcc/watcher.go). It turns requests into watchers of the hub and batches into responses; it knows neither
 * connections nor who may watch what: the caller says so. Responses leave in the order of its calls, so
 * "created" always comes before the events of its id.
 */
import { sizeVarint } from '@keelson/proto';
import { StoreError } from '../errors.ts';
import { eventFieldBytes, WatchBatch } from './events.ts';
import { fragmentEnds } from './fragment.ts';
import type { WatchHub } from './hub.ts';
import type { Watcher, WatchSink } from './watcher.ts';

/** etcdserverpb.WatchCreateRequest, keys in memory's form. */
export interface WatchCreate {
  /** '' is every key, from '\0' on. */
  readonly key: string;
  readonly rangeEnd: string;
  readonly startRevision: number;
  readonly progressNotify: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  /** 0n: the stream picks one. */
  readonly watchId: bigint;
  readonly fragment: boolean;
}

/** etcdserverpb.WatchResponse but for the header's cluster, member and term. */
export interface WatchResponse {
  readonly revision: number;
  /** -1n where the response is not about one watch. */
  readonly watchId: bigint;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly fragment: boolean;
  /** Undefined when there are no events. */
  readonly batch: WatchBatch | undefined;
}

/** The way to the client. */
export interface WatchOutlet {
  /** Whether events would be taken now. When it has become so again, the driver calls hub.syncSome(). */
  writable(): boolean;
  /** Answers to requests are written whether writable or not. */
  write(response: WatchResponse): void;
}

export interface WatchStreamOptions {
  /** From this size on a response is cut for those who asked: --max-request-bytes and 512 KiB. */
  readonly fragmentBytes: number;
  /** Bytes of the response's header field, tag and length included, for a revision. */
  readonly headerBytes: (revision: number) => number;
}

/** On notices that concern no single watch. */
const NO_WATCH = -1n;
const EMPTY_RANGE = 'mvcc: watcher range is empty';
const DUPLICATE_ID = 'mvcc: duplicate watch ID provided on the WatchStream';

export class WatchStream {
  private readonly hub: WatchHub;
  private readonly outlet: WatchOutlet;
  private readonly options: WatchStreamOptions;
  private readonly watches = new Map<bigint, StreamWatch>();
  private nextId = 0n;

  constructor(hub: WatchHub, outlet: WatchOutlet, options: WatchStreamOptions) {
    this.hub = hub;
    this.outlet = outlet;
    this.options = options;
  }

  /** Watches with an id, those that were compacted and not yet canceled included. */
  get size(): number {
    return this.watches.size;
  }

  /** @param denied why the client may not watch this, as the formatted gRPC error; '' when it may */
  create(request: WatchCreate, denied = ''): void {
    if (request.startRevision < 0) return this.refuse(new StoreError('COMPACTED').message);
    if (denied !== '') return this.refuse(denied);
    const key = request.key === '' ? '\0' : request.key;
    const end = request.rangeEnd;
    if (end !== '' && end !== '\0' && key >= end) return this.refuse(EMPTY_RANGE);
    let id = request.watchId;
    if (id === 0n) {
      while (this.watches.has(this.nextId)) this.nextId++;
      id = this.nextId++;
    } else if (this.watches.has(id)) {
      return this.refuse(DUPLICATE_ID);
    }
    const watch = new StreamWatch(id, request, this.outlet, this.options);
    watch.watcher = this.hub.watch(
      {
        key,
        end,
        startRevision: request.startRevision,
        wantsPuts: !request.noPut,
        wantsDeletes: !request.noDelete,
        withPrevious: request.prevKv,
      },
      watch,
    );
    this.watches.set(id, watch);
    this.outlet.write(notice(this.hub.currentRevision, id, { created: true }));
  }

  /** An unknown id is ignored. */
  cancel(id: bigint): void {
    const watch = this.watches.get(id);
    if (watch === undefined) return;
    this.watches.delete(id);
    this.hub.cancel(watch.watcher!);
    this.outlet.write(notice(this.hub.currentRevision, id, { canceled: true }));
  }

  /** Every watch by its id, with what it covers; for whoever decides who may watch what. */
  visit(visit: (id: bigint, key: string, end: string) => void): void {
    for (const [id, { watcher }] of [...this.watches])
      if (watcher !== undefined && watcher.state !== 'compacted')
        visit(id, watcher.request.key, watcher.request.end);
  }

  /** Ends a watch whose client may not have it any more. Whatever was applied until now may have been told before. */
  revoke(id: bigint, cancelReason: string): void {
    const watch = this.watches.get(id);
    if (watch === undefined) return;
    this.watches.delete(id);
    this.hub.cancel(watch.watcher!);
    this.outlet.write(notice(this.hub.currentRevision, id, { canceled: true, cancelReason }));
  }

  /** Answers only if every watch is synced and none waits for a future revision. */
  requestProgress(): void {
    const watchers: Watcher[] = [];
    for (const { watcher } of this.watches.values()) {
      if (watcher !== undefined && watcher.state !== 'compacted') watchers.push(watcher);
    }
    if (watchers.length === 0 || !this.outlet.writable()) return;
    const revision = this.hub.progressRevision(watchers);
    if (revision !== undefined) this.outlet.write(notice(revision, NO_WATCH, {}));
  }

  /** Called at each progress interval: tells the watches that asked for it and had no event since the last one. */
  progressTick(): void {
    for (const watch of this.watches.values()) {
      if (!watch.progressNotify) continue;
      if (watch.quiet && this.outlet.writable()) {
        const revision = this.hub.progressRevision([watch.watcher!]);
        if (revision !== undefined) this.outlet.write(notice(revision, watch.id, {}));
      }
      watch.quiet = true;
    }
  }

  /** The stream is over; nothing is written. */
  close(): void {
    for (const { watcher } of this.watches.values()) this.hub.cancel(watcher!);
    this.watches.clear();
  }

  /** A watch that never was: both created and canceled. */
  private refuse(cancelReason: string): void {
    this.outlet.write(
      notice(this.hub.currentRevision, NO_WATCH, { created: true, canceled: true, cancelReason }),
    );
  }
}

/** One watch of the stream, as the hub's sink. */
class StreamWatch implements WatchSink {
  readonly id: bigint;
  readonly progressNotify: boolean;
  /** No events since the last progress interval. */
  quiet = true;
  watcher: Watcher | undefined = undefined;
  private readonly fragment: boolean;
  private readonly outlet: WatchOutlet;
  private readonly options: WatchStreamOptions;

  constructor(id: bigint, request: WatchCreate, outlet: WatchOutlet, options: WatchStreamOptions) {
    this.id = id;
    this.progressNotify = request.progressNotify;
    this.fragment = request.fragment;
    this.outlet = outlet;
    this.options = options;
  }

  writable(): boolean {
    return this.outlet.writable();
  }

  offer(batch: WatchBatch): boolean {
    if (!this.outlet.writable()) return false;
    this.quiet = false;
    if (this.fragment && batch.events.length > 1) this.writeFragments(batch);
    else this.outlet.write(this.response(batch, false));
    return true;
  }

  /** As in etcd the header then has no revision, and no reason is given. */
  compacted(compactRevision: number): void {
    this.outlet.write(notice(0, this.id, { canceled: true, compactRevision }));
  }

  private writeFragments(batch: WatchBatch): void {
    const { events, revision, withPrevious } = batch;
    const fixed = this.options.headerBytes(revision) + idFieldBytes(this.id);
    const sizes = events.map((event) => eventFieldBytes(event, withPrevious));
    const ends = fragmentEnds(fixed, sizes, this.options.fragmentBytes);
    let start = 0;
    for (const end of ends) {
      const piece =
        ends.length === 1 ? batch : new WatchBatch(revision, events.slice(start, end), withPrevious);
      this.outlet.write(this.response(piece, end < events.length));
      start = end;
    }
  }

  private response(batch: WatchBatch, fragment: boolean): WatchResponse {
    return {
      revision: batch.revision,
      watchId: this.id,
      created: false,
      canceled: false,
      compactRevision: 0,
      cancelReason: '',
      fragment,
      batch,
    };
  }
}

function notice(
  revision: number,
  watchId: bigint,
  fields: Partial<Pick<WatchResponse, 'created' | 'canceled' | 'compactRevision' | 'cancelReason'>>,
): WatchResponse {
  return {
    revision,
    watchId,
    created: fields.created ?? false,
    canceled: fields.canceled ?? false,
    compactRevision: fields.compactRevision ?? 0,
    cancelReason: fields.cancelReason ?? '',
    fragment: false,
    batch: undefined,
  };
}

/** Of field watch_id, an int64 that is left out when 0. */
function idFieldBytes(id: bigint): number {
  if (id === 0n) return 0;
  if (id < 0n) return 11;
  return id <= BigInt(Number.MAX_SAFE_INTEGER) ? 1 + sizeVarint(Number(id)) : id < 1n << 56n ? 9 : 10;
}
