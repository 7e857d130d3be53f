/**
 * Windows (RFC 9113 §5.2, §6.9) as plain arithmetic: what we may still send, what the peer may still send,
 * and when to give back what was consumed. No frames here.
 */
import { WINDOW_MAX } from './frames.ts';

/** What may still be sent. May be below zero after the peer lowered its initial window. */
export class SendWindow {
  left: number;

  constructor(initial: number) {
    this.left = initial;
  }

  /** @returns false when the window would pass 2^31-1: a flow-control error */
  grow(bytes: number): boolean {
    if (this.left + bytes > WINDOW_MAX) return false;
    this.left += bytes;
    return true;
  }
}

/** What the peer may still send, and what it sent that has not been given back. `left + owed ≤ size`. */
export class ReceiveWindow {
  private readonly size: number;
  private left: number;
  private owed = 0;

  constructor(size: number) {
    this.size = size;
    this.left = size;
  }

  /** @returns false when the peer sent more than it may */
  take(bytes: number): boolean {
    this.left -= bytes;
    return this.left >= 0;
  }

  /** These bytes were consumed. */
  release(bytes: number): void {
    this.owed += bytes;
  }

  /**
   * The increment to announce now; 0 while less than half of the window waits: fewer, larger updates.
   */
  due(): number {
    if (this.owed * 2 < this.size) return 0;
    const increment = this.owed;
    this.owed = 0;
    this.left += increment;
    return increment;
  }
}
