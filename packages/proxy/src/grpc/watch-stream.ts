/**
 * One client's watch stream: creates, cancels and asks in the order the client did, answers in that order, and never
 * holds more than a bounded number of bytes for a client that does not read. A watcher that would is taken off its
 * broadcast and goes on from its place once the client has read: late, but without a gap. What the original ignores
 * (ids the client chose, fragments, requests for progress) is served as etcd itself does.
 * (etcd: grpcproxy/watch.go, watcher.go.)
 */
import { Ring } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type DuplexStream } from '@keelson/rpc';
import type { WatchedRange } from './broadcast.ts';
import type { Leader } from './leader.ts';
import type { Namespace } from './namespace.ts';
import { raw, requiresLeader, tokenOf } from './raw.ts';
import { reasonText } from './trunk.ts';
import type { Upstream } from './upstream.ts';
import type { WatchHub } from './watch-hub.ts';
import { NO_ID, Watcher, type WatcherHost } from './watcher.ts';

const RANGE = raw(services.KV.methods.range);

/** What may wait for a client that does not read, in responses (the original's channel) and in bytes. */
export const QUEUED_MAX = 1_024;
export const QUEUED_BYTES_MAX = 4 * 1024 * 1024;
/** Requests that wait for those before them; then the client is not read from. */
const REQUESTS_MAX = 1_024;
/** Watches of one stream; the original has no bound. */
const WATCHERS_MAX = 100_000;

const NO_LEADER = 'etcdserver: no leader';
const FROM_KEY = Buffer.of(0);

export interface WatchStreamParts {
  readonly hub: WatchHub;
  readonly upstream: Upstream;
  readonly namespace: Namespace;
  readonly leader: Leader;
  readonly counters: WatchCounters;
  /** Every stream that is served now. */
  readonly open: Set<WatchStream>;
}

export interface WatchCounters {
  /** Responses and bytes that wait for clients. */
  queued: number;
  queuedBytes: number;
  /** Watchers that wait for their client to read. */
  parked: number;
  parkedTotal: number;
}

type Stream = DuplexStream<Buffer, Buffer>;

/** Serves a client's stream. */
export function serveWatch(stream: Stream, parts: WatchStreamParts): void {
  new WatchStream(stream, parts).begin();
}

export class WatchStream implements WatcherHost {
  readonly token: string;
  readonly parts: WatchStreamParts;
  private readonly stream: Stream;
  private readonly watchers = new Map<bigint, Watcher>();
  private readonly requests = new Ring<etcdserverpb.WatchRequest>();
  private readonly queue = new Ring<Buffer>();
  private readonly parked = new Set<Watcher>();
  private queuedBytes = 0;
  private nextId = 0n;
  private working = false;
  private held = false;
  private blocked = false;
  private over = false;
  /** The client has read, or is gone. */
  private roomMade: () => void = () => {};
  private stopListening: () => void = () => {};

  constructor(stream: Stream, parts: WatchStreamParts) {
    this.stream = stream;
    this.parts = parts;
    this.token = tokenOf(stream.call);
  }

  begin(): void {
    const { stream } = this;
    const { leader, open } = this.parts;
    if (requiresLeader(stream.call)) {
      if (leader.lost) {
        stream.fail(new RpcError(StatusCode.Unavailable, NO_LEADER));
        return;
      }
      this.stopListening = leader.onLost(() => this.fail(new RpcError(StatusCode.Unavailable, NO_LEADER)));
    }
    open.add(this);
    stream.onCancel(() => this.close());
    stream.onDrain(() => this.drain());
    // A client that has said all it wants goes on being told, as by etcd.
    stream.onHalfClose(() => {});
    stream.onMessage((message) => this.take(message));
  }

  send(bytes: Buffer): void {
    if (this.over) return;
    if (!this.blocked) {
      if (!this.stream.writeEncoded(bytes)) this.blocked = true;
      return;
    }
    this.queue.push(bytes);
    this.queuedBytes += bytes.length;
    this.parts.counters.queued++;
    this.parts.counters.queuedBytes += bytes.length;
  }

  sendResponse(response: Partial<etcdserverpb.WatchResponse>): void {
    this.send(etcdserverpb.encodeWatchResponse(new etcdserverpb.WatchResponse(response)));
  }

  hasRoom(): boolean {
    return this.queue.length < QUEUED_MAX && this.queuedBytes < QUEUED_BYTES_MAX;
  }

  feed(watcher: Watcher): void {
    this.parts.hub.attach(watcher, watcher.range);
  }

  park(watcher: Watcher): void {
    this.parts.hub.detach(watcher);
    this.parked.add(watcher);
    this.parts.counters.parked++;
    this.parts.counters.parkedTotal++;
  }

  forget(watcher: Watcher): void {
    this.watchers.delete(watcher.id);
    if (this.parked.delete(watcher)) this.parts.counters.parked--;
  }

  private take(message: Buffer): void {
    let request: etcdserverpb.WatchRequest;
    try {
      request = etcdserverpb.decodeWatchRequest(message);
    } catch {
      this.fail(new RpcError(StatusCode.Internal, 'grpc: error unmarshalling request'));
      return;
    }
    this.requests.push(request);
    if (this.requests.length >= REQUESTS_MAX && !this.held) {
      this.held = true;
      this.stream.pause();
    }
    if (!this.working) void this.work();
  }

