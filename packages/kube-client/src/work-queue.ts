/**
 * Keys that wait for work: each at most once, never worked on twice at the same time, later again when that failed.
 * The queue is bounded: beyond its depth a new key is not kept, and when half of the queue is done its owner is asked
 * for everything there is, so that nothing is forgotten.
 *
 * Modelled on client-go's rate-limiting work queue.
 */

import { Heap, Ring, toError, type Clock, type HeapItem, type Logger, type Timer } from '@keelson/base';

import { KubeError } from './kube-error.ts';
import { QUEUE_SECONDS, type Counter, type Histogram, type MetricSet } from './metrics.ts';

/** How a piece of work ended. An error that is thrown is a 'retry' that is logged. */
export type Outcome =
  /** Begin its delays anew. */
  | 'done'
  /** Again, each time later. */
  | 'retry'
  | { readonly afterMs: number };

export interface WorkQueueOptions<T> {
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricSet;
  /** Pieces of work at the same time. */
  readonly concurrency: number;
  readonly work: (item: T, signal: AbortSignal) => Promise<Outcome>;
  /** Adds all there is, after keys were not kept. */
  readonly refill: () => void;
  readonly depthMax?: number;
  /** Of an item that fails again and again: as client-go 5 ms, doubled up to 1,000 s. */
  readonly firstDelayMs?: number;
  readonly maxDelayMs?: number;
}

const DEPTH_MAX = 100_000;
const FIRST_DELAY_MS = 5;
const MAX_DELAY_MS = 1_000_000;
/** Over all items, retries begin at most so often: as client-go 10 a second after 100 at once. */
const RETRIES_PER_SECOND = 10;
const RETRIES_AT_ONCE = 100;
/** So many begin before timers and sockets get their turn: in process, work may never wait for either. */
const BEGUN_PER_TURN = 20;

class Delayed<T> implements HeapItem {
  heapIndex = -1;
  readonly item: T;
  dueMs: number;

  constructor(item: T, dueMs: number) {
    this.item = item;
    this.dueMs = dueMs;
  }
}

export class WorkQueue<T> {
  private readonly options: WorkQueueOptions<T>;
  private readonly depthMax: number;
  private readonly ready = new Ring<T>();
  /** What is ready or is to become so when its work ends, and since when. */
  private readonly dirty = new Map<T, number>();
  private readonly working = new Map<T, number>();
  private readonly failures = new Map<T, number>();
  private readonly delayed = new Map<T, Delayed<T>>();
  private readonly byTime: Heap<Delayed<T>>;
  private readonly stopping = new AbortController();
  private readonly idle: (() => void)[] = [];
  private state: 'new' | 'running' | 'stopped' = 'new';
  private timer: Timer | undefined;
  private timerDueMs = Infinity;
  private turn: Timer | undefined;
  private begun = 0;
  private overflowed = false;
  private tokens = RETRIES_AT_ONCE;
  private tokensMs: number;
  private readonly adds: Counter;
  private readonly retries: Counter;
  private readonly dropped: Counter;
  private readonly waited: Histogram;
  private readonly worked: Histogram;

  constructor(options: WorkQueueOptions<T>) {
    const { clock, metrics, name } = options;
    this.options = options;
    this.depthMax = options.depthMax ?? DEPTH_MAX;
    this.byTime = new Heap<Delayed<T>>((a, b) => a.dueMs < b.dueMs);
    this.tokensMs = clock.monotonicMs();
    const labels = { name };
    this.adds = metrics.counter('workqueue_adds_total', 'Total number of adds handled by workqueue', labels);
    this.retries = metrics.counter(
      'workqueue_retries_total',
      'Total number of retries handled by workqueue',
      labels,
    );
    this.dropped = metrics.counter(
      'workqueue_overflows_total',
      'Items that a full queue did not keep; its owner is asked for all of them later',
      labels,
    );
    this.waited = metrics.histogram(
      'workqueue_queue_duration_seconds',
      'How long in seconds an item stays in workqueue before being requested.',
      labels,
      QUEUE_SECONDS,
    );
    this.worked = metrics.histogram(
      'workqueue_work_duration_seconds',
      'How long in seconds processing an item from workqueue takes.',
      labels,
      QUEUE_SECONDS,
    );
    metrics.gauge('workqueue_depth', 'Current depth of workqueue', labels, () => this.depth);
    metrics.gauge(
      'workqueue_unfinished_work_seconds',
      'How many seconds of work has done that is in progress and has not been observed by work_duration.',
      labels,
      () => this.workingSeconds((a, b) => a + b),
    );
    metrics.gauge(
      'workqueue_longest_running_processor_seconds',
      'How many seconds has the longest running processor for workqueue been running.',
      labels,
      () => this.workingSeconds(Math.max),
    );
  }

  /** Items that are ready. */
  get depth(): number {
    return this.ready.length;
  }

  /** Whether nothing is ready, delayed or being worked on. */
  get quiet(): boolean {
    return this.ready.length === 0 && this.working.size === 0 && this.delayed.size === 0;
  }

  /** How often in a row it failed. */
  failuresOf(item: T): number {
    return this.failures.get(item) ?? 0;
  }

  /** Begins to work; items may be added before. */
  start(): void {
    if (this.state !== 'new') return;
    this.state = 'running';
    this.pump();
  }

