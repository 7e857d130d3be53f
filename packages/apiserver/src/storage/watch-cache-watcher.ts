/**
 * One watch on a watch cache: what was there when it began, then a bounded queue that the cache fills and the reader
 * empties at his pace. It never asks the store. A reader who lets the queue fill up is ended by the cache; what is
 * queued by then is still his, so that he can go on from it elsewhere.
 */

import type { Clock } from '@keelson/base';

import type { ReadyIterator } from '../api/ready.ts';
import type { CacheEvent } from './event-ring.ts';
import { Turns } from './list-reader.ts';
import { selectsEverything } from './storage.ts';
import type { ObjectEvent, Selection, Watch, WatchEvent } from './storage.ts';
import type { CachedObject } from './watch-cache-object.ts';

/** Events handed out at a time: small enough that what follows for each does not hold the event loop. */
const BATCH_MAX = 250;
/** How often a watch hears of progress. */
const BOOKMARK_MS = 60_000;
/** As long before its deadline it hears of it once more, so that its next one starts there. */
const BEFORE_DEADLINE_MS = 2_000;

/** What a watch begins with. */
export type Backlog =
  | {
      readonly kind: 'state';
      readonly objects: readonly CachedObject[];
      readonly endedAt: number | undefined;
    }
  | { readonly kind: 'events'; readonly events: readonly CacheEvent[] };

const OVER = { done: true, value: undefined } as const;

export interface CacheWatcherOptions {
  readonly selection: Selection;
  /** Nothing up to it is shown. */
  readonly from: number;
  readonly backlog: Backlog;
  readonly bookmarks: boolean;
  /** The reader ends it after as long; undefined: nobody knows. */
  readonly timeoutMs: number | undefined;
  readonly queueMax: number;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** Called once, when nobody reads any more. */
  readonly left: () => void;
}

export class CacheWatcher implements Watch {
  readonly bookmarks: boolean;
  private readonly options: CacheWatcherOptions;
  private readonly all: boolean;
  private readonly deadlineMs: number | undefined;
  private nextBookmarkMs: number;
  private queue: WatchEvent[] = [];
  private state: 'running' | 'ended' | 'stopped' = 'running';
  /** Who waits for the next event. */
  private wake: (() => void) | undefined = undefined;
  private listed = false;
  private room: (() => void) | undefined = undefined;
  private readonly abort = (): void => this.stop();
  private readonly taken = (): Promise<IteratorResult<readonly WatchEvent[], undefined>> => this.take();

  constructor(options: CacheWatcherOptions) {
    const { clock, bookmarks, timeoutMs, signal, selection } = options;
    this.options = options;
    this.bookmarks = bookmarks;
    this.all = selectsEverything(selection);
    const nowMs = clock.monotonicMs();
    this.deadlineMs = timeoutMs === undefined ? undefined : nowMs + timeoutMs;
    this.nextBookmarkMs = this.bookmarkAfter(nowMs);
    signal?.addEventListener('abort', this.abort, { once: true });
  }

  /** @returns false when there is no room; then it was not taken */
  add(event: CacheEvent): boolean {
    if (this.state !== 'running' || event.revision <= this.options.from) return true;
    const view = this.viewOf(event);
    if (view === undefined) return true;
    if (this.queue.length >= this.options.queueMax) return false;
    this.queue.push(view);
    return true;
  }

  /** Whether somebody is to be told of what was added and nobody was asked to do so; who asks does it soon. */
  takeDue(): boolean {
    if (this.listed || this.wake === undefined || this.queue.length === 0) return false;
    this.listed = true;
    return true;
  }

  /** Tells who waits of what was added. */
  awake(): void {
    const { wake } = this;
    this.listed = false;
    this.wake = undefined;
    wake?.();
  }

  /** Tells of progress when it is time for it and there is room. */
  progress(revision: number, nowMs: number): void {
    if (nowMs >= this.nextBookmarkMs) this.bookmark(revision, nowMs);
  }

  /** Tells of progress if there is room. */
  bookmark(revision: number, nowMs: number): void {
    if (!this.bookmarks || revision < this.options.from || revision === 0) return;
    if (this.state !== 'running' || this.queue.length >= this.options.queueMax) return;
    this.nextBookmarkMs = this.bookmarkAfter(nowMs);
    this.queue.push({ type: 'BOOKMARK', revision, initialEventsEnd: false });
    this.awake();
  }

  /** Whether a bookmark is to be sent within as long. */
  wantsProgress(withinMs: number, nowMs: number): boolean {
    return this.bookmarks && this.nextBookmarkMs <= nowMs + withinMs;
  }

  /** Calls once when there is room again, or nobody to want it. */
  whenRoom(call: () => void): void {
    this.room = call;
  }

  /** Nothing more comes; what is queued is still handed out. */
  end(): void {
    if (this.state !== 'running') return;
    this.state = 'ended';
    this.awake();
  }

