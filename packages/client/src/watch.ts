/**
 * Watching: all watchers of a client on one stream (two, when some require a leader). When the stream is
 * lost it is opened again, on another member if need be, and every watcher goes on after the last revision
 * it delivered; a watcher ends only when it is cancelled, refused, or asks for what is compacted.
 */
import { etcdserverpb, services } from '@keelson/proto';
import { StatusCode, type ClientStream } from '@keelson/rpc';
import { rangeOf, type Bytes } from './bytes.ts';
import type { Endpoint } from './endpoints.ts';
import {
  EtcdError,
  WatchCompactedError,
  clientClosed,
  noEndpoint,
  parseGoError,
  toEtcdError,
} from './errors.ts';
import { pauseMs, verdict, type Caller } from './retry.ts';
import { Watcher, type WatchHost, type WatchOptions } from './watcher.ts';

/** etcd's two streams of a client: with and without the demand for a leader. */
export class Watch {
  private readonly caller: Caller;
  private readonly plain: WatchStream;
  private readonly leading: WatchStream;

  constructor(caller: Caller) {
    this.caller = caller;
    this.plain = new WatchStream(caller, false);
    this.leading = new WatchStream(caller, true);
  }

  /**
   * Watches a key or range. Iterate the result or give it a listener.
   * @throws TypeError for a range that makes no sense
   */
  create(key: Bytes, options: WatchOptions = {}): Watcher {
    rangeOf(key, options);
    const stream = options.requireLeader === true ? this.leading : this.plain;
    const watcher = new Watcher(key, options, stream);
    if (this.caller.closed) watcher.finish(clientClosed());
    else stream.add(watcher);
    return watcher;
  }

  /** Asks how far the server got; every watcher gets a progress batch once all of them are up to date. */
  requestProgress(): void {
    this.plain.requestProgress();
    this.leading.requestProgress();
  }

  close(): void {
    this.plain.close();
    this.leading.close();
  }
}

type Stream = ClientStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'opening' }
  | {
      readonly kind: 'open';
      readonly stream: Stream;
      readonly endpoint: Endpoint;
      readonly token: string | undefined;
    }
  | { readonly kind: 'closed' };

class WatchStream implements WatchHost {
  private readonly caller: Caller;
  private readonly requireLeader: boolean;
  /** Every watcher that is not over, with its id on the current stream (0: not asked for yet). */
  private readonly watchers = new Map<Watcher, bigint>();
  private readonly byId = new Map<bigint, Watcher>();
  /** Ids whose creation was asked for and not answered: the server answers in order. */
  private asked: bigint[] = [];
  private nextId = 1n;
  /** Requests for progress on the current stream that have no answer; the server answers in order, or not at all. */
  private unanswered = 0;
  private attempt = 0;
  private state: State = { kind: 'idle' };

  constructor(caller: Caller, requireLeader: boolean) {
    this.caller = caller;
    this.requireLeader = requireLeader;
  }

  add(watcher: Watcher): void {
    this.watchers.set(watcher, 0n);
    if (this.state.kind === 'open') this.ask(this.state.stream, watcher);
    else if (this.state.kind === 'idle') void this.open();
  }

  cancel(watcher: Watcher): void {
    this.release(watcher);
    this.watchers.delete(watcher);
    if (this.watchers.size === 0 && this.state.kind === 'open') {
      const { stream } = this.state;
      this.reset({ kind: 'idle' });
      stream.cancel();
    }
  }

  park(watcher: Watcher): void {
    this.release(watcher);
  }

  unpark(watcher: Watcher): void {
    if (!this.watchers.has(watcher)) return;
    if (this.state.kind === 'open') this.ask(this.state.stream, watcher);
  }

  requestProgress(): void {
    if (this.state.kind !== 'open') return;
    this.unanswered++;
    this.state.stream.write(
      new etcdserverpb.WatchRequest({ progressRequest: new etcdserverpb.WatchProgressRequest() }),
    );
  }

  close(): void {
    const state = this.state;
    this.reset({ kind: 'closed' });
    if (state.kind === 'open') state.stream.cancel();
    this.finishAll(clientClosed());
  }

  /** Opens the stream, trying until it stands or a reason to stop is found. Never rejects. */
  private async open(): Promise<void> {
    this.state = { kind: 'opening' };
    while (this.watchers.size > 0 && this.state.kind === 'opening') {
      if (this.attempt > 0) await this.caller.wait(pauseMs(this.attempt, this.caller.prng));
      this.attempt++;
      try {
        const { endpoint, metadata, token } = await this.caller.forStream();
        // The state may have changed while we waited.
        if (this.isOver()) return;
        if (this.watchers.size === 0) break;
        if (this.requireLeader) metadata.set('hasleader', 'true');
        const stream = endpoint.channel.bidi(services.Watch.methods.watch, { metadata });
        this.state = { kind: 'open', stream, endpoint, token };
        stream.onEnd((reason) => this.lost(stream, toEtcdError(reason ?? noEndpoint(undefined))));
        stream.onMessage((response) => this.received(stream, response));
        for (const watcher of this.watchers.keys()) this.ask(stream, watcher);
        return;
      } catch (reason) {
        if (this.isOver()) return;
        const error = toEtcdError(reason);
        const next = verdict(error, 'read');
        if (next === 'give-up') {
          this.finishAll(error);
          break;
        }
      }
    }
    if (this.state.kind === 'opening') this.state = { kind: 'idle' };
  }

