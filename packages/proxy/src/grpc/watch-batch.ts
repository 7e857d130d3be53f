/**
 * What one upstream response brings to many watchers: encoded once for all who want the same of it (with or without
 * the values before, without puts or deletes), with only the watch's id put in front for each. Pure.
 */
import { assert } from '@keelson/base';
import { etcdserverpb, mvccpb } from '@keelson/proto';

/** What a watcher wants to see of the events in its range. */
export interface View {
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

const PUT = 0;

/** Field 2, varint. */
const WATCH_ID_TAG = 0x10;

/** Events of whole revisions, ascending; at least one. */
export class WatchBatch {
  readonly header: etcdserverpb.ResponseHeader | undefined;
  readonly events: readonly mvccpb.Event[];
  readonly last: number;
  /** By what is seen of it, for those who see it from the first event on. */
  private readonly encoded = new Map<number, Buffer | undefined>();

  constructor(header: etcdserverpb.ResponseHeader | undefined, events: readonly mvccpb.Event[]) {
    assert(events.length > 0, 'a batch without events');
    this.header = header;
    this.events = events;
    this.last = revisionOf(events[events.length - 1]);
  }

  /**
   * The response without its id; undefined when nothing of it is to be seen.
   * @param from revisions before this one were seen already
   */
  body(view: View, from: number): Buffer | undefined {
    if (revisionOf(this.events[0]) < from) return this.encode(this.seen(view, from));
    const key = (view.prevKv ? 1 : 0) + (view.noPut ? 2 : 0) + (view.noDelete ? 4 : 0);
    if (!this.encoded.has(key)) this.encoded.set(key, this.encode(this.seen(view, from)));
    return this.encoded.get(key);
  }

  /**
   * The same in pieces no larger than a number of bytes, as far as single events allow; every one but the last says
   * that more follows.
   */
  pieces(view: View, from: number, bytesMax: number): Buffer[] {
    const seen = this.seen(view, from);
    const pieces: Buffer[] = [];
    let piece: mvccpb.Event[] = [];
    let bytes = 0;
    for (const event of seen) {
      const size = mvccpb.sizeEvent(event);
      if (piece.length > 0 && bytes + size > bytesMax) {
        pieces.push(this.encodeEvents(piece, true));
        piece = [];
        bytes = 0;
      }
      piece.push(event);
      bytes += size;
    }
    pieces.push(this.encodeEvents(piece, false));
    return pieces;
  }

  private seen(view: View, from: number): readonly mvccpb.Event[] {
    if (view.prevKv && !view.noPut && !view.noDelete && revisionOf(this.events[0]) >= from)
      return this.events;
    const seen: mvccpb.Event[] = [];
    for (const event of this.events) {
      if (revisionOf(event) < from || (event.type === PUT ? view.noPut : view.noDelete)) continue;
      seen.push(view.prevKv ? event : new mvccpb.Event({ type: event.type, ...kvOf(event) }));
    }
    return seen;
  }

  private encode(events: readonly mvccpb.Event[]): Buffer | undefined {
    return events.length === 0 ? undefined : this.encodeEvents(events, false);
  }

  private encodeEvents(events: readonly mvccpb.Event[], fragment: boolean): Buffer {
    return etcdserverpb.encodeWatchResponse(
      new etcdserverpb.WatchResponse({ header: this.header, events: [...events], fragment }),
    );
  }
}

function kvOf({ kv }: mvccpb.Event): { kv?: mvccpb.KeyValue } {
  return kv === undefined ? {} : { kv };
}

export function revisionOf(event: mvccpb.Event): number {
  return event.kv?.modRevision ?? 0;
}

/** A response's bytes, which must not have an id yet, with this one. Fields of a message may stand in any order. */
export function withWatchId(body: Buffer, id: bigint): Buffer {
  if (id === 0n) return body;
  const front: number[] = [WATCH_ID_TAG];
  let rest = BigInt.asUintN(64, id);
  while (rest > 0x7fn) {
    front.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  front.push(Number(rest));
  return Buffer.concat([Buffer.from(front), body]);
}