  stop(): void {
    if (this.state === 'stopped') return;
    this.state = 'stopped';
    this.queue = [];
    this.options.signal?.removeEventListener('abort', this.abort);
    this.options.left();
    this.madeRoom();
    this.awake();
  }

  /** No generator: with a thousand watchers of one object each step of each of them counts. */
  [Symbol.asyncIterator](): ReadyIterator<readonly WatchEvent[]> {
    const beginning = this.begin();
    let began = false;
    const take = this.take.bind(this);
    const nextAtFirst = async (): Promise<IteratorResult<readonly WatchEvent[], undefined>> => {
      try {
        const result = await beginning.next();
        if (result.done !== true) return result;
      } catch (error) {
        this.stop();
        throw error;
      }
      began = true;
      return take();
    };
    return {
      get canPoll() {
        return began;
      },
      poll: () => this.poll(),
      whenReady: (task) => {
        this.wake = task;
        // Something may have come, or have ended, in between.
        if (this.queue.length > 0 || this.state !== 'running') this.awake();
      },
      next: () => (began ? take() : nextAtFirst()),
      return: () => {
        this.stop();
        return Promise.resolve(OVER);
      },
    };
  }

  /** What is queued, and the end behind it. */
  private poll(): readonly WatchEvent[] | 'ended' | undefined {
    const { queue } = this;
    if (this.state !== 'stopped' && queue.length > 0) {
      const batch = queue.length <= BATCH_MAX ? queue : queue.slice(0, BATCH_MAX);
      this.queue = batch === queue ? [] : queue.slice(BATCH_MAX);
      this.madeRoom();
      return batch;
    }
    if (this.state === 'running') return undefined;
    this.stop();
    return 'ended';
  }

  /** The same, once there is something. */
  private take(): Promise<IteratorResult<readonly WatchEvent[], undefined>> {
    const batch = this.poll();
    if (batch === undefined) {
      // Not the event that wakes alone: whatever comes in the same turn goes along.
      return new Promise<void>((resolve) => {
        this.wake = resolve;
      }).then(this.taken);
    }
    return Promise.resolve(batch === 'ended' ? OVER : { done: false, value: batch });
  }

  /** What it begins with, in batches; decided here and not when it was made, because it may be long. */
  private async *begin(): AsyncGenerator<readonly WatchEvent[], void, undefined> {
    const { backlog, selection, clock, from } = this.options;
    const turns = new Turns(clock);
    const length = backlog.kind === 'state' ? backlog.objects.length : backlog.events.length;
    let batch: WatchEvent[] = [];
    for (let at = 0; at < length && !this.isStopped(); at += 1) {
      if (backlog.kind === 'events') {
        const event = backlog.events[at];
        const view = event.revision <= from ? undefined : this.viewOf(event);
        if (view !== undefined) batch.push(view);
      } else {
        const object = backlog.objects[at];
        if (this.all || object.isSelected(selection)) {
          batch.push({ type: 'ADDED', object, previous: undefined, initial: true });
        }
      }
      if (batch.length >= BATCH_MAX) {
        yield batch;
        batch = [];
      }
      if (turns.due()) await turns.take();
    }
    if (this.isStopped()) return;
    if (backlog.kind === 'state' && backlog.endedAt !== undefined) {
      batch.push({ type: 'BOOKMARK', revision: backlog.endedAt, initialEventsEnd: true });
    }
    if (batch.length > 0) yield batch;
  }

  /** The change as the selection sees it; undefined: not at all. */
  private viewOf(event: CacheEvent): ObjectEvent | undefined {
    const { selection } = this.options;
    const { now, before } = event;
    const then = before !== undefined && (this.all || before.isSelected(selection));
    if (now !== undefined && (this.all || now.isSelected(selection))) {
      return event.as(then ? 'MODIFIED' : 'ADDED');
    }
    return then ? event.as('DELETED') : undefined;
  }

  private bookmarkAfter(nowMs: number): number {
    const regular = nowMs + BOOKMARK_MS;
    if (this.deadlineMs === undefined) return regular;
    const last = this.deadlineMs - BEFORE_DEADLINE_MS;
    return nowMs < last ? Math.min(regular, last) : regular;
  }

  private madeRoom(): void {
    const { room } = this;
    this.room = undefined;
    room?.();
  }

  /** A function, because the answer changes while we wait. */
  private isStopped(): boolean {
    return this.state === 'stopped';
  }
}

/** A watch that is refused once it is accepted: one ERROR, and the end. */
export class RefusedWatch implements Watch {
  private readonly event: WatchEvent;
  private stopped = false;

  constructor(event: WatchEvent) {
    this.event = event;
  }

  stop(): void {
    this.stopped = true;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly WatchEvent[], void, undefined> {
    if (!this.stopped) yield [this.event];
    this.stopped = true;
  }
}
