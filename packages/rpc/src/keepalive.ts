/**
 * Pings a silent peer and gives it up when it does not answer (grpc-go's keepalive). Silence is measured
 * when the timer fires, so a busy connection never touches a timer.
 */
import type { Clock, Timer } from '@keelson/base';

/** The connection, as its keepalive sees it. */
export interface Kept {
  /** When anything came last, on the monotonic clock. */
  readonly heardMs: number;
  /** Whether pings are due while nothing arrives. */
  keepsAlive(): boolean;
  sendPing(payload: Buffer): void;
  cut(why: string): void;
}

const PING = Buffer.from('keelson!', 'latin1');
/** Timers hold at most 2^31-1 ms. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export class Keepalive {
  private readonly clock: Clock;
  private readonly intervalMs: number;
  private readonly timeoutMs: number;
  private readonly kept: Kept;
  private pinging = false;
  private timer: Timer;

  constructor(clock: Clock, intervalMs: number, timeoutMs: number, kept: Kept) {
    this.clock = clock;
    this.intervalMs = intervalMs;
    this.timeoutMs = timeoutMs;
    this.kept = kept;
    this.timer = this.arm(intervalMs);
  }

  stop(): void {
    this.timer.cancel();
  }

  private arm(delayMs: number): Timer {
    return this.clock.setTimer(Math.min(delayMs, TIMER_MAX_MS), this.look);
  }

  private readonly look = (): void => {
    const silentMs = this.clock.monotonicMs() - this.kept.heardMs;
    if (this.pinging) {
      this.pinging = false;
      if (silentMs >= this.timeoutMs) {
        this.kept.cut('keepalive ping failed to receive ACK within timeout');
        return;
      }
    }
    if (silentMs < this.intervalMs) {
      this.timer = this.arm(this.intervalMs - silentMs);
    } else if (!this.kept.keepsAlive()) {
      this.timer = this.arm(this.intervalMs);
    } else {
      this.pinging = true;
      this.kept.sendPing(PING);
      this.timer = this.arm(this.timeoutMs);
    }
  };
}