  /** Tells what runs to stop and resolves when it has. */
  async stop(): Promise<void> {
    if (this.state !== 'stopped') {
      this.state = 'stopped';
      this.stopping.abort();
      this.timer?.cancel();
      this.turn?.cancel();
    }
    if (this.working.size > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  add(item: T): void {
    if (this.state === 'stopped' || this.dirty.has(item)) return;
    if (!this.working.has(item) && this.ready.length >= this.depthMax) {
      this.overflowed = true;
      this.dropped.add();
      return;
    }
    this.adds.add();
    this.dirty.set(item, this.options.clock.monotonicMs());
    // What is being worked on comes again when that is done.
    if (this.working.has(item)) return;
    this.ready.push(item);
    this.pump();
  }

  /** Adds it after a while; an earlier time of the same item stands. */
  addAfter(item: T, delayMs: number): void {
    if (this.state === 'stopped') return;
    if (delayMs <= 0) return this.add(item);
    const dueMs = this.options.clock.monotonicMs() + delayMs;
    const before = this.delayed.get(item);
    if (before !== undefined) {
      if (before.dueMs <= dueMs) return;
      before.dueMs = dueMs;
      this.byTime.update(before);
    } else {
      if (this.delayed.size >= this.depthMax) {
        this.overflowed = true;
        this.dropped.add();
        return;
      }
      const entry = new Delayed(item, dueMs);
      this.delayed.set(item, entry);
      this.byTime.push(entry);
    }
    this.arm();
  }

  /** Adds it after the delay that its failures have earned it. */
  addLimited(item: T): void {
    const { firstDelayMs = FIRST_DELAY_MS, maxDelayMs = MAX_DELAY_MS } = this.options;
    const failures = this.failuresOf(item);
    this.failures.set(item, failures + 1);
    this.retries.add();
    const own = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(failures, 40));
    this.addAfter(item, Math.max(own, this.takeToken()));
  }

  /** Its next failure is its first. */
  forget(item: T): void {
    this.failures.delete(item);
  }

  /** How long until all items together may retry once more, ms. */
  private takeToken(): number {
    const nowMs = this.options.clock.monotonicMs();
    const earned = ((nowMs - this.tokensMs) / 1_000) * RETRIES_PER_SECOND;
    this.tokens = Math.min(RETRIES_AT_ONCE, this.tokens + earned) - 1;
    this.tokensMs = nowMs;
    return this.tokens >= 0 ? 0 : (-this.tokens / RETRIES_PER_SECOND) * 1_000;
  }

  private arm(): void {
    const next = this.byTime.peek();
    if (next === undefined || (this.timer !== undefined && this.timerDueMs <= next.dueMs)) return;
    this.timer?.cancel();
    this.timerDueMs = next.dueMs;
    const { clock } = this.options;
    this.timer = clock.setTimer(Math.max(0, next.dueMs - clock.monotonicMs()), () => this.due());
  }

  private due(): void {
    this.timer = undefined;
    const nowMs = this.options.clock.monotonicMs();
    for (
      let next = this.byTime.peek();
      next !== undefined && next.dueMs <= nowMs;
      next = this.byTime.peek()
    ) {
      this.byTime.pop();
      this.delayed.delete(next.item);
      this.add(next.item);
    }
    this.arm();
  }

  private pump(): void {
    if (this.state !== 'running') return;
    const { concurrency, clock } = this.options;
    while (this.working.size < concurrency && this.ready.length > 0) {
      if (this.begun >= BEGUN_PER_TURN) {
        this.turn ??= clock.setTimer(0, () => {
          this.turn = undefined;
          this.begun = 0;
          this.pump();
        });
        return;
      }
      const item = this.ready.shift();
      if (item === undefined) return;
      this.begun += 1;
      void this.process(item);
    }
  }

  private async process(item: T): Promise<void> {
    const { clock, work } = this.options;
    const beganMs = clock.monotonicMs();
    this.waited.observe((beganMs - (this.dirty.get(item) ?? beganMs)) / 1_000);
    this.dirty.delete(item);
    this.working.set(item, beganMs);
    let outcome: Outcome = 'retry';
    try {
      outcome = await work(item, this.stopping.signal);
    } catch (error) {
      this.report(item, error);
    }
    this.worked.observe((clock.monotonicMs() - beganMs) / 1_000);
    this.working.delete(item);
    this.finish(item, outcome);
  }

  private finish(item: T, outcome: Outcome): void {
    if (this.state === 'stopped') {
      if (this.working.size === 0) for (const resolve of this.idle.splice(0)) resolve();
      return;
    }
    if (outcome === 'done') this.forget(item);
    else if (outcome === 'retry') this.addLimited(item);
    else {
      this.forget(item);
      this.addAfter(item, outcome.afterMs);
    }
    if (this.dirty.has(item)) this.ready.push(item);
    if (this.overflowed && this.ready.length <= this.depthMax / 2) {
      this.overflowed = false;
      this.options.refill();
    }
    this.pump();
  }

  private report(item: T, thrown: unknown): void {
    if (this.stopping.signal.aborted) return;
    const { logger, name } = this.options;
    const error = toError(thrown);
    const expected = error instanceof KubeError;
    logger.log(expected ? 'warn' : 'error', 'work failed and is tried again', {
      queue: name,
      item: String(item),
      failures: this.failuresOf(item) + 1,
      error: error.message,
      ...(expected ? {} : { stack: error.stack }),
    });
  }

  private workingSeconds(join: (a: number, b: number) => number): number {
    const nowMs = this.options.clock.monotonicMs();
    let seconds = 0;
    for (const beganMs of this.working.values()) seconds = join(seconds, (nowMs - beganMs) / 1_000);
    return seconds;
  }
}
