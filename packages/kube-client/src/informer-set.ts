/**
 * The informers that several loops share: one watch for each resource and selection, however many ask. All start and
 * stop together.
 */

import type { Clock, Logger, Prng } from '@keelson/base';

import { Informer, type InformerOptions } from './informer.ts';
import { apiVersionOf, type Resource } from './objects.ts';
import type { RestClient } from './rest-client.ts';

export interface InformerSetOptions {
  readonly client: RestClient;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly logger: Logger;
}

export type InformerRequest = Pick<
  InformerOptions,
  'namespace' | 'labelSelector' | 'fieldSelector' | 'metadataOnly'
> & {
  /** What distinguishes a transform or indexers from another's of the same resource. */
  readonly purpose?: string;
} & Pick<InformerOptions, 'transform' | 'indexers'>;

export class InformerSet {
  private readonly options: InformerSetOptions;
  private readonly informers = new Map<string, Informer>();
  private started = false;

  constructor(options: InformerSetOptions) {
    this.options = options;
  }

  /** The informer of a resource; the first who asks says how it is made. One asked for after start() is started. */
  informer(resource: Resource, request: InformerRequest = {}): Informer {
    const { purpose = '', ...rest } = request;
    const { group, version } = resource;
    const { namespace = '', labelSelector = '', fieldSelector = '', metadataOnly = false } = rest;
    const key = [
      apiVersionOf(group, version),
      resource.resource,
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
      purpose,
    ].join(' ');
    const found = this.informers.get(key);
    if (found !== undefined) return found;
    const made = new Informer({ ...this.options, resource, ...rest });
    this.informers.set(key, made);
    if (this.started) made.start();
    return made;
  }

  start(): void {
    this.started = true;
    for (const informer of this.informers.values()) informer.start();
  }

  /** Resolves when each has its whole state, or is stopped. */
  async whenSynced(): Promise<void> {
    await Promise.all([...this.informers.values()].map((informer) => informer.whenSynced()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.informers.values()].map((informer) => informer.stop()));
  }
}
