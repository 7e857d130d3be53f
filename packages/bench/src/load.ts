/**
 * The engine of every load: a number of clients that each make one call at a time, as fast as answers come
 * (closed loop) or at given times (open loop). In the open loop a call's latency counts from the time it was
 * meant to start, so a server that stalls also pays for the calls that had to wait behind the stall
 * (coordinated omission, as wrk2 treats it). Warm-up calls leave no trace. A failed call is counted under its
 * status and never repeated.
 */
import { RpcError, statusName } from '@keelson/rpc';
import { LatencyHistogram, type Quantiles } from './histogram.ts';

/** A call that did not come to its end, under the name it is counted by; not the generator's own fault. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
  /** "HTTP 409", "broken". */
  readonly status: string;

  constructor(status: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export interface LoadPlan {
  /** Calls in flight at most. */
  readonly clients: number;
  /** Calls per second meant to start, all clients together; 0: a closed loop. */
  readonly ratePerSecond: number;
  readonly warmupMs: number;
  /** Length of the measured window; Infinity when `total` ends it. */
  readonly durationMs: number;
  /** Measured calls at most; Infinity when `durationMs` ends the window. */
  readonly total: number;
  /** Calls at most, warm-up included; when they are used up the window closes. Infinity when left out. */
  readonly calls?: number;
  /** Asked before each call: whether nobody wants the result any more. */
  readonly stopped?: () => boolean;
}

/**
 * @param sequence of the call, from 0, warm-up included
 * @param intendedMs when it was meant to start, on the pace's clock
 */
export type Call = (client: number, sequence: number, intendedMs: number) => Promise<void>;

/** Time, as an argument for tests. */
export interface Pace {
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

export const realPace: Pace = {
  nowMs: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

export interface LoadObserver {
  /** The warm-up is over. */
  windowOpened?(): void;
  windowClosed?(): void;
}

export interface LoadResult {
  readonly seconds: number;
  /** Calls that ended well while the window was open. */
  readonly completed: number;
  /** Calls by the name of the status they failed with, in the window. */
  readonly errors: Readonly<Record<string, number>>;
  /** From the intended start. */
  readonly latency: Quantiles;
  /** From the real start; the same as `latency` in a closed loop. */
  readonly service: Quantiles;
}

/** When call `sequence` of an open loop is meant to start, counted from the first. */
export function intendedOffsetMs(sequence: number, ratePerSecond: number): number {
  return (sequence * 1000) / ratePerSecond;
}

export class Load {
  private readonly plan: LoadPlan;
  private readonly call: Call;
  private readonly observer: LoadObserver;
  private readonly pace: Pace;
  private readonly latency = new LatencyHistogram();
  private readonly service = new LatencyHistogram();
  private readonly errors = new Map<string, number>();
  private startMs = 0;
  private openedMs = -1;
  private closedMs = -1;
  private issued = 0;
  private measured = 0;
  private done = 0;

  constructor(plan: LoadPlan, call: Call, observer: LoadObserver = {}, pace: Pace = realPace) {
    this.plan = plan;
    this.call = call;
    this.observer = observer;
    this.pace = pace;
  }

  /** Calls that ended well in the window so far. */
  get completed(): number {
    return this.done;
  }

  /** 0 to 1, warm-up included. */
  get fraction(): number {
    const { warmupMs, durationMs, total } = this.plan;
    if (this.closedMs >= 0) return 1;
    if (total !== Infinity) return Math.min(1, this.done / total);
    return Math.min(1, (this.pace.nowMs() - this.startMs) / (warmupMs + durationMs));
  }

  /** Once. @throws Error when it was stopped */
  async run(): Promise<LoadResult> {
    this.startMs = this.pace.nowMs();
    const clients = Array.from({ length: this.plan.clients }, (_, client) => this.client(client));
    await Promise.all(clients);
    if (this.plan.stopped?.() === true) throw new Error('stopped');
    this.open(this.pace.nowMs());
    this.close(this.pace.nowMs());
    return {
      seconds: (this.closedMs - this.openedMs) / 1000,
      completed: this.done,
      errors: Object.fromEntries(this.errors),
      latency: this.latency.quantiles(),
      service: (this.plan.ratePerSecond > 0 ? this.service : this.latency).quantiles(),
    };
  }

  private async client(client: number): Promise<void> {
    const { warmupMs, durationMs, total, ratePerSecond, calls = Infinity, stopped } = this.plan;
    for (;;) {
      if (stopped?.() === true) return;
      let nowMs = this.pace.nowMs();
      if (nowMs - this.startMs >= warmupMs) this.open(nowMs);
      if (this.openedMs >= 0) {
        if (this.measured >= total) return;
        if (nowMs - this.openedMs >= durationMs) return this.close(nowMs);
      }
      if (this.issued >= calls) {
        if (this.openedMs >= 0) this.close(nowMs);
        return;
      }
      const sequence = this.issued++;
      let intendedMs = nowMs;
      if (ratePerSecond > 0) {
        intendedMs = this.startMs + intendedOffsetMs(sequence, ratePerSecond);
        if (intendedMs - this.startMs >= warmupMs + durationMs) return;
        if (intendedMs > nowMs) {
          await this.pace.sleep(intendedMs - nowMs);
          nowMs = this.pace.nowMs();
          if (nowMs - this.startMs >= warmupMs) this.open(nowMs);
        }
      }
      const counted = this.openedMs >= 0 && intendedMs - this.startMs >= warmupMs;
      if (counted) {
        if (this.measured >= total) return;
        this.measured++;
      }
      let failed: unknown;
      try {
        await this.call(client, sequence, intendedMs);
      } catch (error) {
        failed = error;
      }
      this.ended(failed, intendedMs, nowMs, counted);
    }
  }

  /**
   * A call that ends in a timed window counts for the rate wherever it started: else a window not much longer
   * than the latency would look empty. Latencies are of calls meant to start in the window alone.
   */
  private ended(failed: unknown, intendedMs: number, startMs: number, counted: boolean): void {
    const endMs = this.pace.nowMs();
    // A programming error is not a figure.
    if (failed !== undefined && !(failed instanceof RpcError || failed instanceof CallFailed)) throw failed;
    const windowOpen = this.openedMs >= 0 && this.closedMs < 0;
    if (failed !== undefined) {
      if (!counted && !windowOpen) return;
      const name = failed instanceof CallFailed ? failed.status : statusName(failed.code);
      this.errors.set(name, (this.errors.get(name) ?? 0) + 1);
      return;
    }
    if (windowOpen && (counted || this.plan.total === Infinity)) this.done++;
    if (!counted) return;
    this.latency.record(endMs - intendedMs);
    if (this.plan.ratePerSecond > 0) this.service.record(endMs - startMs);
  }

  private open(nowMs: number): void {
    if (this.openedMs >= 0) return;
    this.openedMs = nowMs;
    this.observer.windowOpened?.();
  }

  private close(nowMs: number): void {
    if (this.closedMs >= 0) return;
    this.closedMs = nowMs;
    this.observer.windowClosed?.();
  }
}
