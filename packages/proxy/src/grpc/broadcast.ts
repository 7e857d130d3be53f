/**
 * One watch upstream and the watchers it feeds. It knows how far it has come and puts pieces of a cut response
 * together; each receiver knows for itself what it has seen, so that one may join whose place lies ahead. Where it
 * runs is its trunk's business, who joins it the hub's. (etcd: grpcproxy/watch_broadcast.go.)
 */
import { etcdserverpb, type mvccpb } from '@keelson/proto';
import { WatchBatch, revisionOf } from './watch-batch.ts';

/** A watcher as it is fed; it is in one broadcast at a time. */
export interface Receiver {
  /** Events before this revision are nothing to it: seen, or from before its beginning. */
  readonly nextRevision: number;
  /** Who watches. */
  readonly token: string;
  /** The watch stands upstream; told again when it stands on another stream. */
  confirmed(): void;
  events(batch: WatchBatch): void;
  /** Nothing happened up to the header's revision. */
  progress(header: etcdserverpb.ResponseHeader | undefined): void;
  /** The cluster ended it, or would not begin it. */
  cancelled(response: etcdserverpb.WatchResponse): void;
}

/** A range as on the wire. */
export interface WatchedRange {
  readonly key: Buffer;
  readonly end: Buffer;
}

export class Broadcast {
  /** As clients name it. */
  readonly watched: WatchedRange;
  /** As it is named upstream. */
  readonly range: WatchedRange;
  /** Which group of the hub it belongs to. */
  readonly group: string;
  /** In whose name it runs. */
  readonly token: string;
  readonly receivers = new Set<Receiver>();
  /** The first revision that may still come; where a new stream begins. Signs of progress move it. */
  nextRevision: number;
  /** The same by events alone: early members of etcd 3.4 and 3.5 promise progress too soon. */
  place: number;
  /** It has caught up with the store: what happens from now on comes as it happens. */
  synced = false;
  /** Upstream has answered to its creation. */
  standing = false;
  /** Nobody wants it any more. */
  stopped = false;
  /** On the stream it runs on; undefined until upstream has answered there. */
  upstreamId: bigint | undefined = undefined;
  private delivered = 0;
  private pieces: mvccpb.Event[] = [];

  constructor(
    group: string,
    watched: WatchedRange,
    range: WatchedRange,
    startRevision: number,
    token: string,
  ) {
    this.group = group;
    this.watched = watched;
    this.range = range;
    this.nextRevision = startRevision;
    this.place = startRevision;
    this.token = token;
  }

  get createRequest(): etcdserverpb.WatchCreateRequest {
    return new etcdserverpb.WatchCreateRequest({
      key: this.range.key,
      rangeEnd: this.range.end,
      startRevision: this.nextRevision,
      // Anyone may join who wants them.
      progressNotify: true,
      prevKv: true,
      fragment: true,
    });
  }

  /** A new stream: pieces of a cut response come again. */
  restarted(): void {
    this.pieces = [];
    this.synced = false;
    this.upstreamId = undefined;
  }

  /** Upstream has begun it. @param revision the store's then */
  confirmed(revision: number): void {
    this.standing = true;
    if (this.nextRevision > revision) this.synced = true;
    for (const receiver of [...this.receivers]) receiver.confirmed();
  }

  /** @returns what was handed to the receivers; undefined when there were no events */
  received(response: etcdserverpb.WatchResponse): WatchBatch | undefined {
    const revision = response.header?.revision ?? 0;
    if (response.events.length === 0 && !response.fragment && this.pieces.length === 0) {
      // Upstream says so only of a watch that has caught up.
      this.nextRevision = Math.max(this.nextRevision, revision + 1);
      this.synced = true;
      for (const receiver of this.receivers) receiver.progress(response.header);
      return undefined;
    }
    for (const event of response.events) if (revisionOf(event) > this.delivered) this.pieces.push(event);
    if (response.fragment) return undefined;
    const events = this.pieces;
    this.pieces = [];
    if (events.length === 0) return undefined;
    const batch = new WatchBatch(response.header, events);
    this.delivered = batch.last;
    this.place = Math.max(this.place, batch.last + 1);
    this.nextRevision = Math.max(this.nextRevision, this.place);
    if (batch.last >= revision) this.synced = true;
    // A receiver that cannot take it leaves meanwhile.
    for (const receiver of this.receivers) receiver.events(batch);
    return batch;
  }
}