  /**
   * One request after the other: a creation waits for the cluster, and what is behind it for the creation. All wait for
   * a client that does not read what it is answered.
   */
  private async work(): Promise<void> {
    this.working = true;
    try {
      for (let request = this.requests.shift(); request !== undefined; request = this.requests.shift()) {
        while (!this.over && !this.hasRoom()) await this.room();
        if (this.over) return;
        const { createRequest, cancelRequest, progressRequest } = request;
        if (createRequest !== undefined) await this.create(createRequest);
        else if (cancelRequest !== undefined) this.cancel(cancelRequest.watchId);
        else if (progressRequest !== undefined) this.progress();
        if (this.held && this.requests.length < REQUESTS_MAX / 2) {
          this.held = false;
          this.stream.resume();
        }
      }
    } finally {
      this.working = false;
    }
  }

  private room(): Promise<void> {
    return new Promise((resolve) => {
      this.roomMade = resolve;
    });
  }

  private async create(request: etcdserverpb.WatchCreateRequest): Promise<void> {
    const range = rangeOf(request);
    const refusal = this.refusalOf(request, range);
    if (refusal !== undefined) {
      this.refuse(refusal);
      return;
    }
    let header: etcdserverpb.ResponseHeader | undefined;
    try {
      header = await this.permitted(range);
    } catch (reason) {
      if (!(reason instanceof RpcError)) throw reason;
      // The cluster is away: the client starts over where it was, which a refusal would not let it.
      if (reason.code === StatusCode.Unavailable) this.fail(reason);
      else this.refuse(reasonText(reason));
      return;
    }
    if (this.over) return;
    const startRevision = request.startRevision > 0 ? request.startRevision : (header?.revision ?? 0) + 1;
    const id = request.watchId === 0n ? this.freeId() : request.watchId;
    const watcher = new Watcher(this, id, range, startRevision, request);
    this.watchers.set(id, watcher);
    await watcher.begin(header);
  }

  private refusalOf(
    request: etcdserverpb.WatchCreateRequest,
    { key, end }: WatchedRange,
  ): string | undefined {
    const everything = end.length === 1 && end[0] === 0;
    if (end.length > 0 && !everything && key.compare(end) >= 0) return 'mvcc: watcher range is empty';
    if (request.watchId !== 0n && this.watchers.has(request.watchId))
      return 'mvcc: duplicate watch ID provided on the WatchStream';
    if (this.watchers.size >= WATCHERS_MAX) return 'etcdserver: too many watchers on the stream';
    return undefined;
  }

  private refuse(cancelReason: string): void {
    this.sendResponse({
      header: new etcdserverpb.ResponseHeader(),
      watchId: NO_ID,
      created: true,
      canceled: true,
      cancelReason,
    });
  }

  /**
   * Whether the caller may read the range: the watch itself may be somebody else's. Its answer also says what "from
   * now on" means at the member that is asked.
   * @throws RpcError the cluster's refusal
   */
  private async permitted({ key, end }: WatchedRange): Promise<etcdserverpb.ResponseHeader | undefined> {
    const { namespace, upstream } = this.parts;
    const request = new etcdserverpb.RangeRequest({
      key,
      rangeEnd: end,
      serializable: true,
      countOnly: true,
      limit: 1,
    });
    if (!namespace.whole) namespace.addToRange(request);
    const answer = await upstream.forward(
      RANGE,
      etcdserverpb.encodeRangeRequest(request),
      'read',
      this.stream.call,
    );
    return etcdserverpb.decodeRangeResponse(answer).header;
  }

  private freeId(): bigint {
    while (this.watchers.has(this.nextId)) this.nextId++;
    return this.nextId++;
  }

  private cancel(id: bigint): void {
    const watcher = this.watchers.get(id);
    if (watcher === undefined) return;
    this.parts.hub.detach(watcher);
    this.forget(watcher);
    watcher.end();
    this.sendResponse({
      header: watcher.lastHeader ?? new etcdserverpb.ResponseHeader(),
      watchId: id,
      canceled: true,
    });
  }

  private progress(): void {
    // A watcher that lags behind makes any answer untrue; clients ask again.
    if (this.watchers.size === 0 || this.parked.size > 0) return;
    this.parts.hub.requestProgress(
      () => this.watchers.values(),
      (header) => {
        if (!this.over) this.sendResponse({ header, watchId: NO_ID });
      },
    );
  }

  private drain(): void {
    this.blocked = false;
    const { counters } = this.parts;
    while (!this.blocked) {
      const bytes = this.queue.shift();
      if (bytes === undefined) break;
      this.queuedBytes -= bytes.length;
      counters.queued--;
      counters.queuedBytes -= bytes.length;
      if (!this.stream.writeEncoded(bytes)) this.blocked = true;
    }
    this.roomMade();
    if (this.queue.length > 0) return;
    const waiting = [...this.parked];
    this.parked.clear();
    counters.parked -= waiting.length;
    for (const watcher of waiting) this.feed(watcher);
  }

  /** Ends it; its client may start over where it was. */
  fail(error: RpcError): void {
    if (this.over) return;
    this.close();
    this.stream.fail(error);
  }

  private close(): void {
    if (this.over) return;
    this.over = true;
    this.stopListening();
    const { hub, counters, open } = this.parts;
    for (const watcher of this.watchers.values()) {
      hub.detach(watcher);
      watcher.end();
    }
    open.delete(this);
    counters.queued -= this.queue.length;
    counters.queuedBytes -= this.queuedBytes;
    counters.parked -= this.parked.size;
    this.watchers.clear();
    this.parked.clear();
    this.queue.clear();
    this.requests.clear();
    this.roomMade();
  }
}

/** As etcd reads it: no key is the first one. */
function rangeOf({ key, rangeEnd }: etcdserverpb.WatchCreateRequest): WatchedRange {
  // Kept for as long as the watch: not as a view of what else came in the same read.
  return { key: key.length === 0 ? FROM_KEY : Buffer.from(key), end: Buffer.from(rangeEnd) };
}
