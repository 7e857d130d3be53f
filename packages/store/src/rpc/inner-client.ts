/**
 * The member as a client of itself, for services that are recipes over the others (lock, election): the same handlers
 * in process, with the caller's token and certificate, for as long as the caller waits. What goes wrong inside leaves
 * as etcd's in-process client lets it: the text, without its code.
 */
import { etcdserverpb, mvccpb, services } from '@keelson/proto';
import {
  Metadata,
  RpcError,
  StatusCode,
  type CallContext,
  type CallOptions,
  type Channel,
  type InProcessChannel,
} from '@keelson/rpc';
import { originOf, setOrigin } from '../audit/origin.ts';

const { RangeRequest, WatchCreateRequest, WatchRequest } = etcdserverpb;

/** Seconds of the lease that is granted to a caller who brings none (etcd's session). */
const SESSION_TTL_SECONDS = 60;
/** What tells who calls; the rest of the caller's metadata was for the outer call. */
const IDENTITY_KEYS: readonly string[] = ['token', 'authorization', 'grpcgateway-accept'];

/** A watched key's changes. */
export interface WatchedEvents {
  readonly header: etcdserverpb.ResponseHeader | undefined;
  readonly events: readonly mvccpb.Event[];
}

export class InnerClient {
  private readonly channel: Channel;
  private readonly metadata: Metadata;
  private readonly abort = new AbortController();

  constructor(channel: InProcessChannel, call: CallContext) {
    this.channel = channel.onBehalfOf(call.peerCertificate);
    this.metadata = new Metadata();
    for (const key of IDENTITY_KEYS)
      for (const value of call.metadata.all(key)) this.metadata.addReceived(key, value);
    setOrigin(this.metadata, { remote: originOf(call).remote, via: call.path });
    call.onCancel(() => this.abort.abort());
  }

  /** The caller is gone. */
  get cancelled(): boolean {
    return this.abort.signal.aborted;
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** @throws RpcError */
  range(request: Partial<etcdserverpb.RangeRequest>): Promise<etcdserverpb.RangeResponse> {
    return this.outward(
      this.channel.unary(services.KV.methods.range, new RangeRequest(request), this.options()),
    );
  }

  /** @param cleansUp done for a caller who may be gone. @throws RpcError */
  txn(request: etcdserverpb.TxnRequest, cleansUp = false): Promise<etcdserverpb.TxnResponse> {
    return this.outward(this.channel.unary(services.KV.methods.txn, request, this.options(cleansUp)));
  }

  /** @param cleansUp as for txn(). @throws RpcError */
  delete(key: Buffer, cleansUp = false): Promise<etcdserverpb.DeleteRangeResponse> {
    const request = new etcdserverpb.DeleteRangeRequest({ key });
    return this.outward(this.channel.unary(services.KV.methods.deleteRange, request, this.options(cleansUp)));
  }

  /** The lease of a session: the caller's, or a new one when it is 0. @throws RpcError */
  async session(lease: bigint): Promise<bigint> {
    if (lease !== 0n) return lease;
    const request = new etcdserverpb.LeaseGrantRequest({ TTL: SESSION_TTL_SECONDS });
    const granted = await this.outward(
      this.channel.unary(services.Lease.methods.leaseGrant, request, this.options()),
    );
    return granted.ID;
  }

  /**
   * Watches a key, or a range, from a revision on, until `see` says it has seen enough. Nothing more comes while a
   * promise of it is open.
   * @throws RpcError when the watch ends before: the past is compacted, or the caller gone
   */
  watch(
    what: { readonly key: Buffer; readonly rangeEnd?: Buffer; readonly startRevision: number },
    see: (events: WatchedEvents) => 'more' | 'enough' | Promise<'more'>,
  ): Promise<void> {
    const stream = this.channel.bidi(services.Watch.methods.watch, this.options());
    return new Promise((resolve, reject) => {
      let failure: RpcError | undefined;
      let enough = false;
      stream.onMessage((response) => {
        if (enough || failure !== undefined) return;
        if (response.canceled) {
          const compacted = response.compactRevision > 0;
          const text = compacted ? COMPACTED_TEXT : response.cancelReason || 'etcdserver: watch canceled';
          failure = new RpcError(StatusCode.Unknown, text);
        } else if (response.events.length > 0) {
          const seen = see(response);
          enough = seen === 'enough';
          if (seen instanceof Promise) {
            stream.pause();
            void seen.then(() => stream.resume());
          }
        }
        if (enough || failure !== undefined) stream.cancel();
      });
      stream.onEnd((error) => {
        if (enough) resolve();
        else
          reject(
            failure ?? (error === undefined ? new RpcError(StatusCode.Unknown, LOST_TEXT) : outer(error)),
          );
      });
      stream.write(new WatchRequest({ createRequest: new WatchCreateRequest(what) }));
    });
  }

  private async outward<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw error instanceof RpcError ? outer(error) : error;
    }
  }

  private options(detached = false): CallOptions {
    return detached ? { metadata: this.metadata } : { metadata: this.metadata, signal: this.abort.signal };
  }
}

