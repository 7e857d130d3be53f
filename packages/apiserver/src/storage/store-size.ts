/**
 * How large the store's database is, asked for now and then: what the metrics tell. The first member that answers is
 * believed, since all hold the same; a store that does not answer has no size until it does. Never holds up anything.
 */

import type { Clock, Timer } from '@keelson/base';

/** What is asked of the client. */
export interface SizeSource {
  readonly endpoints: readonly string[];
  readonly maintenance: {
    status(options: {
      readonly endpoint: string;
      readonly timeoutMs: number;
    }): Promise<{ readonly dbSize: number }>;
  };
}

/** The original's, for its monitor. */
const ANSWER_MS = 1_000;
/** A store that did not answer, at a start before it for example, is asked again sooner. */
const RETRY_MS = 5_000;

export class StoreSize {
  private readonly source: SizeSource;
  private readonly clock: Pick<Clock, 'setTimer'>;
  private readonly intervalMs: number;
  private known: number | undefined = undefined;
  private timer: Timer | undefined = undefined;
  private stopped = false;

  /** @param intervalMs between questions; 0: it is never asked */
  constructor(source: SizeSource, clock: Pick<Clock, 'setTimer'>, intervalMs: number) {
    this.source = source;
    this.clock = clock;
    this.intervalMs = intervalMs;
  }

  /** As the last question found it; undefined: not known. */
  get bytes(): number | undefined {
    return this.known;
  }

  start(): void {
    if (this.intervalMs > 0) void this.ask();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private async ask(): Promise<void> {
    this.known = await this.answer();
    if (this.stopped) return;
    const waitMs = this.known === undefined ? Math.min(this.intervalMs, RETRY_MS) : this.intervalMs;
    this.timer = this.clock.setTimer(waitMs, () => void this.ask());
  }

  private async answer(): Promise<number | undefined> {
    const { endpoints, maintenance } = this.source;
    for (const endpoint of endpoints) {
      if (this.stopped) return undefined;
      try {
        return (await maintenance.status({ endpoint, timeoutMs: ANSWER_MS })).dbSize;
      } catch {
        // The next one may know; that none does is what an absent metric says, and the health check's affair.
      }
    }
    return undefined;
  }
}
