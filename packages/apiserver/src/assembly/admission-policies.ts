/** Admission policies as a server has them: kept by informers of its own store, the scheme's forms, counted. */

import { Deferred, type Clock, type Logger } from '@keelson/base';

import type { PolicyContext } from '../admission/policies/policy-context.ts';
import { policyMetrics } from '../admission/policies/policy-metrics.ts';
import { PolicyObjects } from '../admission/policies/policy-objects.ts';
import { describeResource } from '../api/meta.ts';
import { Informer } from '../informer/informer.ts';
import type { InformerSet } from '../informer/informer-set.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import { resourceVersions } from '../registry/admission-lookup.ts';
import type { Scheme } from '../registry/scheme.ts';

export interface PolicyParts {
  /** Asked at each request: the scheme may be made after the plugins. */
  readonly scheme: () => Scheme;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** The policies of a server: what plugins look at, and how it is kept current. */
export class AdmissionPolicies {
  readonly context: PolicyContext;
  private readonly objects = new PolicyObjects();
  private readonly parts: PolicyParts;
  private readonly synced = new Deferred<void>();

  constructor(parts: PolicyParts) {
    this.parts = parts;
    const { scheme, metrics } = parts;
    this.context = {
      objects: this.objects,
      versions: resourceVersions(scheme),
      observer: policyMetrics(metrics),
    };
    this.objects.follow(this.synced.promise);
  }

  /** Begins to follow the store; requests wait until all has been seen once. */
  start(scheme: Scheme, informers: InformerSet): void {
    const { clock, logger } = this.parts;
    const own: Informer[] = [];
    for (const { handler, ...resource } of this.objects.followed) {
      const source = scheme.store(resource);
      if (source === undefined) continue;
      const informer = new Informer({ name: describeResource(resource), source, handler, clock, logger });
      own.push(informer);
      informers.add(informer);
    }
    void Promise.all(own.map((informer) => informer.whenSynced())).then(() => this.synced.resolve());
  }
}
