/**
 * namespace-controller: a namespace that somebody deletes is emptied, and then goes. Until then it is looked after
 * again and again, soon at first, then at the original's pace.
 */

import { isDeleting, keyOf, WorkQueue, type Informer, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { NAMESPACES } from '../resources.ts';
import { ContentDeleter } from './content-deleter.ts';

export interface NamespaceOptions {
  /**
   * How long a namespace is left alone after its deletion began, ms: servers whose admission has not heard of it may
   * still create objects in it.
   */
  readonly graceMs: number;
  /** --concurrent-namespace-syncs */
  readonly concurrency?: number;
}

const CONCURRENCY = 10;
/** The first look at what is left; each next one doubles it, up to half of what the content is expected to take. */
const FIRST_LOOK_MS = 100;

export class NamespaceController implements Controller {
  private readonly informer: Informer;
  private readonly queue: WorkQueue<string>;
  private readonly deleter: ContentDeleter;
  private readonly looks = new Map<string, number>();
  private readonly graceMs: number;

  constructor(parts: ControllerParts, options: NamespaceOptions) {
    const { client, informers, discovery, clock, logger, metrics } = parts;
    this.graceMs = options.graceMs;
    this.deleter = new ContentDeleter(client, discovery, clock);
    this.informer = informers.informer(NAMESPACES, { metadataOnly: true });
    this.queue = new WorkQueue<string>({
      name: 'namespace',
      clock,
      logger,
      metrics,
      concurrency: options.concurrency ?? CONCURRENCY,
      maxDelayMs: 60_000,
      work: (name, signal) => this.work(name, signal),
      refill: () => this.refill(),
    });
    this.informer.handle({
      added: (namespace) => this.enqueue(namespace),
      updated: (namespace) => this.enqueue(namespace),
      deleted: (namespace) => this.looks.delete(keyOf(namespace)),
    });
  }

  start(): void {
    void this.informer.whenSynced().then(() => this.queue.start());
  }

  stop(): Promise<void> {
    return this.queue.stop();
  }

  get synced(): boolean {
    return this.informer.synced;
  }

  get quiet(): boolean {
    return this.queue.quiet;
  }

  private enqueue(namespace: Parameters<typeof keyOf>[0]): void {
    if (!isDeleting(namespace)) return;
    const name = keyOf(namespace);
    // Its own reports come back as events; while it is looked after, it comes again by its own pace.
    if (this.looks.has(name)) return;
    this.queue.addAfter(name, this.graceMs);
  }

  private refill(): void {
    for (const namespace of this.informer.list()) this.enqueue(namespace);
  }

  private async work(name: string, signal: AbortSignal): Promise<Outcome> {
    const namespace = this.informer.get(name);
    if (namespace === undefined || !isDeleting(namespace)) {
      this.looks.delete(name);
      return 'done';
    }
    const looks = this.looks.get(name) ?? 0;
    this.looks.set(name, looks + 1);
    const swept = await this.deleter.sweep(name, signal);
    if (swept.kind === 'done') {
      this.looks.delete(name);
      return 'done';
    }
    const paceMs = (Math.floor(swept.seconds / 2) + 1) * 1_000;
    return { afterMs: Math.min(paceMs, FIRST_LOOK_MS * 2 ** Math.min(looks, 10)) };
  }
}
