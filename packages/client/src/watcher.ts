/**
 * One watch as its user sees it: batches of events in revision order, each revision once and whole, from
 * the first to the last. It keeps the place to resume from, puts fragments together, and holds a bounded
 * number of events for a reader that is slower than the stream. It knows no connection; watch.ts feeds it.
 */
import type { etcdserverpb, mvccpb } from '@keelson/proto';
import { ownBytes } from '@keelson/base';
import type { Bytes, KeyRange } from './bytes.ts';
import type { EtcdError } from './errors.ts';

export interface WatchOptions extends KeyRange {
  /** First revision wanted; 0 or absent: what happens from now on. */
  readonly startRevision?: number;
  /** Each event carries the key as it was before. */
  readonly prevKv?: boolean;
  /** Ask for a sign of life (and a newer place to resume from) when nothing happens. */
  readonly progressNotify?: boolean;
  readonly filter?: 'no-put' | 'no-delete';
  /** Lets the server cut large responses; they are put together again here. Default: true. */
  readonly fragment?: boolean;
  /** End the watch, in time, when its member loses the leader, instead of waiting silently. */
  readonly requireLeader?: boolean;
  /** Events held for a slow reader before the watch is parked at the server. Default 10,000. */
  readonly bufferEventsMax?: number;
}

/** What one response brought. */
export interface WatchBatch {
  /** The store's revision when the server sent it. */
  readonly revision: number;
  /** In revision order; all events of a revision are in one batch. Empty for progress. */
  readonly events: readonly mvccpb.Event[];
  /** True: nothing happened, the server says how far it got. */
  readonly progress: boolean;
}

export interface WatchListener {
  batch(batch: WatchBatch): void;
  /** Once, after the last batch: undefined when the watch was cancelled here. */
  end(error: EtcdError | undefined): void;
}

/** What a watcher asks of the stream it lives on. */
export interface WatchHost {
  cancel(watcher: Watcher): void;
  /** The reader fell behind: stop sending. */
  park(watcher: Watcher): void;
  /** The reader caught up: go on from `nextRevision`. */
  unpark(watcher: Watcher): void;
}

const BUFFER_EVENTS_MAX = 10_000;

export class Watcher implements AsyncIterable<WatchBatch> {
  readonly key: Bytes;
  readonly options: WatchOptions;
  /** Where a new stream would start: 0 until the server confirmed a watch "from now on". */
  nextRevision: number;
  private readonly host: WatchHost;
  private readonly bufferEventsMax: number;
  private listener: WatchListener | undefined = undefined;
  private batches: WatchBatch[] = [];
  private buffered = 0;
  private parked = false;
  private fragments: mvccpb.Event[] = [];
  /** Pieces of a cut response have come and its last has not. */
  private assembling = false;
  /** The server's revision when it took the watch on this stream; undefined: it has not yet. */
  private takenAt: number | undefined = undefined;
  /** Answers to requests for progress that may have been made before the server had the watch. */
  private staleAnswers = 0;
  private over = false;
  private error: EtcdError | undefined = undefined;
  private wake: (() => void) | undefined = undefined;
  private confirm: (() => void) | undefined = undefined;
  /** Resolves when the server has the watch (from then on nothing is missed), or when it is over. */
  readonly created: Promise<void>;

  constructor(key: Bytes, options: WatchOptions, host: WatchHost) {
    this.key = kept(key);
    this.options = options.end === undefined ? options : { ...options, end: kept(options.end) };
    this.host = host;
    this.nextRevision = options.startRevision ?? 0;
    this.bufferEventsMax = options.bufferEventsMax ?? BUFFER_EVENTS_MAX;
    this.created = new Promise((resolve) => {
      this.confirm = resolve;
    });
  }

  get closed(): boolean {
    return this.over;
  }

  /** Calls back instead of iterating; nothing is buffered then. What has come already is delivered at once. */
  listen(listener: WatchListener): void {
    this.listener = listener;
    const waiting = this.batches;
    this.batches = [];
    this.drained();
    for (const batch of waiting) listener.batch(batch);
    if (this.over) listener.end(this.error);
  }

