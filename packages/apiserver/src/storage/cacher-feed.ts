/**
 * What fills a watch cache: one list of the resource, then one watch for as long as it lasts, and from there to the
 * watchers. When the watch breaks it is taken up again where it was; only when that place is compacted away is
 * everything listed anew, and then all watchers are ended, for nobody can tell them what they missed.
 *
 * Modelled on client-go's reflector and kubernetes/apiserver pkg/storage/cacher/cacher.go.
 */

import type { Clock, Logger } from '@keelson/base';

import { ApiError } from '../api/status.ts';
import type { RevisionWaits } from './cacher-waits.ts';
import type { CacherMetrics } from './cacher-metrics.ts';
import type { CacheEvent } from './event-ring.ts';
import { PAGE_MAX, Turns } from './list-reader.ts';
import { hasCode } from './storage-error.ts';
import type { ObjectEvent, Storage, Watch, WatchEvent } from './storage.ts';
import type { FanOut } from './watch-cache-fan-out.ts';
import { CachedObject, orderOf, type ValueKeeper } from './watch-cache-object.ts';
import type { WatchCache } from './watch-cache.ts';
import type { CacheWatcher } from './watch-cache-watcher.ts';

/** The first pause after a failure; each further one is twice as long. */
const PAUSE_MS = 100;
const PAUSE_MAX_MS = 30_000;
/** So many watches that fail one after another without an event, and the state is listed anew. */
const FAILURES_MAX = 3;
/** Slow watchers may hold up the others for so much of each second, saved for up to two. */
const BUDGET_MS_PER_S = 50;
const BUDGET_MAX_MS = 100;

export interface CacherFeedParts {
  readonly storage: Storage;
  readonly cache: WatchCache;
  readonly fanOut: FanOut;
  readonly waits: RevisionWaits;
  readonly keeper: ValueKeeper;
  readonly metrics: CacherMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The store has told how far it is. */
  readonly progressed: () => void;
}

type State = 'idle' | 'filling' | 'ready' | 'stopped';

export class CacherFeed {
  private readonly parts: CacherFeedParts;
  private state: State = 'idle';
  private watch: Watch | undefined = undefined;
  private readonly waiting = new Set<() => void>();
  private pause: (() => void) | undefined = undefined;
  private readonly abort = new AbortController();
  private budgetMs = BUDGET_MAX_MS;
  private budgetAtMs: number;

  constructor(parts: CacherFeedParts) {
    this.parts = parts;
    this.budgetAtMs = parts.clock.monotonicMs();
  }

  /** Whether the cache has a state that can be served. */
  get ready(): boolean {
    return this.state === 'ready';
  }

  /** Begins to fill the cache; does nothing the second time. */
  start(): void {
    if (this.state !== 'idle') return;
    this.state = 'filling';
    void this.run();
  }

  /** Leaves the store and ends all watchers. */
  stop(): void {
    this.state = 'stopped';
    this.abort.abort();
    this.watch?.stop();
    this.pause?.();
    this.endWatchers();
    this.parts.waits.giveUp();
    this.tellWaiting();
  }

