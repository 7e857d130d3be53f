/**
 * A loop over the keys of one resource's objects: its queue, begun when its informers have seen all there is. What is
 * particular to it comes as a function.
 */

import { keyOf, WorkQueue, type Informer, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from './controller.ts';

export interface SimpleLoopOptions {
  /** Of the queue. */
  readonly name: string;
  /** The informers it waits for; the first one's objects are its keys. */
  readonly informers: readonly [Informer, ...Informer[]];
  readonly work: (key: string, signal: AbortSignal) => Promise<Outcome>;
  readonly concurrency?: number;
}

const CONCURRENCY = 5;

export class SimpleLoop implements Controller {
  readonly queue: WorkQueue<string>;
  private readonly informers: readonly Informer[];

  constructor({ clock, logger, metrics }: ControllerParts, options: SimpleLoopOptions) {
    const { name, informers, work, concurrency = CONCURRENCY } = options;
    const [own] = informers;
    this.informers = informers;
    this.queue = new WorkQueue<string>({
      name,
      clock,
      logger,
      metrics,
      concurrency,
      work,
      refill: () => {
        for (const object of own.list()) this.queue.add(keyOf(object));
      },
    });
  }

  start(): void {
    void Promise.all(this.informers.map((informer) => informer.whenSynced())).then(() => this.queue.start());
  }

  stop(): Promise<void> {
    return this.queue.stop();
  }

  get synced(): boolean {
    return this.informers.every(({ synced }) => synced);
  }

  get quiet(): boolean {
    return this.queue.quiet;
  }
}
