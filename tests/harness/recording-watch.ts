/**
 * Watches whose every request and response goes into a history: one stream at one member with any number of watches on it.
 * It ends when told to, or by what happens to the stream; it never comes back by itself.
 */
import { etcdserverpb as pb, services } from '@keelson/proto';
import { statusName, type ClientStream } from '@keelson/rpc';
import type { Asker, HistoryRecorder, Watch, WatchResponse } from '@keelson/sim';
import { eventOf } from '../../packages/store/test/wire/values.ts';
import type { RecordingClient } from './recording-client.ts';

export type WatchShape = Pick<Watch, 'key'> &
  Partial<
    Pick<Watch, 'end' | 'start' | 'noPut' | 'noDelete' | 'prevKv' | 'progressNotify' | 'fragment' | 'resumes'>
  >;

/** Of a whole stream, in etcd's answers. */
const WHOLE_STREAM = -1n;

export class RecordingStream {
  readonly stream: number;
  readonly member: string;
  private readonly recorder: HistoryRecorder;
  private readonly asker: Asker;
  private readonly wire: ClientStream<pb.WatchRequest, pb.WatchResponse>;
  /** Asked for, and not yet answered: answers come in the order of requests. */
  private readonly asked: { readonly watch: number; readonly start: number }[] = [];
  /** Watches that were created and have not ended, with the revisions they begin at. */
  private readonly live = new Map<number, number>();
  private readonly watchOf = new Map<bigint, number>();
  private readonly idOf = new Map<number, bigint>();
  private readonly took: (response: Omit<WatchResponse, 'type' | 'seq' | 'ms'>) => void;
  /** Resolves when the stream is over. */
  readonly over: Promise<void>;

  private constructor(
    recorder: HistoryRecorder,
    asker: Asker & { readonly member: string },
    wire: ClientStream<pb.WatchRequest, pb.WatchResponse>,
    took: (response: Omit<WatchResponse, 'type' | 'seq' | 'ms'>) => void,
  ) {
    this.recorder = recorder;
    this.asker = asker;
    this.member = asker.member;
    this.wire = wire;
    this.took = took;
    this.stream = recorder.stream();
    wire.onMessage((message) => this.take(message));
    this.over = new Promise((resolve) => {
      wire.onEnd((error) => {
        const { code = 0, message = '' } = error ?? {};
        recorder.streamEnd(this.stream, statusName(code), message);
        resolve();
      });
    });
  }

  /** @param took is told of each response after it was written down */
  static async open(
    recorder: HistoryRecorder,
    client: RecordingClient,
    member: string,
    took: (response: Omit<WatchResponse, 'type' | 'seq' | 'ms'>) => void = () => {},
  ): Promise<RecordingStream> {
    const metadata = await client.credentials(member);
    const { user } = client;
    const wire = client
      .channel(member)
      .bidi(services.Watch.methods.watch, metadata === undefined ? {} : { metadata });
    const asker = { client: client.client, member, ...(user === undefined ? {} : { user }) };
    return new RecordingStream(recorder, asker, wire, took);
  }

  /** @returns the history's number of it */
  watch(shape: WatchShape): number {
    const watch = this.recorder.watch(this.asker, this.stream, shape);
    this.asked.push({ watch, start: shape.start ?? 0 });
    const { key, end, start = 0, prevKv = false, progressNotify = false, fragment = false } = shape;
    const createRequest = new pb.WatchCreateRequest({
      key: Buffer.from(key, 'latin1'),
      rangeEnd: Buffer.from(end ?? '', 'latin1'),
      startRevision: start,
      prevKv,
      progressNotify,
      fragment,
      filters: [
        ...(shape.noPut === true ? [pb.FilterType.NOPUT] : []),
        ...(shape.noDelete === true ? [pb.FilterType.NODELETE] : []),
      ],
    });
    this.wire.write(new pb.WatchRequest({ createRequest }));
    return watch;
  }

  /** Does nothing before the watch was created, nor twice. */
  cancel(watch: number): void {
    const watchId = this.idOf.get(watch);
    if (watchId === undefined || !this.live.delete(watch)) return;
    this.recorder.watchCancel(watch);
    this.wire.write(new pb.WatchRequest({ cancelRequest: new pb.WatchCancelRequest({ watchId }) }));
  }

  /** Whether an etcd may be asked how far the stream is: not while a watch on it begins in the future, nor without a watch. */
  tellsProgress(revision: number): boolean {
    return (
      this.asked.length === 0 &&
      this.live.size > 0 &&
      [...this.live.values()].every((start) => start <= revision)
    );
  }

  /** Asks how far the stream is. */
  progress(): void {
    this.wire.write(new pb.WatchRequest({ progressRequest: new pb.WatchProgressRequest() }));
  }

  /** Nothing is read until `resume`: the server sees a slow client. */
  pause(): void {
    this.wire.pause();
  }

  resume(): void {
    this.wire.resume();
  }

  end(): void {
    this.wire.cancel();
  }

  private take(message: pb.WatchResponse): void {
    if (message.created) {
      const asked = this.asked.shift();
      if (asked !== undefined) {
        const { watch, start } = asked;
        if (!message.canceled) this.live.set(watch, start);
        this.watchOf.set(message.watchId, watch);
        this.idOf.set(watch, message.watchId);
        this.note(message, watch);
        return;
      }
    }
    const watch = message.watchId === WHOLE_STREAM ? undefined : this.watchOf.get(message.watchId);
    if (message.canceled && watch !== undefined) this.live.delete(watch);
    this.note(message, watch);
  }

  private note(message: pb.WatchResponse, watch: number | undefined): void {
    const response = {
      ...(watch === undefined ? {} : { watch }),
      stream: this.stream,
      revision: message.header?.revision ?? 0,
      ...(message.created ? { created: true } : {}),
      ...(message.canceled ? { canceled: true } : {}),
      ...(message.compactRevision > 0 ? { compactRevision: message.compactRevision } : {}),
      ...(message.cancelReason === '' ? {} : { reason: message.cancelReason }),
      ...(message.fragment ? { fragment: true } : {}),
      ...(message.events.length === 0 ? {} : { events: message.events.map(eventOf) }),
    };
    this.recorder.watchResponse(response);
    this.took(response);
  }
}
