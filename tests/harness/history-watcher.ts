/**
 * One watcher of the whole key space that never gives up: its stream is cut again and again, by itself or by
 * what happens to its member, and it goes on where it stopped. As every write of the cluster is an event for it, it
 * must be told each revision once, whole, in order and without a gap; everything it is told goes into a History.
 */
import type { Prng } from '@keelson/base';
import { etcdserverpb as pb, services, type mvccpb } from '@keelson/proto';
import type { ClientStream } from '@keelson/rpc';
import type { History } from './history.ts';
import type { MemberApi } from './member-api.ts';
import { pause } from './waiting.ts';

/**
 * Where it begins: `first`, at the history's first revision; `now`, with what comes after its creation;
 * `replay`, at a random revision, and anew at every cut.
 */
export type Beginning = 'first' | 'now' | 'replay';

export interface HistoryWatcherOptions {
  /** For complaints. */
  readonly name: string;
  readonly history: History;
  readonly begins: Beginning;
  /** Asked at every dial. Undefined: nobody to ask just now. */
  readonly api: () => MemberApi | undefined;
  readonly prng: Prng;
  /** How long a stream lives before it is cut, at most. */
  readonly streamMs: number;
}

const BETWEEN_STREAMS_MS = 50;
const PROGRESS_EVERY_MS = 300;
/** Revisions a replay goes back at most; one in four goes back to anywhere. */
const REPLAYED = 1000;

export class HistoryWatcher {
  readonly name: string;
  private readonly options: HistoryWatcherOptions;
  /** The revision it must be told next; undefined until it was created. */
  private next: number | undefined;
  private parts: mvccpb.Event[] = [];
  private stopping = false;
  private endStream: () => void = () => {};
  private readonly running: Promise<void>;
  /** Texts with which servers ended streams or refused watches. */
  readonly endings = new Set<string>();
  streams = 0;
  fragments = 0;
  progressReports = 0;

  constructor(options: HistoryWatcherOptions) {
    this.name = options.name;
    this.options = options;
    this.next = options.begins === 'first' ? options.history.first : undefined;
    this.running = this.run();
  }

  /** Whether it has been told everything up to here. */
  hasSeen(revision: number): boolean {
    return this.next !== undefined && this.next > revision;
  }

  describe(): string {
    return `${this.name} waits for revision ${this.next ?? 'its creation'}; ${this.streams} streams; ended with: ${[...this.endings].join('; ')}`;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.endStream();
    await this.running;
  }

  private async run(): Promise<void> {
    const { api, begins, history, prng, streamMs } = this.options;
    while (!this.stopping) {
      const member = api();
      if (member !== undefined) {
        if (begins === 'replay') this.next = this.replayFrom();
        await this.watch(member, streamMs - prng.below(Math.ceil(streamMs / 2)));
      }
      if (history.broken.length >= 20) return;
      await pause(BETWEEN_STREAMS_MS);
    }
  }

  private replayFrom(): number {
    const { history, prng } = this.options;
    const span = history.last - history.first + 1;
    if (span <= 0) return history.first;
    return history.last - prng.below(prng.chance(1, 4) ? span : Math.min(span, REPLAYED));
  }

  /** One stream, from its creation until it ends or its time is over. */
  private watch(api: MemberApi, forMs: number): Promise<void> {
    this.streams++;
    this.parts = [];
    const stream = api.channel.bidi(services.Watch.methods.watch);
    const cut = setTimeout(() => stream.cancel(), forMs);
    const ask = setInterval(() => {
      stream.write(new pb.WatchRequest({ progressRequest: new pb.WatchProgressRequest() }));
    }, PROGRESS_EVERY_MS);
    return new Promise((resolve) => {
      this.endStream = () => stream.cancel();
      stream.onMessage((response) => this.take(response, stream));
      stream.onEnd((error) => {
        clearTimeout(cut);
        clearInterval(ask);
        this.endings.add(error?.message ?? 'OK');
        resolve();
      });
      const createRequest = new pb.WatchCreateRequest({
        key: Buffer.from('\0'),
        rangeEnd: Buffer.from('\0'),
        startRevision: this.next ?? 0,
        prevKv: true,
        fragment: true,
        progressNotify: true,
      });
      stream.write(new pb.WatchRequest({ createRequest }));
    });
  }

  private take(response: pb.WatchResponse, stream: ClientStream<pb.WatchRequest, pb.WatchResponse>): void {
    const revision = response.header?.revision ?? 0;
    if (response.canceled) {
      this.endings.add(`canceled: ${response.cancelReason}`);
      if (response.compactRevision > 0)
        this.complain(`was refused as compacted at ${response.compactRevision}`);
      stream.cancel();
      return;
    }
    if (response.created) {
      this.next ??= revision + 1;
      return;
    }
    if (response.events.length === 0) {
      this.progress(revision);
      return;
    }
    this.parts = this.parts.length === 0 ? response.events : [...this.parts, ...response.events];
    if (response.fragment) {
      this.fragments++;
      return;
    }
    const events = this.parts;
    this.parts = [];
    this.events(events, revision);
  }

  /** Nothing is to come that is not later than `revision`. */
  private progress(revision: number): void {
    this.progressReports++;
    if (this.parts.length > 0) this.complain(`progress at ${revision} between the parts of a response`);
    if (this.next !== undefined && revision >= this.next)
      this.complain(`progress at ${revision}, and was not told ${this.next}`);
  }

  private events(events: readonly mvccpb.Event[], headerRevision: number): void {
    let from = 0;
    while (from < events.length) {
      const revision = events[from].kv?.modRevision ?? 0;
      let to = from + 1;
      while (to < events.length && events[to].kv?.modRevision === revision) to++;
      if (revision !== this.next)
        this.complain(`was told revision ${revision} where ${this.next} had to come`);
      if (revision > headerRevision)
        this.complain(`was told revision ${revision} by a response at ${headerRevision}`);
      this.options.history.take(this.name, revision, events.slice(from, to));
      this.next = revision + 1;
      from = to;
    }
  }

  private complain(line: string): void {
    this.options.history.complain(`${this.name} ${line}`);
  }
}
