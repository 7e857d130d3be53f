/**
 * The Watch service: one bidirectional stream, many watchers. Requests go to the stream's WatchStream as
 * they come; responses leave as the client takes them, their events encoded once for all watchers.
 */
import { keyFromBytes } from '@keelson/base';
import { etcdserverpb, services, sizeDelimited } from '@keelson/proto';
import type { CallContext, DuplexStream, MethodTable, RpcError } from '@keelson/rpc';
import type { Replica } from '../consensus/replica.ts';
import { receiveBytesMax } from '../limits.ts';
import type { EndableStream, RequireLeader } from './require-leader.ts';
import { rpcErrorOf } from './status.ts';
import { WatchStream, type WatchOutlet, type WatchResponse } from '../watch/watch-stream.ts';

const { FilterType } = etcdserverpb;

export interface WatchOptions {
  readonly requestBytesMax: number;
  /** Watchers one stream may have; beyond it a create is refused. */
  readonly watchersPerStreamMax: number;
}

/** All open watch streams of a member, for what happens by the clock and at the end. */
export class WatchService {
  private readonly streams = new Set<ClientWatch>();
  private readonly replica: Replica;
  private readonly requireLeader: RequireLeader;
  private readonly options: WatchOptions;

  constructor(replica: Replica, requireLeader: RequireLeader, options: WatchOptions) {
    this.replica = replica;
    this.requireLeader = requireLeader;
    this.options = options;
  }

  get streamCount(): number {
    return this.streams.size;
  }

  register(table: MethodTable): void {
    table.bidi(services.Watch.methods.watch, (stream) => {
      const watch = new ClientWatch(this.replica, stream, this.options, () => this.streams.delete(watch));
      this.streams.add(watch);
      this.requireLeader.add(watch);
    });
  }

  /** One progress interval has passed. */
  progressTick(): void {
    for (const stream of this.streams) stream.progressTick();
  }

  /** Ends every stream: the member stops. */
  stop(): void {
    const error = rpcErrorOf('STOPPED');
    for (const stream of this.streams) stream.fail(error);
  }
}

type Stream = DuplexStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

class ClientWatch implements WatchOutlet, EndableStream {
  private readonly replica: Replica;
  private readonly stream: Stream;
  private readonly options: WatchOptions;
  private readonly watches: WatchStream;
  private readonly onOver: () => void;
  private blocked = false;
  private over = false;

  constructor(replica: Replica, stream: Stream, options: WatchOptions, onOver: () => void) {
    this.replica = replica;
    this.stream = stream;
    this.options = options;
    this.onOver = onOver;
    this.watches = new WatchStream(replica.hub, this, {
      fragmentBytes: receiveBytesMax(options.requestBytesMax),
      headerBytes: (revision) => 1 + sizeDelimited(etcdserverpb.sizeResponseHeader(this.header(revision))),
    });
    stream.onMessage((request) => this.take(request));
    stream.onDrain(() => {
      this.blocked = false;
      replica.wakeWatchers();
    });
    // A client that has said all it wants goes on being told; only its going ends the stream (as in etcd).
    stream.onHalfClose(() => {});
    stream.onCancel(() => this.finish(() => {}));
  }

  writable(): boolean {
    return !this.blocked && !this.over;
  }

  write(response: WatchResponse): void {
    if (this.over) return;
    if (this.stream.writeEncoded(this.encode(response))) return;
    this.blocked = true;
    if (this.stream.closed) this.finish(() => {});
  }

  progressTick(): void {
    // A request that could not be read has ended the stream without a word.
    if (this.stream.closed) this.finish(() => {});
    else this.watches.progressTick();
  }

  get call(): CallContext {
    return this.stream.call;
  }

  get closed(): boolean {
    return this.over;
  }

  fail(error: RpcError): void {
    this.finish(() => this.stream.fail(error));
  }

  private take(request: etcdserverpb.WatchRequest): void {
    if (request.createRequest !== undefined) this.create(request.createRequest);
    else if (request.cancelRequest !== undefined) this.watches.cancel(request.cancelRequest.watchId);
    else if (request.progressRequest !== undefined) this.watches.requestProgress();
  }

  private create(request: etcdserverpb.WatchCreateRequest): void {
    const denied =
      this.watches.size >= this.options.watchersPerStreamMax
        ? 'etcdserver: too many watchers on the stream'
        : '';
    this.watches.create(
      {
        key: keyFromBytes(request.key),
        rangeEnd: keyFromBytes(request.rangeEnd),
        startRevision: request.startRevision,
        progressNotify: request.progressNotify,
        noPut: request.filters.includes(FilterType.NOPUT),
        noDelete: request.filters.includes(FilterType.NODELETE),
        prevKv: request.prevKv,
        watchId: request.watchId,
        fragment: request.fragment,
      },
      denied,
    );
    // A start in the past has history to catch up with.
    this.replica.wakeWatchers();
  }

  private finish(end: () => void): void {
    if (this.over) return;
    this.over = true;
    this.watches.close();
    this.onOver();
    end();
  }

  private header(revision: number): etcdserverpb.ResponseHeader {
    return new etcdserverpb.ResponseHeader({
      clusterId: this.replica.clusterId,
      memberId: this.replica.memberId,
      revision,
      raftTerm: this.replica.term,
    });
  }

  /** The fields of one watcher, then the events all share: events are the message's last field. */
  private encode(response: WatchResponse): Buffer {
    const head = etcdserverpb.encodeWatchResponse(
      new etcdserverpb.WatchResponse({
        header: this.header(response.revision),
        watchId: response.watchId,
        created: response.created,
        canceled: response.canceled,
        compactRevision: response.compactRevision,
        cancelReason: response.cancelReason,
        fragment: response.fragment,
      }),
    );
    return response.batch === undefined ? head : Buffer.concat([head, response.batch.encoded]);
  }
}
