/**
 * Responses of one watch stream as bytes. Events are a response's last field and are encoded once for all watchers;
 * the header before them is encoded once for each revision; what is left is the watch's id. It knows the form of a
 * response, not why one is sent.
 */
import { EMPTY } from '@keelson/base';
import { etcdserverpb, putVarint, sizeDelimited, sizeVarint } from '@keelson/proto';
import type { WatchBatch } from '../watch/events.ts';
import type { WatchResponse } from '../watch/watch-stream.ts';

const TAG_WATCH_ID = 0x10;
/** Ids that streams pick are small; the others take the long way. */
const SMALL_ID_MAX = 0x7fff_ffff;

/** Who answers. */
export interface Answerer {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly term: number;
}

export class WatchEncoder {
  private readonly answerer: Answerer;
  /** The last header of events, as a field, and of which revision and term it is. */
  private head: Buffer = EMPTY;
  private headRevision = -1;
  private headTerm = -1;

  constructor(answerer: Answerer) {
    this.answerer = answerer;
  }

  /** Bytes of the header's field, tag and length included. */
  headerBytes(revision: number): number {
    return 1 + sizeDelimited(etcdserverpb.sizeResponseHeader(this.header(revision)));
  }

  encode(response: WatchResponse): Buffer {
    const { batch } = response;
    if (batch === undefined) return this.encodeFields(response);
    const id = Number(response.watchId);
    if (!response.fragment && id >= 0 && id <= SMALL_ID_MAX) return this.encodeEvents(id, batch);
    return Buffer.concat([this.encodeFields(response), batch.encoded]);
  }

  /** Events and nothing else: nearly all of what a watcher is sent. */
  private encodeEvents(id: number, { revision, encoded }: WatchBatch): Buffer {
    const { term } = this.answerer;
    if (revision !== this.headRevision || term !== this.headTerm) {
      const message = new etcdserverpb.WatchResponse({ header: this.header(revision) });
      this.head = etcdserverpb.encodeWatchResponse(message);
      this.headRevision = revision;
      this.headTerm = term;
    }
    const { head } = this;
    const end = head.length + (id === 0 ? 0 : 1 + sizeVarint(id));
    const bytes = Buffer.allocUnsafe(end + encoded.length);
    bytes.set(head, 0);
    if (id > 0) {
      bytes[head.length] = TAG_WATCH_ID;
      putVarint(bytes, end, id);
    }
    bytes.set(encoded, end);
    return bytes;
  }

  /** All but the events. */
  private encodeFields(response: WatchResponse): Buffer {
    const { watchId, created, canceled, compactRevision, cancelReason, fragment } = response;
    return etcdserverpb.encodeWatchResponse(
      new etcdserverpb.WatchResponse({
        header: this.header(response.revision),
        watchId,
        created,
        canceled,
        compactRevision,
        cancelReason,
        fragment,
      }),
    );
  }

  private header(revision: number): etcdserverpb.ResponseHeader {
    const { clusterId, memberId, term } = this.answerer;
    return new etcdserverpb.ResponseHeader({ clusterId, memberId, revision, raftTerm: term });
  }
}
