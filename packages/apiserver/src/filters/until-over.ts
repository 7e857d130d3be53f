/**
 * A stream with somebody who is told when it is over, however that comes: its own end, its failure, a reader who leaves,
 * also one who leaves before he began, which a generator never hears of. Can be polled where the stream behind it can.
 */

import { isReady, type ReadyIterator } from '../api/ready.ts';

/** The stream, and a word when it is over, however it ends. */
export class Until implements AsyncIterable<Buffer>, ReadyIterator<Buffer> {
  private readonly inner: AsyncIterator<Buffer>;
  private readonly ended: () => void;
  /** The same stream, once it can be polled. */
  private ready: ReadyIterator<Buffer> | undefined = undefined;

  constructor(chunks: AsyncIterable<Buffer>, ended: () => void) {
    this.inner = chunks[Symbol.asyncIterator]();
    this.ended = ended;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  get canPoll(): boolean {
    if (isReady(this.inner)) this.ready = this.inner;
    return this.ready !== undefined;
  }

  poll(): Buffer | 'ended' | undefined {
    try {
      const piece = this.ready === undefined ? 'ended' : this.ready.poll();
      if (piece === 'ended') this.ended();
      return piece;
    } catch (error) {
      this.ended();
      throw error;
    }
  }

  whenReady(task: () => void): void {
    this.ready?.whenReady(task);
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      const step = await this.inner.next();
      if (step.done !== true) return step;
      this.ended();
    } catch (error) {
      this.ended();
      throw error;
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Buffer, undefined>> {
    this.ended();
    await this.inner.return?.();
    return { done: true, value: undefined };
  }
}
