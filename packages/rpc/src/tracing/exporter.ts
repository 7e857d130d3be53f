/**
 * Spans on their way to the collector: a queue with a bound, and one batch at a time over a channel. Whatever goes
 * wrong costs spans and nothing else: they are counted as dropped, and whoever records them never waits. The figures
 * are those of OpenTelemetry's batch processor; unlike it, a batch that failed is not sent again.
 */
import { Ring, toError, type Clock, type Logger, type Timer } from '@keelson/base';
import type { Channel } from '../channel.ts';
import { EXPORT, type Resource } from './otlp.ts';
import type { Span } from './span.ts';

const QUEUE_MAX = 2_048;
const BATCH_MAX = 512;
const INTERVAL_MS = 5_000;
const EXPORT_TIMEOUT_MS = 10_000;
/** At the end of a member the last spans get so long; nobody is served meanwhile. */
const LAST_EXPORT_MS = 3_000;

export interface ExportCounters {
  exported: number;
  /** The queue was full. */
  droppedFull: number;
  /** The collector could not be reached, or refused them. */
  droppedFailed: number;
}

export class Exporter {
  readonly counters: ExportCounters = { exported: 0, droppedFull: 0, droppedFailed: 0 };
  private readonly channel: Channel;
  private readonly resource: Resource;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly queue = new Ring<Span>();
  private timer: Timer | undefined = undefined;
  private sending: Promise<void> | undefined = undefined;
  private failing = false;
  private closed = false;

  /** The channel becomes the exporter's own. */
  constructor(channel: Channel, resource: Resource, clock: Clock, logger: Logger) {
    this.channel = channel;
    this.resource = resource;
    this.clock = clock;
    this.logger = logger;
  }

  get queued(): number {
    return this.queue.length;
  }

  /** Takes an ended span. */
  add(span: Span): void {
    if (this.closed || this.queue.length >= QUEUE_MAX) {
      this.counters.droppedFull++;
      return;
    }
    this.queue.push(span);
    // A collector that does not answer is asked at its time only.
    if (this.queue.length >= BATCH_MAX && !this.failing) void this.send(EXPORT_TIMEOUT_MS);
    else this.timer ??= this.clock.setTimer(INTERVAL_MS, () => this.due());
  }

  /** Sends what is left, as far as the collector takes it in time, and lets go of the channel. */
  async close(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    // Whatever is under way by then fails, and with it the rest.
    const last = this.clock.setTimer(LAST_EXPORT_MS, () => this.channel.close());
    await this.sending;
    while (this.queue.length > 0 && !this.failing) await this.send(LAST_EXPORT_MS);
    last.cancel();
    this.counters.droppedFailed += this.queue.length;
    this.queue.clear();
    this.channel.close();
  }

  private due(): void {
    this.timer = undefined;
    void this.send(EXPORT_TIMEOUT_MS);
  }

  /** Never rejects. */
  private send(timeoutMs: number): Promise<void> {
    this.sending ??= this.exportBatch(timeoutMs).finally(() => {
      this.sending = undefined;
      if (this.closed) return;
      if (this.queue.length >= BATCH_MAX && !this.failing) void this.send(EXPORT_TIMEOUT_MS);
      else if (this.queue.length > 0) this.timer ??= this.clock.setTimer(INTERVAL_MS, () => this.due());
    });
    return this.sending;
  }

  private async exportBatch(timeoutMs: number): Promise<void> {
    const spans: Span[] = [];
    while (spans.length < BATCH_MAX) {
      const span = this.queue.shift();
      if (span === undefined) break;
      spans.push(span);
    }
    if (spans.length === 0) return;
    const { counters } = this;
    try {
      const { rejectedSpans } = await this.channel.unary(
        EXPORT,
        { resource: this.resource, spans },
        { timeoutMs },
      );
      const rejected = Math.min(rejectedSpans, spans.length);
      counters.exported += spans.length - rejected;
      counters.droppedFailed += rejected;
      if (this.failing)
        this.logger.info('spans reach the collector again', { address: this.channel.address });
      this.failing = false;
    } catch (error) {
      counters.droppedFailed += spans.length;
      // Once, not every five seconds.
      if (!this.failing)
        this.logger.warn('spans do not reach the collector; they are dropped until they do', {
          address: this.channel.address,
          error: toError(error).message,
        });
      this.failing = true;
    }
  }
}
