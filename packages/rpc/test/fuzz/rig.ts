/**
 * What a connection under test stands on: a clock and timers that the run moves, and a pipe that keeps what it is given
 * for as long as it likes, tells the judge of every frame, and notices when memory it was lent changes under it.
 */
import type { Clock, Timer } from '@keelson/base';
import type { Pipe } from '../../src/pipe.ts';
import { BrokenPromise, type Judge } from './judge.ts';

export class ManualClock implements Clock {
  private timeMs = 0;
  private readonly timers = new Set<{ readonly atMs: number; readonly task: () => void }>();

  nowMs(): number {
    return this.timeMs;
  }

  monotonicMs(): number {
    return this.timeMs;
  }

  setTimer(delayMs: number, task: () => void): Timer {
    const timer = { atMs: this.timeMs + delayMs, task };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }

  advance(ms: number): void {
    this.timeMs += ms;
    for (const timer of this.timers) {
      if (timer.atMs > this.timeMs) continue;
      this.timers.delete(timer);
      timer.task();
    }
  }
}

export class WatchedPipe implements Pipe {
  readonly peerCertificate = undefined;
  readonly peer = 'fuzz';
  closed = false;
  /** Keeps what it gets until `drain`. */
  slow = false;
  pendingBytes = 0;
  pendingMost = 0;
  private readonly judge: Judge;
  private lent: { readonly chunk: Buffer; readonly copy: Buffer }[] = [];
  private held: Buffer = Buffer.alloc(0);
  /** Of a client: the preface, which is no frame. */
  private skip: number;

  constructor(judge: Judge, skip: number) {
    this.judge = judge;
    this.skip = skip;
  }

  write(chunks: readonly Buffer[]): boolean {
    let bytes: Buffer = Buffer.concat([this.held, ...chunks]);
    const skipped = Math.min(this.skip, bytes.length);
    this.skip -= skipped;
    bytes = bytes.subarray(skipped);
    let at = 0;
    while (bytes.length - at >= 9) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (bytes.length < end) break;
      this.judge.said(bytes.subarray(at, end));
      at = end;
    }
    this.held = bytes.subarray(at);
    if (!this.slow) return true;
    for (const chunk of chunks) {
      this.lent.push({ chunk, copy: Buffer.from(chunk) });
      this.pendingBytes += chunk.length;
    }
    this.pendingMost = Math.max(this.pendingMost, this.pendingBytes);
    return false;
  }

  /** The system took everything. */
  drain(): void {
    for (const { chunk, copy } of this.lent)
      if (!chunk.equals(copy)) throw new BrokenPromise('it changed memory that a socket still has to send');
    this.lent = [];
    this.pendingBytes = 0;
  }

  end(): void {
    if (this.held.length > 0) throw new BrokenPromise('it said half a frame and ended');
    this.closed = true;
  }

  destroy(): void {
    this.closed = true;
  }
}
