/**
 * One watch stream written out: what is sent, what is done besides, and everything that comes back. Responses
 * of different watches have no order among each other, and events may share a response or not; so they are
 * kept for each watch id apart, events one by one, everything else whole.
 */
import { etcdserverpb as pb, mvccpb, services } from '@keelson/proto';
import type { ClientStream, Metadata } from '@keelson/rpc';
import type { MemberApi } from '../harness/member-api.ts';
import { waitUntil, WaitError } from '../harness/waiting.ts';

/** How long anything may take to come: on a busy machine, megabytes too. */
const ARRIVAL_MS = 30_000;

export class WatchConversation {
  private readonly stream: ClientStream<pb.WatchRequest, pb.WatchResponse>;
  /** By watch id: lines, in order of arrival. */
  private readonly heard = new Map<bigint, string[]>();
  private readonly notes: string[] = [];
  private ended: string | undefined;

  /** @param metadata in whose name */
  constructor(api: MemberApi, metadata?: Metadata) {
    this.stream = api.channel.bidi(services.Watch.methods.watch, metadata === undefined ? {} : { metadata });
    this.stream.onMessage((response) => this.take(response));
    this.stream.onEnd((error) => {
      this.ended = error === undefined ? 'OK' : `${error.code} ${error.message}`;
    });
  }

  create(request: Partial<pb.WatchCreateRequest>): void {
    this.stream.write(new pb.WatchRequest({ createRequest: new pb.WatchCreateRequest(request) }));
  }

  cancel(watchId: bigint): void {
    this.stream.write(new pb.WatchRequest({ cancelRequest: new pb.WatchCancelRequest({ watchId }) }));
  }

  progress(): void {
    this.stream.write(new pb.WatchRequest({ progressRequest: new pb.WatchProgressRequest() }));
  }

  /** No more requests from this side; the stream lives on. */
  halfClose(): void {
    this.stream.end();
  }

  /** Until `count` lines in all were heard of a watch. That they do not come is noted, not thrown. */
  async hears(watchId: bigint, count: number): Promise<void> {
    try {
      await waitUntil('it arrives', { timeoutMs: ARRIVAL_MS, everyMs: 2 }, () =>
        (this.heard.get(watchId)?.length ?? 0) >= count ? true : undefined,
      );
    } catch (error) {
      if (!(error instanceof WaitError)) throw error;
      this.notes.push(`waited in vain for ${count} lines of watch ${watchId}`);
    }
  }

  /** Ends the stream. @returns everything heard, by watch id */
  close(): object {
    const over = this.ended;
    this.stream.cancel();
    return {
      watches: [...this.heard]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([id, lines]) => `watch ${id}\n${lines.join('\n')}`),
      notes: this.notes,
      endedByServer: over ?? 'no',
    };
  }

  private take(response: pb.WatchResponse): void {
    const lines = this.heard.get(response.watchId) ?? [];
    this.heard.set(response.watchId, lines);
    for (const event of response.events) lines.push(eventLine(event));
    if (response.fragment) lines.push(`-- more to come after ${response.events.length} events`);
    if (response.events.length > 0) return;
    const { created, canceled, compactRevision, cancelReason } = response;
    lines.push(
      `created ${created} canceled ${canceled} compact revision ${compactRevision} reason ${JSON.stringify(cancelReason)} at ${response.header?.revision}`,
    );
  }
}

export function eventLine(event: mvccpb.Event): string {
  const { kv, prevKv } = event;
  return `${event.type === mvccpb.EventType.PUT ? 'PUT' : 'DELETE'} ${kvText(kv)}${prevKv === undefined ? '' : ` was ${kvText(prevKv)}`}`;
}

function kvText(kv: mvccpb.KeyValue | undefined): string {
  if (kv === undefined) return 'nothing';
  const value =
    kv.value.length > 40 ? `${kv.value.length} bytes` : JSON.stringify(kv.value.toString('latin1'));
  return `${JSON.stringify(kv.key.toString('latin1'))}=${value} c${kv.createRevision} m${kv.modRevision} v${kv.version} l${kv.lease}`;
}
