/**
 * The audit log: a bounded queue of lines before an output that may be slow, stuck or full. Lines leave in order and are
 * never given up once they are in the queue, short of the member's end. What happens when they cannot leave is the mode:
 * blocking holds answers until their lines are written and refuses further writes while the output fails; dropping never
 * makes anybody wait, and counts what it leaves out.
 *
 * Written means handed to the system: the log is not synced, so a machine that loses power may lose its last lines.
 */
import { Deferred, toError, type Clock, type Logger } from '@keelson/base';

/** Where lines go. */
export interface LineOutput {
  /** Writes all of `lines`. After a rejection it is called with the same buffer again, and goes on where it stopped. */
  write(lines: Buffer): Promise<void>;
  /** Its file may have been moved away: the next line goes to a new one of the same name. */
  reopen(): void;
  close(): Promise<void>;
}

export type AuditMode = 'blocking' | 'dropping';

/** Lines that wait: a second of load in any case we know; beyond it the output does not keep up. */
export const AUDIT_QUEUE_BYTES_MAX = 16 * 1024 * 1024;
/** Of one write to the output, and so what a rotating file may exceed its size by. */
const BATCH_BYTES_MAX = 256 * 1024;
/** A write to the output that takes longer counts as failed until it ends; no client waits longer for its line. */
const STALL_MS = 5_000;
const RETRY_MS = 1_000;
/** How long the end of a member waits for the last lines. */
const CLOSE_MS = 2_000;

export interface AuditCounters {
  written: number;
  /** Lines left out. */
  dropped: number;
  /** Requests refused because the output failed. */
  refused: number;
  /** Failed writes to the output. */
  failures: number;
}

/** The line cannot be written, or could not if the request were carried out. */
export class AuditError extends Error {
  override readonly name = 'AuditError';
}

interface Line {
  readonly bytes: Buffer;
  readonly written: Deferred<void> | undefined;
}

export class AuditLog {
  readonly counters: AuditCounters = { written: 0, dropped: 0, refused: 0, failures: 0 };
  private readonly output: LineOutput;
  private readonly mode: AuditMode;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private queue: Line[] = [];
  /** Those that are being written. */
  private batch: Line[] = [];
  private bytes = 0;
  /** Requests that wait for room. */
  private waiting: Deferred<void>[] = [];
  /** Why the output takes nothing now. */
  private failure: string | undefined = undefined;
  private draining: Promise<void> | undefined = undefined;
  private closed = false;

  constructor(output: LineOutput, mode: AuditMode, clock: Clock, logger: Logger) {
    this.output = output;
    this.mode = mode;
    this.clock = clock;
    this.logger = logger;
  }

  /** Bytes of lines that wait or are being written. */
  get queuedBytes(): number {
    return this.bytes;
  }

  get failing(): boolean {
    return this.failure !== undefined;
  }

  /**
   * Asked before a request is carried out.
   * @returns undefined to go on; or a promise to wait for
   * @throws AuditError in blocking mode while the output fails; the promise rejects with it too
   */
  admit(): Promise<void> | undefined {
    if (this.mode === 'dropping') return undefined;
    if (this.failure !== undefined) throw this.refusal(this.failure);
    if (this.bytes < AUDIT_QUEUE_BYTES_MAX) return undefined;
    const room = new Deferred<void>();
    this.waiting.push(room);
    return room.promise;
  }

  /**
   * Takes the line of a request that was carried out, or refused.
   * @param line without its end
   * @param admitted whether the request was: one that never came so far waits for nothing, so its line is left out of a
   *   full queue in any mode
   * @returns in blocking mode a promise of its being written, which rejects with AuditError while the output fails: the
   *   line is written then as well, once that works again
   */
  append(line: string, admitted = true): Promise<void> | undefined {
    const bytes = Buffer.from(`${line}\n`, 'utf8');
    const dropping = this.mode === 'dropping';
    const full = this.bytes > 0 && this.bytes + bytes.length > AUDIT_QUEUE_BYTES_MAX;
    if (this.closed || (full && (dropping || !admitted))) {
      this.counters.dropped++;
      return undefined;
    }
    const written = dropping || !admitted ? undefined : new Deferred<void>();
    this.queue.push({ bytes, written });
    this.bytes += bytes.length;
    if (this.failure !== undefined) written?.reject(new AuditError(this.failure));
    this.draining ??= this.drain();
    return written?.promise;
  }

  /** As SIGHUP. */
  reopen(): void {
    this.output.reopen();
  }

  /** Writes what is left, as long as that works and does not take too long. Never rejects. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.fail(this.waiting.splice(0), 'the member ends');
    await this.within(CLOSE_MS, this.draining);
    const lost = this.queue.length + this.batch.length;
    if (lost > 0) this.logger.error('the audit log lacks its last lines', { lines: lost });
    await this.within(CLOSE_MS, this.output.close());
  }

  /** Waits for work, but not for longer; how it ends is of no interest. */
  private async within(ms: number, work: Promise<void> | undefined): Promise<void> {
    const end = new Deferred<void>();
    const done = (): void => end.resolve();
    const timer = this.clock.setTimer(ms, done);
    work?.then(done, done);
    if (work !== undefined) await end.promise;
    timer.cancel();
  }

  private async drain(): Promise<void> {
    // Whatever this turn brings becomes one write.
    await Promise.resolve();
    while (this.queue.length > 0) {
      this.batch = this.takeBatch();
      const bytes = Buffer.concat(this.batch.map((line) => line.bytes));
      if (!(await this.written(bytes))) break;
      this.counters.written += this.batch.length;
      this.bytes -= bytes.length;
      for (const line of this.batch) line.written?.resolve();
      this.batch = [];
      if (this.bytes < AUDIT_QUEUE_BYTES_MAX) for (const room of this.waiting.splice(0)) room.resolve();
    }
    this.draining = undefined;
  }

  private takeBatch(): Line[] {
    let count = 0;
    let bytes = 0;
    while (
      count < this.queue.length &&
      (count === 0 || bytes + this.queue[count].bytes.length <= BATCH_BYTES_MAX)
    )
      bytes += this.queue[count++].bytes.length;
    return this.queue.splice(0, count);
  }

  /** Until it is; false when the member's end comes first. */
  private async written(bytes: Buffer): Promise<boolean> {
    for (;;) {
      const stall = this.clock.setTimer(STALL_MS, () => this.fails('a write takes too long'));
      try {
        await this.output.write(bytes);
        this.recovers();
        return true;
      } catch (error) {
        this.counters.failures++;
        this.fails(toError(error).message);
      } finally {
        stall.cancel();
      }
      if (this.closed) return false;
      await this.pause(RETRY_MS);
    }
  }

  private fails(reason: string): void {
    if (this.failure === undefined)
      this.logger.error('the audit log cannot be written', { error: reason, mode: this.mode });
    this.failure = reason;
    this.fail(this.waiting.splice(0), reason);
    for (const { written } of [...this.batch, ...this.queue]) written?.reject(new AuditError(reason));
  }

  private fail(requests: readonly Deferred<void>[], reason: string): void {
    for (const request of requests) request.reject(this.refusal(reason));
  }

  private refusal(reason: string): AuditError {
    this.counters.refused++;
    return new AuditError(reason);
  }

  private recovers(): void {
    if (this.failure === undefined) return;
    this.failure = undefined;
    this.logger.info('the audit log is written again');
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(ms, resolve));
  }
}
