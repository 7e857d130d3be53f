/**
 * What happened before a watch cache was filled, read from the store when a watch wants to go on from there: a server that
 * starts again can so tell clients of the one before it what they missed, where they would otherwise have to list everything
 * anew. Read once for all who ask, never more than a bound, and never asked for again where the store has forgotten it.
 *
 * The original has no such thing: its clients list.
 */

import type { Clock } from '@keelson/base';

import { CacheEvent } from './event-ring.ts';
import type { Storage } from './storage.ts';
import { CachedObject, type ValueKeeper } from './watch-cache-object.ts';
import type { WatchCache } from './watch-cache.ts';

/** What is longer is cheaper to list. */
const EVENTS_MAX = 10_000;
/** A store that does not tell in time what happened does not know. */
const WAIT_MS = 3_000;

export interface EarlierHistoryParts {
  readonly storage: Storage;
  readonly cache: WatchCache;
  readonly keeper: ValueKeeper;
  readonly clock: Clock;
}

export class EarlierHistory {
  private readonly parts: EarlierHistoryParts;
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined = undefined;
  /** Up to here the store could not say what happened, or it was too much. */
  private unknown = -1;

  constructor(parts: EarlierHistoryParts) {
    this.parts = parts;
  }

  /** Puts what happened after `revision` before the cache's own history, if it can be had. */
  async recall(revision: number): Promise<void> {
    const { cache } = this.parts;
    // What is asked for first may not reach as far as what is asked for second.
    while (!this.stopping.signal.aborted && this.isWanted(revision)) {
      this.running ??= this.read(revision, cache.oldestRevision).finally(() => {
        this.running = undefined;
      });
      await this.running;
    }
  }

  /** Ends what is being read. */
  stop(): void {
    this.stopping.abort();
  }

  private isWanted(revision: number): boolean {
    const { cache } = this.parts;
    return !cache.hasForgotten && revision < cache.oldestRevision && revision > this.unknown;
  }

  /** Everything after `from` up to `until`. */
  private async read(from: number, until: number): Promise<void> {
    const { storage, cache, keeper, clock } = this.parts;
    const deadline = new AbortController();
    const giveUp = (): void => deadline.abort();
    const timer = clock.setTimer(WAIT_MS, giveUp);
    this.stopping.signal.addEventListener('abort', giveUp, { once: true });
    const events: CacheEvent[] = [];
    let complete = false;
    try {
      const watch = await storage.watch(storage.resource.prefix, {
        resourceVersion: String(from),
        sendInitialEvents: false,
        bookmarks: true,
        signal: deadline.signal,
      });
      try {
        // Where nothing more happened, only a sign of progress says so.
        storage.requestProgress();
        reading: for await (const batch of watch) {
          for (const event of batch) {
            if (event.type === 'ERROR') break reading;
            const revision = event.type === 'BOOKMARK' ? event.revision : event.object.revision;
            complete = event.type === 'BOOKMARK' ? revision >= until : revision > until;
            if (complete) break reading;
            if (event.type === 'BOOKMARK') continue;
            const { type, object, previous } = event;
            const now = type === 'DELETED' ? undefined : CachedObject.of(object, storage.resource, keeper);
            const before =
              previous === undefined ? undefined : CachedObject.of(previous, storage.resource, keeper);
            if (now === undefined && before === undefined) break reading;
            events.push(new CacheEvent(revision, now, before, clock.monotonicMs()));
            if (events.length > EVENTS_MAX) break reading;
          }
        }
      } finally {
        watch.stop();
      }
    } catch {
      // A store that cannot say what happened leaves the answer as it was: too old.
    } finally {
      timer.cancel();
      this.stopping.signal.removeEventListener('abort', giveUp);
    }
    // Meanwhile the state may have been listed anew, and history with it.
    const fits = complete && cache.oldestRevision === until && !cache.hasForgotten;
    if (fits) cache.prepend(events, from);
    else this.unknown = Math.max(this.unknown, from);
  }
}