  /** Ends the watch. Batches that wait are still read; `end` or the end of the iteration follows. */
  cancel(): void {
    if (this.over) return;
    this.host.cancel(this);
    this.finish(undefined);
  }

  /** Batches until the watch is over. Leaving the loop cancels it. @throws EtcdError when it broke */
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchBatch, void, undefined> {
    try {
      for (;;) {
        const batch = this.batches.shift();
        if (batch !== undefined) {
          this.buffered -= batch.events.length;
          if (this.buffered <= this.bufferEventsMax / 2) this.drained();
          yield batch;
        } else if (this.over) {
          if (this.error !== undefined) throw this.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.wake = resolve;
          });
        }
      }
    } finally {
      this.cancel();
    }
  }

  /** Events one by one; otherwise as the iteration. */
  async *events(): AsyncGenerator<mvccpb.Event, void, undefined> {
    for await (const batch of this) yield* batch.events;
  }

  // For the stream.

  /** The server has the watch; its revision then is where "from now on" begins. */
  confirmed(revision: number): void {
    if (this.nextRevision === 0) this.nextRevision = revision + 1;
    this.takenAt = revision;
    this.confirm?.();
  }

  /**
   * The watch is asked for again: pieces of a cut response will come again.
   *
   * @param staleAnswers requests for progress on that stream that are not answered yet
   */
  restarted(staleAnswers = 0): void {
    this.fragments = [];
    this.assembling = false;
    this.takenAt = undefined;
    this.staleAnswers = staleAnswers;
  }

  /** One response with events, or a sign of progress. */
  received(response: etcdserverpb.WatchResponse): void {
    if (this.over || this.parked) return;
    const revision = response.header?.revision ?? 0;
    if (response.events.length === 0 && !this.assembling) {
      // Sent only to a watch that is up to date: everything up to `revision` has been delivered.
      this.nextRevision = Math.max(this.nextRevision, revision + 1);
      this.deliver({ revision, events: [], progress: true });
      return;
    }
    for (const event of response.events) {
      // After a resume a server may send again what was seen: each revision counts once.
      if ((event.kv?.modRevision ?? 0) >= this.nextRevision) this.fragments.push(event);
    }
    this.assembling = response.fragment;
    if (response.fragment) return;
    const events = this.fragments;
    this.fragments = [];
    const last = events.at(-1)?.kv?.modRevision;
    if (last === undefined) return;
    this.nextRevision = last + 1;
    this.deliver({ revision, events, progress: false });
  }

  /**
   * How far the server got, as an answer to a progress request; no place to resume from. It speaks for all watches the
   * server had when it made the answer. One that may have been made before it had this watch says nothing of the
   * events between the place the watch starts at and the place the server is at.
   */
  progressed(revision: number): void {
    const stale = this.staleAnswers > 0;
    if (stale) this.staleAnswers--;
    if (this.over || this.parked || this.takenAt === undefined) return;
    if (stale && revision <= this.takenAt && revision >= this.nextRevision) return;
    this.deliver({ revision, events: [], progress: true });
  }

  finish(error: EtcdError | undefined): void {
    if (this.over) return;
    this.over = true;
    this.error = error;
    this.confirm?.();
    this.listener?.end(error);
    this.awake();
  }

  private deliver(batch: WatchBatch): void {
    if (this.listener !== undefined) {
      this.listener.batch(batch);
      return;
    }
    const last = this.batches.at(-1);
    // A reader that does not read needs only the newest progress.
    if (batch.progress && last?.progress === true) this.batches[this.batches.length - 1] = batch;
    else this.batches.push(batch);
    this.buffered += batch.events.length;
    if (this.buffered > this.bufferEventsMax && !this.parked) {
      this.parked = true;
      this.host.park(this);
    }
    this.awake();
  }

  private drained(): void {
    if (this.listener !== undefined) this.buffered = 0;
    if (!this.parked || this.over) return;
    this.parked = false;
    this.host.unpark(this);
  }

  private awake(): void {
    const wake = this.wake;
    this.wake = undefined;
    wake?.();
  }
}

/** A watch lives long; the caller's bytes may lie in a pool or a message that it would keep alive. */
function kept(bytes: Bytes): Bytes {
  return typeof bytes === 'string' ? bytes : ownBytes(bytes);
}
