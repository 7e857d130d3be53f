/**
 * What two loops have in common: in every namespace that is not being deleted there is one object of a name, made when
 * it is missing and mended when it is wrong. The queue holds namespaces.
 */

import {
  hasCause,
  hasReason,
  isDeleting,
  keyOf,
  splitKey,
  WorkQueue,
  type Informer,
  type InformerRequest,
  type KubeObject,
  type Outcome,
  type Resource,
} from '@keelson/kube-client';

import type { Controller, ControllerParts } from './controller.ts';
import { NAMESPACES } from './resources.ts';

export interface UpkeepOptions {
  /** Of the queue. */
  readonly name: string;
  readonly resource: Resource;
  readonly objectName: string;
  /** How the objects are watched, beyond their name. */
  readonly request: InformerRequest;
  /** The object as it is to be made. */
  readonly wanted: (namespace: string) => KubeObject;
  /** Whether what is there is as it should be. */
  readonly right: (object: KubeObject) => boolean;
  /** What is there, put right. */
  readonly mended: (object: KubeObject) => KubeObject;
}

const CONCURRENCY = 5;

export class NamespacedUpkeep implements Controller {
  private readonly options: UpkeepOptions;
  private readonly parts: ControllerParts;
  private readonly namespaces: Informer;
  private readonly objects: Informer;
  private readonly queue: WorkQueue<string>;

  constructor(parts: ControllerParts, options: UpkeepOptions) {
    const { informers, clock, logger, metrics } = parts;
    const { name, resource, objectName, request } = options;
    this.parts = parts;
    this.options = options;
    this.namespaces = informers.informer(NAMESPACES, { metadataOnly: true });
    this.objects = informers.informer(resource, {
      ...request,
      fieldSelector: `metadata.name=${objectName}`,
    });
    this.queue = new WorkQueue<string>({
      name,
      clock,
      logger,
      metrics,
      concurrency: CONCURRENCY,
      work: (namespace, signal) => this.work(namespace, signal),
      refill: () => this.refill(),
    });
    this.namespaces.handle({
      added: (namespace) => this.queue.add(keyOf(namespace)),
      updated: (namespace) => this.queue.add(keyOf(namespace)),
    });
    const look = (object: KubeObject): void => this.queue.add(splitKey(keyOf(object)).namespace);
    this.objects.handle({ updated: look, deleted: look });
  }

  start(): void {
    void Promise.all([this.namespaces.whenSynced(), this.objects.whenSynced()]).then(() =>
      this.queue.start(),
    );
  }

  stop(): Promise<void> {
    return this.queue.stop();
  }

  get synced(): boolean {
    return this.namespaces.synced && this.objects.synced;
  }

  get quiet(): boolean {
    return this.queue.quiet;
  }

  private refill(): void {
    for (const namespace of this.namespaces.list()) this.queue.add(keyOf(namespace));
  }

  private async work(name: string, signal: AbortSignal): Promise<Outcome> {
    const namespace = this.namespaces.get(name);
    if (namespace === undefined || isDeleting(namespace)) return 'done';
    const { resource, objectName, wanted, right, mended } = this.options;
    const { client } = this.parts;
    const kept = this.objects.get(`${name}/${objectName}`);
    try {
      if (kept === undefined) {
        await client.create(resource, name, wanted(name), { signal });
      } else if (!right(kept)) {
        const latest = await client.get(resource, name, objectName, { signal });
        await client.update(resource, name, mended(latest), { signal });
      }
    } catch (error) {
      // The namespace is on its way out, or the watch has not shown yet what is there.
      const vain =
        hasReason(error, 'NotFound', 'AlreadyExists', 'Conflict') || hasCause(error, 'NamespaceTerminating');
      if (!vain) throw error;
      if (hasReason(error, 'Conflict')) return 'retry';
    }
    return 'done';
  }
}