  private isOver(): boolean {
    return this.state.kind === 'closed';
  }

  /** Asks for a watcher on `stream`, from where it stopped. */
  private ask(stream: Stream, watcher: Watcher): void {
    const id = this.nextId++;
    const { options } = watcher;
    this.watchers.set(watcher, id);
    this.byId.set(id, watcher);
    this.asked.push(id);
    watcher.restarted(this.unanswered);
    const createRequest = new etcdserverpb.WatchCreateRequest({
      ...rangeOf(watcher.key, options),
      startRevision: watcher.nextRevision,
      progressNotify: options.progressNotify ?? false,
      prevKv: options.prevKv ?? false,
      fragment: options.fragment ?? true,
      watchId: id,
    });
    if (options.filter === 'no-put') createRequest.filters.push(etcdserverpb.FilterType.NOPUT);
    if (options.filter === 'no-delete') createRequest.filters.push(etcdserverpb.FilterType.NODELETE);
    stream.write(new etcdserverpb.WatchRequest({ createRequest }));
  }

  /** Stops a watcher on the server; what still comes for its id is nobody's. */
  private release(watcher: Watcher): void {
    const id = this.watchers.get(watcher);
    if (id === undefined || id === 0n) return;
    this.watchers.set(watcher, 0n);
    this.byId.delete(id);
    if (this.state.kind !== 'open') return;
    const cancelRequest = new etcdserverpb.WatchCancelRequest({ watchId: id });
    this.state.stream.write(new etcdserverpb.WatchRequest({ cancelRequest }));
  }

  private received(stream: Stream, response: etcdserverpb.WatchResponse): void {
    if (this.state.kind !== 'open' || this.state.stream !== stream) return;
    if (response.created) {
      this.answered(response);
      return;
    }
    if (response.canceled) {
      const watcher = this.byId.get(response.watchId);
      if (watcher !== undefined) this.refused(response.watchId, response);
      return;
    }
    if (response.watchId === -1n) {
      const revision = response.header?.revision ?? 0;
      this.unanswered = Math.max(0, this.unanswered - 1);
      for (const watcher of this.byId.values()) watcher.progressed(revision);
      return;
    }
    this.byId.get(response.watchId)?.received(response);
  }

  /** The answer to the oldest creation that was asked for: a refusal carries no id of its own. */
  private answered(response: etcdserverpb.WatchResponse): void {
    const id = this.asked.shift();
    if (id === undefined) return;
    this.attempt = 0;
    if (this.state.kind === 'open') this.caller.endpoints.succeeded(this.state.endpoint);
    if (response.canceled) this.refused(id, response);
    else this.byId.get(id)?.confirmed(response.header?.revision ?? 0);
  }

  /** The server ended one watcher. A stale token is worth another stream; anything else is the end of it. */
  private refused(id: bigint, response: etcdserverpb.WatchResponse): void {
    const watcher = this.byId.get(id);
    if (watcher === undefined) return;
    const error = refusalOf(response);
    if (verdict(error, 'read') === 'new-token' && this.state.kind === 'open') {
      const { stream } = this.state;
      this.lost(stream, error);
      stream.cancel();
      return;
    }
    this.byId.delete(id);
    this.watchers.delete(watcher);
    watcher.finish(error);
  }

  /** The stream is gone: start over, unless the reason would only repeat itself. */
  private lost(stream: Stream, error: EtcdError): void {
    if (this.state.kind !== 'open' || this.state.stream !== stream) return;
    const { endpoint, token } = this.state;
    this.reset({ kind: 'idle' });
    switch (verdict(error, 'read')) {
      case 'new-token':
        if (!this.caller.tokenRefused(token)) {
          this.finishAll(error);
          return;
        }
        break;
      case 'elsewhere':
        this.caller.endpoints.failed(endpoint);
        break;
      default:
        // A reset arrives as Internal; a server that stops cancels its streams.
        if (error.code !== StatusCode.Internal && error.code !== StatusCode.Cancelled) {
          this.finishAll(error);
          return;
        }
        this.caller.endpoints.failed(endpoint);
    }
    // A demand for a leader was answered: there is none. That is an answer, not a broken line.
    if (this.requireLeader && error.reason === 'NO_LEADER') {
      this.finishAll(error);
      return;
    }
    if (this.watchers.size > 0) void this.open();
  }

  private reset(state: State): void {
    this.state = state;
    this.byId.clear();
    this.asked = [];
    this.unanswered = 0;
    for (const watcher of this.watchers.keys()) this.watchers.set(watcher, 0n);
  }

  private finishAll(error: EtcdError): void {
    const ended = [...this.watchers.keys()];
    this.watchers.clear();
    this.byId.clear();
    for (const watcher of ended) watcher.finish(error);
  }
}

const COMPACTED = 'etcdserver: mvcc: required revision has been compacted';

function refusalOf(response: etcdserverpb.WatchResponse): EtcdError {
  if (response.compactRevision !== 0) return new WatchCompactedError(response.compactRevision);
  if (response.cancelReason === COMPACTED) return new WatchCompactedError(0);
  if (response.cancelReason === '') return new EtcdError(StatusCode.Cancelled, 'etcdserver: watch canceled');
  return parseGoError(response.cancelReason);
}
