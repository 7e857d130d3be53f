/**
 * One client's watch: where it is, what it wants to see, and what its client has been told. It is fed by a broadcast and
 * writes to its client's stream; when that has no room it leaves its place and is fed again later. (etcd:
 * grpcproxy/watcher.go.)
 */
import { etcdserverpb } from '@keelson/proto';
import type { Receiver, WatchedRange } from './broadcast.ts';
import { withWatchId, type View, type WatchBatch } from './watch-batch.ts';

/** The id of answers that are about no watch. */
export const NO_ID = -1n;
/** A larger response is cut for clients that asked for it: etcd's limit of a request and its allowance. */
const FRAGMENT_BYTES = 1.5 * 1024 * 1024 + 512 * 1024;

/** The stream a watch belongs to. */
export interface WatcherHost {
  readonly token: string;
  /** Sends, or keeps until the client reads. */
  send(bytes: Buffer): void;
  sendResponse(response: Partial<etcdserverpb.WatchResponse>): void;
  /** Whether events may be sent or kept; if not, the watcher goes on later. */
  hasRoom(): boolean;
  /** From its place on. */
  feed(watcher: Watcher): void;
  /** No more, until the client has read. */
  park(watcher: Watcher): void;
  /** It is over. */
  forget(watcher: Watcher): void;
}

export class Watcher implements Receiver {
  readonly id: bigint;
  readonly range: WatchedRange;
  readonly token: string;
  nextRevision: number;
  /** The last one its client has seen. */
  lastHeader: etcdserverpb.ResponseHeader | undefined = undefined;
  private readonly stream: WatcherHost;
  private readonly view: View;
  private readonly progressNotify: boolean;
  private readonly fragment: boolean;
  private created: (() => void) | undefined = undefined;
  private wasCreated = false;

  constructor(
    stream: WatcherHost,
    id: bigint,
    range: WatchedRange,
    startRevision: number,
    request: etcdserverpb.WatchCreateRequest,
  ) {
    this.stream = stream;
    this.id = id;
    this.range = range;
    this.token = stream.token;
    this.nextRevision = startRevision;
    this.view = {
      prevKv: request.prevKv,
      noPut: request.filters.includes(etcdserverpb.FilterType.NOPUT),
      noDelete: request.filters.includes(etcdserverpb.FilterType.NODELETE),
    };
    this.progressNotify = request.progressNotify;
    this.fragment = request.fragment;
  }

  /** Resolves once the client has its answer. */
  async begin(header: etcdserverpb.ResponseHeader | undefined): Promise<void> {
    this.lastHeader = header;
    await new Promise<void>((resolve) => {
      this.created = resolve;
      this.stream.feed(this);
    });
  }

  /** Nobody waits for it any more. */
  end(): void {
    this.created?.();
    this.created = undefined;
  }

  confirmed(): void {
    if (this.wasCreated) return;
    this.wasCreated = true;
    this.stream.sendResponse({ header: this.lastHeader, watchId: this.id, created: true });
    this.end();
  }

  events(batch: WatchBatch): void {
    if (batch.last < this.nextRevision) return;
    if (!this.stream.hasRoom()) {
      this.stream.park(this);
      return;
    }
    const body = batch.body(this.view, this.nextRevision);
    if (body !== undefined) {
      if (this.fragment && body.length > FRAGMENT_BYTES) {
        for (const piece of batch.pieces(this.view, this.nextRevision, FRAGMENT_BYTES))
          this.stream.send(withWatchId(piece, this.id));
      } else this.stream.send(withWatchId(body, this.id));
      this.lastHeader = batch.header;
    }
    this.nextRevision = batch.last + 1;
  }

  progress(header: etcdserverpb.ResponseHeader | undefined): void {
    if (!this.progressNotify || !this.stream.hasRoom()) return;
    // Before its beginning there is nothing to tell.
    if ((header?.revision ?? 0) + 1 < this.nextRevision) return;
    this.lastHeader = header;
    this.stream.sendResponse({ header, watchId: this.id });
  }

  cancelled(response: etcdserverpb.WatchResponse): void {
    this.stream.forget(this);
    const refused = !this.wasCreated;
    this.stream.sendResponse({
      header: response.header ?? new etcdserverpb.ResponseHeader(),
      watchId: refused ? NO_ID : this.id,
      created: refused,
      canceled: true,
      compactRevision: response.compactRevision,
      cancelReason: response.cancelReason,
    });
    this.end();
  }
}
