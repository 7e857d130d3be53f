/**
 * Where audit events go: several backends at once, each in one of three modes. `blocking` is done with an event before
 * its request goes on, `blocking-strict` refuses the request when the first event of it could not be written, `batch`
 * gathers events in a bounded queue and sends them when a batch is full or its time is up; what the queue does not hold
 * is lost, and counted.
 *
 * Modelled on apiserver's plugin/pkg/audit: buffered, truncate, union.
 */

import { toError, type Clock, type Logger, type Timer } from '@keelson/base';

import { writeJson } from '../codec/json-writer.ts';
import { truncated, type AuditEvent } from './event.ts';

/** Writes events somewhere. */
export interface EventSink {
  /** @throws Error when they are not written */
  write(events: readonly AuditEvent[]): void | Promise<void>;
  close?(): void;
}

export interface AuditBackend {
  /** @returns whether all were taken; false refuses the request where that is the mode */
  process(event: AuditEvent): boolean | Promise<boolean>;
  /** Writes what waits; nothing is taken after it. */
  stop(): Promise<void>;
}

export type Mode = 'batch' | 'blocking' | 'blocking-strict';

export interface BackendOptions {
  /** `log`, `webhook`. */
  readonly name: string;
  readonly mode: Mode;
  readonly batch: BatchOptions;
  /** Undefined: events are written however long they are. */
  readonly truncate: { readonly eventBytesMax: number; readonly batchBytesMax: number } | undefined;
  readonly clock: Pick<Clock, 'monotonicMs' | 'setTimer'>;
  readonly logger: Logger;
  readonly observer: AuditObserver;
}

export interface BatchOptions {
  readonly bufferMax: number;
  readonly sizeMax: number;
  readonly waitMs: number;
  /** Undefined: as many batches as there are. */
  readonly throttle: { readonly perSecond: number; readonly burst: number } | undefined;
}

/** Told what is counted. */
export interface AuditObserver {
  /** Events that were not written. */
  failed(plugin: string, count: number): void;
}

/** A sink behind its mode. */
export function makeBackend(sink: EventSink, options: BackendOptions): AuditBackend {
  const { name, mode, truncate, logger, observer } = options;
  const target = truncate === undefined ? sink : truncating(sink, truncate, name, observer);
  if (mode === 'batch') return new BatchBackend(target, options);
  return {
    async process(event) {
      try {
        await target.write([event]);
        return true;
      } catch (error) {
        observer.failed(name, 1);
        logger.error('an audit event was not written', { backend: name, error: toError(error).message });
        return mode !== 'blocking-strict';
      }
    },
    stop() {
      target.close?.();
      return Promise.resolve();
    },
  };
}

/** All of them, at the same time. */
export function union(backends: readonly AuditBackend[]): AuditBackend {
  if (backends.length === 1) return backends[0];
  return {
    async process(event) {
      const taken = await Promise.all(backends.map(async (backend) => backend.process(event)));
      return taken.every(Boolean);
    },
    async stop() {
      await Promise.all(backends.map((backend) => backend.stop()));
    },
  };
}

class BatchBackend implements AuditBackend {
  private readonly sink: EventSink;
  private readonly options: BackendOptions;
  private waiting: AuditEvent[] = [];
  private timer: Timer | undefined = undefined;
  private sending: Promise<void> = Promise.resolve();
  private sendingCount = 0;
  private tokens: number;
  private tokensMs: number;
  private stopped = false;

  constructor(sink: EventSink, options: BackendOptions) {
    this.sink = sink;
    this.options = options;
    this.tokens = options.batch.throttle?.burst ?? 0;
    this.tokensMs = options.clock.monotonicMs();
  }

  process(event: AuditEvent): boolean {
    const { batch, name, observer, clock } = this.options;
    // What is on its way to the sink is still held: a sink that hangs must not fill the memory.
    if (this.stopped || this.waiting.length + this.sendingCount >= batch.bufferMax) {
      observer.failed(name, 1);
      return true;
    }
    this.waiting.push(event);
    if (this.waiting.length >= batch.sizeMax) this.flush();
    else if (this.timer === undefined && batch.waitMs > 0) {
      this.timer = clock.setTimer(batch.waitMs, () => this.flush());
    }
    return true;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.flush();
    await this.sending;
    this.sink.close?.();
  }

  private flush(): void {
    this.timer?.cancel();
    this.timer = undefined;
    while (this.waiting.length > 0) {
      const events = this.waiting.splice(0, Math.max(1, this.options.batch.sizeMax));
      this.sendingCount += events.length;
      this.sending = this.sending.then(() => this.send(events));
    }
  }

  private async send(events: readonly AuditEvent[]): Promise<void> {
    const { name, observer, logger } = this.options;
    try {
      if (!this.stopped) await this.throttle();
      await this.sink.write(events);
    } catch (error) {
      observer.failed(name, events.length);
      logger.error('audit events were not written', {
        backend: name,
        count: events.length,
        error: toError(error).message,
      });
    } finally {
      this.sendingCount -= events.length;
    }
  }

  /** Waits for a token: `burst` of them at most, `perSecond` new ones a second. */
  private async throttle(): Promise<void> {
    const { batch, clock } = this.options;
    if (batch.throttle === undefined || batch.throttle.perSecond <= 0) return;
    const { perSecond, burst } = batch.throttle;
    const refill = (): void => {
      const nowMs = clock.monotonicMs();
      this.tokens = Math.min(Math.max(1, burst), this.tokens + ((nowMs - this.tokensMs) / 1_000) * perSecond);
      this.tokensMs = nowMs;
    };
    refill();
    if (this.tokens < 1) {
      const waitMs = ((1 - this.tokens) / perSecond) * 1_000;
      await new Promise<void>((resolve) => {
        clock.setTimer(waitMs, resolve);
      });
      refill();
    }
    this.tokens -= 1;
  }
}

/** Cuts events that are too long, drops what is too long even so, and parts batches. */
function truncating(
  sink: EventSink,
  { eventBytesMax, batchBytesMax }: NonNullable<BackendOptions['truncate']>,
  name: string,
  observer: AuditObserver,
): EventSink {
  return {
    async write(events) {
      let batch: AuditEvent[] = [];
      let batchBytes = 0;
      for (const event of events) {
        let fitting = event;
        let bytes = bytesOf(fitting);
        if (bytes > eventBytesMax) {
          fitting = truncated(event);
          bytes = bytesOf(fitting);
        }
        if (bytes > eventBytesMax) {
          observer.failed(`truncate_${name}`, 1);
          continue;
        }
        if (batchBytes + bytes > batchBytesMax && batch.length > 0) {
          await sink.write(batch);
          batch = [];
          batchBytes = 0;
        }
        batch.push(fitting);
        batchBytes += bytes;
      }
      if (batch.length > 0) await sink.write(batch);
    },
    close: () => sink.close?.(),
  };
}

function bytesOf({ object }: AuditEvent): number {
  return Buffer.byteLength(writeJson(object));
}
