/**
 * Readers that wait until the cache has reached a revision. While anybody waits, the store is asked to tell how far it
 * is, at once and then every so often.
 */

import type { Clock, Timer } from '@keelson/base';

/** As often the store is asked while somebody waits, as upstream. */
const ASK_MS = 100;
/** The first request of a reader follows another one after as long at least. */
const ASK_GAP_MS = 5;

interface Waiter {
  readonly revision: number;
  readonly settle: (reached: boolean) => void;
}

export class RevisionWaits {
  private readonly clock: Clock;
  private readonly ask: () => void;
  private readonly waiters = new Set<Waiter>();
  private timer: Timer | undefined = undefined;
  private dueMs = 0;
  private askedMs = -Infinity;

  /** @param ask for a sign of progress */
  constructor(clock: Clock, ask: () => void) {
    this.clock = clock;
    this.ask = ask;
  }

  /** @returns whether it was reached in time. @throws the signal's reason */
  async wait(revision: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    signal?.throwIfAborted();
    const reached = await new Promise<boolean>((resolve) => {
      const abort = (): void => waiter.settle(false);
      const deadline = this.clock.setTimer(timeoutMs, abort);
      const waiter: Waiter = {
        revision,
        settle: (yes) => {
          this.waiters.delete(waiter);
          deadline.cancel();
          signal?.removeEventListener('abort', abort);
          if (this.waiters.size === 0) this.rest();
          resolve(yes);
        },
      };
      this.waiters.add(waiter);
      signal?.addEventListener('abort', abort, { once: true });
      this.askWithin(ASK_GAP_MS);
    });
    signal?.throwIfAborted();
    return reached;
  }

  /** The cache is at `revision`. */
  reached(revision: number): void {
    for (const waiter of this.waiters) if (waiter.revision <= revision) waiter.settle(true);
  }

  /** Nothing will be reached any more. */
  giveUp(): void {
    for (const waiter of this.waiters) waiter.settle(false);
  }

  private askWithin(gapMs: number): void {
    const nowMs = this.clock.monotonicMs();
    const atMs = Math.max(nowMs, this.askedMs + gapMs);
    if (this.timer !== undefined && this.dueMs <= atMs) return;
    this.rest();
    if (atMs <= nowMs) {
      this.askNow();
      return;
    }
    this.dueMs = atMs;
    this.timer = this.clock.setTimer(atMs - nowMs, () => this.askNow());
  }

  private askNow(): void {
    this.rest();
    this.askedMs = this.clock.monotonicMs();
    this.dueMs = this.askedMs + ASK_MS;
    this.timer = this.clock.setTimer(ASK_MS, () => this.askNow());
    this.ask();
  }

  private rest(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }
}