const COMPACTED_TEXT = 'etcdserver: mvcc: required revision has been compacted';
const LOST_TEXT = 'lost watcher waiting for delete';

/** The end of a call keeps its code; every other one is Unknown outside. */
function outer(error: RpcError): RpcError {
  const ended = error.code === StatusCode.Cancelled || error.code === StatusCode.DeadlineExceeded;
  return ended ? error : new RpcError(StatusCode.Unknown, error.message);
}

/** The keys below a name: what a prefix watch or range covers. */
export function below(name: Buffer): { readonly key: Buffer; readonly rangeEnd: Buffer } {
  const key = Buffer.concat([name, SLASH]);
  const rangeEnd = Buffer.from(key);
  // It ends in a slash, which has a successor.
  rangeEnd[rangeEnd.length - 1]++;
  return { key, rangeEnd };
}

/** Whose turn it is: a session's key below a name. */
export function sessionKey(name: Buffer, lease: bigint): Buffer {
  return Buffer.concat([name, SLASH, Buffer.from(lease.toString(16), 'latin1')]);
}

const SLASH = Buffer.from('/');

/** Whether a key was created at a revision; 0: whether it is absent. */
export function createdAt(key: Buffer, createRevision: number): etcdserverpb.Compare {
  const { CompareResult, CompareTarget } = etcdserverpb;
  return new etcdserverpb.Compare({
    result: CompareResult.EQUAL,
    target: CompareTarget.CREATE,
    key,
    createRevision,
  });
}

/** The oldest key below a name. */
export function oldestBelow(name: Buffer): etcdserverpb.RangeRequest {
  return new RangeRequest({
    ...below(name),
    sortOrder: etcdserverpb.SortOrder.ASCEND,
    sortTarget: etcdserverpb.SortTarget.CREATE,
    limit: 1,
  });
}

/**
 * Resolves when no key below a name is left that was created at or before a revision. Waits for one key at a time,
 * the youngest of them, so that a queue of thousands wakes one waiter a change.
 * @throws RpcError
 */
export async function waitForDeletes(
  client: InnerClient,
  name: Buffer,
  createRevisionMax: number,
): Promise<void> {
  const range = below(name);
  for (;;) {
    const found = await client.range({
      ...range,
      sortOrder: etcdserverpb.SortOrder.DESCEND,
      sortTarget: etcdserverpb.SortTarget.CREATE,
      limit: 1,
      maxCreateRevision: createRevisionMax,
    });
    const youngest = found.kvs[0];
    if (youngest === undefined) return;
    const startRevision = found.header?.revision ?? 0;
    await client.watch({ key: youngest.key, startRevision }, ({ events }) =>
      events.some((event) => event.type === mvccpb.EventType.DELETE) ? 'enough' : 'more',
    );
  }
}
