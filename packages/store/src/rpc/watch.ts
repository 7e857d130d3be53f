/**
 * The Watch service: one bidirectional stream, many watchers. Requests go to the stream's WatchStream as
 * they come; responses leave as the client takes them, their events encoded once for all watchers.
 */
import { keyFromBytes } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import type { CallContext, DuplexStream, MethodTable, RpcError } from '@keelson/rpc';
import type { Identity } from '../auth/identity.ts';
import type { Need } from '../auth/needs.ts';
import type { Replica } from '../consensus/replica.ts';
import { StoreError } from '../errors.ts';
import type { Access } from './access.ts';
import type { EndableStream, RequireLeader } from './require-leader.ts';
import { rpcErrorOf, statusText, toRpcError } from './status.ts';
import { WatchEncoder } from './watch-encoder.ts';
import { WatchStream, type WatchOutlet, type WatchResponse } from '../watch/watch-stream.ts';

const { FilterType } = etcdserverpb;

export interface WatchOptions {
  /** A response beyond it is told in parts to who asked for that. */
  readonly fragmentBytes: number;
  /** Watchers one stream may have; beyond it a create is refused. */
  readonly watchersPerStreamMax: number;
}

/** All open watch streams of a member, for what happens by the clock and at the end. */
export class WatchService {
  private readonly streams = new Set<ClientWatch>();
  private readonly replica: Replica;
  private readonly access: Access;
  private readonly requireLeader: RequireLeader;
  private readonly options: WatchOptions;

  constructor(replica: Replica, access: Access, requireLeader: RequireLeader, options: WatchOptions) {
    this.replica = replica;
    this.access = access;
    this.requireLeader = requireLeader;
    this.options = options;
  }

  get streamCount(): number {
    return this.streams.size;
  }

  register(table: MethodTable): void {
    table.bidi(services.Watch.methods.watch, (stream) => {
      const watch = new ClientWatch(this.replica, this.access, stream, this.options, () =>
        this.streams.delete(watch),
      );
      this.streams.add(watch);
      this.requireLeader.add(watch);
    });
  }

  /** One progress interval has passed. */
  progressTick(): void {
    for (const stream of this.streams) stream.progressTick();
  }

  /**
   * Users or roles have changed: ends the watches that would not be allowed any more (W14: within a second). Every
   * stream is looked at, so the caller gathers changes that come together.
   */
  authChanged(): void {
    for (const stream of this.streams) stream.authChanged();
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
  private readonly access: Access;
  private readonly stream: Stream;
  private readonly options: WatchOptions;
  /** Who was last seen to call; the token of a stream is always the same. */
  private identity: Identity | undefined = undefined;
  private readonly watches: WatchStream;
  private readonly encoder: WatchEncoder;
  private readonly onOver: () => void;
  private blocked = false;
  private over = false;

  constructor(replica: Replica, access: Access, stream: Stream, options: WatchOptions, onOver: () => void) {
    this.replica = replica;
    this.access = access;
    this.stream = stream;
    this.options = options;
    this.onOver = onOver;
    const encoder = new WatchEncoder(replica);
    this.encoder = encoder;
    this.watches = new WatchStream(replica.hub, this, {
      fragmentBytes: options.fragmentBytes,
      headerBytes: (revision) => encoder.headerBytes(revision),
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
    if (this.stream.writeEncoded(this.encoder.encode(response))) return;
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

  authChanged(): void {
    // Root may watch everything, and such streams have the most watches.
    if (this.replica.state.auth.isRoot(this.identity)) return;
    this.watches.visit((id, key, end) => {
      try {
        this.access.still(this.identity, [{ kind: 'read', key, end }]);
      } catch (error) {
        this.watches.revoke(id, reasonOf(error));
      }
    });
  }

  private take(request: etcdserverpb.WatchRequest): void {
    if (request.createRequest !== undefined) this.ask(request.createRequest);
    else if (request.cancelRequest !== undefined) this.watches.cancel(request.cancelRequest.watchId);
    else if (request.progressRequest !== undefined) this.watches.requestProgress();
  }

  /** Creates the watch if its caller may have it. Requests behind it wait, so that answers keep their order. */
  private ask(request: etcdserverpb.WatchCreateRequest): void {
    const full = this.watches.size >= this.options.watchersPerStreamMax;
    const denied = full ? 'etcdserver: too many watchers on the stream' : '';
    // What is watched is what is asked about: an empty key stands for the first one, an end is taken as it came.
    const key = request.key.length === 0 ? '\0' : keyFromBytes(request.key);
    const end = keyFromBytes(request.rangeEnd);
    if (!this.access.on || full) {
      this.create(request, key, end, denied);
      return;
    }
    const need: Need = { kind: 'read', key, end };
    const create = (identity: Identity | undefined): void => {
      this.identity = identity;
      if (!this.over) this.create(request, key, end, '');
    };
    this.stream.pause();
    void this.access
      .read(this.stream.call, () => [need], create)
      .catch((error: unknown) => {
        const reason = reasonOf(error);
        if (!this.over) this.create(request, key, end, reason);
      })
      .then(() => this.stream.resume());
  }

  private create(
    request: etcdserverpb.WatchCreateRequest,
    key: string,
    rangeEnd: string,
    denied: string,
  ): void {
    this.watches.create(
      {
        key,
        rangeEnd,
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
}

/** Why a watch is refused or ended, in etcd's form: the text of the status. @throws what is no operating error */
function reasonOf(error: unknown): string {
  if (!(error instanceof StoreError)) throw error;
  return statusText(toRpcError(error));
}