  /** @returns whether it is ready in time. @throws the signal's reason */
  async whenReady(timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    signal?.throwIfAborted();
    if (this.state !== 'filling' && this.state !== 'idle') return this.ready;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        timer.cancel();
        this.waiting.delete(settle);
        signal?.removeEventListener('abort', settle);
        resolve();
      };
      const timer = this.parts.clock.setTimer(timeoutMs, settle);
      this.waiting.add(settle);
      signal?.addEventListener('abort', settle, { once: true });
    });
    signal?.throwIfAborted();
    return this.ready;
  }

  private async run(): Promise<void> {
    const { cache, logger, storage } = this.parts;
    let listed = false;
    let failures = 0;
    while (!this.isStopped()) {
      const before = cache.revision;
      try {
        if (!listed) {
          await this.list();
          listed = true;
          failures = 0;
        }
        await this.follow();
      } catch (error) {
        if (this.isStopped()) return;
        const expired = error instanceof ApiError && error.code === 410;
        if (cache.revision > before) failures = 0;
        failures += 1;
        if (listed && (expired || failures >= FAILURES_MAX)) listed = false;
        // What is old may still be served to those who do not mind, but not what nobody can repair.
        if (expired || hasCode(error, 'CORRUPT_OBJECT')) this.becomeUnready();
        const { group, resource } = storage.resource.resource;
        const reason = error instanceof Error ? error.message : String(error);
        logger.warn('a watch cache lost its source', { group, resource, reason, listed });
        if (expired && failures === 1) continue;
      }
      if (!this.isStopped()) await this.rest(Math.min(PAUSE_MS * 2 ** Math.min(failures, 10), PAUSE_MAX_MS));
    }
  }

  /** The whole state, in pages. @throws what the storage throws */
  private async list(): Promise<void> {
    const { storage, cache, keeper, clock, metrics } = this.parts;
    const { resource } = storage;
    const turns = new Turns(clock);
    const objects: CachedObject[] = [];
    let revision = 0;
    let token = '';
    do {
      const page = await storage.list(resource.prefix, {
        limit: PAGE_MAX,
        continue: token,
        signal: this.abort.signal,
      });
      for (const stored of page.objects) {
        objects.push(CachedObject.of(stored, resource, keeper));
        if (turns.due()) await turns.take();
      }
      ({ revision, continue: token } = page);
    } while (token !== '');
    if (this.isStopped()) return;
    this.endWatchers();
    cache.replace(objects, revision);
    metrics.initializations += 1;
    this.state = 'ready';
    this.arrived();
    this.tellWaiting();
  }

  /** Until the watch ends. @throws what ended it */
  private async follow(): Promise<void> {
    const { storage, cache } = this.parts;
    const watch = await storage.watch(storage.resource.prefix, {
      resourceVersion: String(cache.revision),
      sendInitialEvents: false,
      bookmarks: true,
      signal: this.abort.signal,
    });
    if (this.isStopped()) {
      watch.stop();
      return;
    }
    this.watch = watch;
    try {
      for await (const batch of watch) {
        try {
          await this.take(batch);
        } finally {
          this.parts.fanOut.wake();
        }
        if (this.isStopped()) return;
      }
    } finally {
      this.watch = undefined;
      watch.stop();
    }
  }

  /** @throws ApiError of an ERROR */
  private async take(batch: readonly WatchEvent[]): Promise<void> {
    const { cache, clock } = this.parts;
    const turns = new Turns(clock);
    for (let at = 0; at < batch.length && !this.isStopped();) {
      const event = batch[at];
      if (event.type === 'ERROR') throw event.error;
      if (event.type === 'BOOKMARK') {
        at += 1;
        cache.advance(event.revision);
        this.arrived();
        this.parts.progressed();
        continue;
      }
      // All of one revision in one go: nobody may see a part of it.
      const { revision } = event.object;
      const full: [CacheWatcher, CacheEvent][] = [];
      for (; at < batch.length; at += 1) {
        const next = batch[at];
        if (next.type === 'BOOKMARK' || next.type === 'ERROR' || next.object.revision !== revision) break;
        if (revision > cache.revision) this.apply(next, full);
      }
      cache.advance(revision);
      this.arrived();
      if (full.length > 0) {
        this.parts.fanOut.wake();
        await this.insist(full);
      }
      if (turns.due()) {
        this.parts.fanOut.wake();
        await turns.take();
      }
    }
  }

  private apply({ type, object }: ObjectEvent, full: [CacheWatcher, CacheEvent][]): void {
    const { cache, fanOut, keeper, clock, metrics, storage } = this.parts;
    metrics.eventsReceived += 1;
    const now = type === 'DELETED' ? undefined : CachedObject.of(object, storage.resource, keeper);
    const event = cache.apply(orderOf(object.key), now, object.revision, clock.monotonicMs());
    if (event === undefined) return;
    metrics.eventsDispatched += 1;
    for (const watcher of fanOut.give(event)) full.push([watcher, event]);
  }

  /** Gives those that had no room a little time; who has none then is ended. */
  private async insist(full: readonly [CacheWatcher, CacheEvent][]): Promise<void> {
    const { clock, fanOut, metrics } = this.parts;
    const startMs = clock.monotonicMs();
    const earned = ((startMs - this.budgetAtMs) * BUDGET_MS_PER_S) / 1000;
    this.budgetMs = Math.min(BUDGET_MAX_MS, this.budgetMs + earned);
    const watchers = new Set(full.map(([watcher]) => watcher));
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(Math.max(0, this.budgetMs), resolve);
      let missing = watchers.size;
      for (const watcher of watchers) {
        watcher.whenRoom(() => {
          missing -= 1;
          if (missing > 0) return;
          timer.cancel();
          resolve();
        });
      }
    });
    this.budgetAtMs = clock.monotonicMs();
    this.budgetMs = Math.max(0, this.budgetMs - (this.budgetAtMs - startMs));
    for (const [watcher, event] of full) {
      if (watcher.add(event)) {
        watcher.awake();
        continue;
      }
      watcher.end();
      fanOut.remove(watcher);
      metrics.terminatedWatchers += 1;
    }
  }

  private arrived(): void {
    const { cache, metrics, waits } = this.parts;
    metrics.resourceVersion = cache.revision;
    waits.reached(cache.revision);
  }

  private becomeUnready(): void {
    if (this.state !== 'ready') return;
    this.state = 'filling';
    this.endWatchers();
  }

  private endWatchers(): void {
    const { fanOut } = this.parts;
    for (const watcher of [...fanOut.watchers()]) {
      watcher.end();
      fanOut.remove(watcher);
    }
  }

  private tellWaiting(): void {
    for (const settle of this.waiting) settle();
  }

  private async rest(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.parts.clock.setTimer(ms, resolve);
      this.pause = () => {
        timer.cancel();
        resolve();
      };
    });
    this.pause = undefined;
  }

  /** A function, because the answer changes while we wait. */
  private isStopped(): boolean {
    return this.state === 'stopped';
  }
}
