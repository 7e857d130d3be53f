/**
 * A connection that is read and written no faster than a number of bytes a second, each way for itself. What came is handed
 * on whole; who asks for more waits until it would have come at that pace.
 *
 * Modelled on what apimachinery's util/proxy does with go-flowrate.
 */

import type { Clock } from '@keelson/base';

import type { ByteConnection } from '../api/exchange.ts';

/** Pauses that are shorter are saved up: a timer costs more than they do. */
const PAUSE_MIN_MS = 10;

export class PacedConnection implements ByteConnection {
  readonly closed: Promise<void>;
  private readonly inner: ByteConnection;
  private readonly clock: Pick<Clock, 'setTimer'>;
  private readonly bytesPerSecond: number;
  private owedInMs = 0;
  private owedOutMs = 0;
  /** What ends each pause. */
  private readonly pauses = new Set<() => void>();
  private over = false;

  constructor(inner: ByteConnection, bytesPerSecond: number, clock: Pick<Clock, 'setTimer'>) {
    this.inner = inner;
    this.bytesPerSecond = bytesPerSecond;
    this.clock = clock;
    this.closed = inner.closed;
    // Once: a connection may last for days, and what waits for a promise stays with it.
    void inner.closed.then(() => {
      this.over = true;
      for (const end of this.pauses) end();
    });
  }

  async read(): Promise<Buffer | undefined> {
    const owed = this.owedInMs;
    if (owed >= PAUSE_MIN_MS) {
      this.owedInMs = 0;
      await this.pause(owed);
    }
    const chunk = await this.inner.read();
    if (chunk !== undefined) this.owedInMs += this.timeOf(chunk);
    return chunk;
  }

  write(chunk: Buffer): boolean {
    this.owedOutMs += this.timeOf(chunk);
    const more = this.inner.write(chunk);
    return more && this.owedOutMs < PAUSE_MIN_MS;
  }

  async drained(): Promise<void> {
    const owed = this.owedOutMs;
    this.owedOutMs = 0;
    await this.inner.drained();
    if (owed > 0) await this.pause(owed);
  }

  end(): void {
    this.inner.end();
  }

  destroy(): void {
    this.inner.destroy();
  }

  private timeOf(chunk: Buffer): number {
    return (chunk.length * 1000) / this.bytesPerSecond;
  }

  /** Also over when the connection is. */
  private pause(delayMs: number): Promise<void> {
    if (this.over) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.pauses.delete(end);
        resolve();
      };
      const timer = this.clock.setTimer(delayMs, end);
      this.pauses.add(end);
    });
  }
}
