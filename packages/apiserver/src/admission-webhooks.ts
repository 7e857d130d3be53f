/** Admission webhooks as a server has them: calls over TLS, services by their endpoints, the scheme's forms, counted. */

import type { Clock } from '@keelson/base';

import type { ResourceLookup } from './admission/resource-lookup.ts';
import { endpointResolver } from './admission/webhooks/service-resolver.ts';
import type { WebhookContext } from './admission/webhooks/webhook-context.ts';
import { webhookMetrics } from './admission/webhooks/webhook-metrics.ts';
import type { MetricsRegistry } from './metrics/registry.ts';
import { HttpsCaller } from './outbound/https-caller.ts';
import { resourceVersions } from './registry/admission-lookup.ts';
import type { Scheme } from './registry/scheme.ts';

export interface WebhookParts {
  /** Asked at each request: the scheme may be made after the plugins. */
  readonly scheme: () => Scheme;
  readonly lookup: ResourceLookup;
  readonly clock: Clock;
  readonly uuid: () => string;
  readonly random: (limit: number) => number;
  readonly metrics: MetricsRegistry;
}

export interface Webhooks {
  readonly context: WebhookContext;
  /** Closes idle connections. */
  close(): void;
}

export function makeWebhooks({ scheme, lookup, clock, uuid, random, metrics }: WebhookParts): Webhooks {
  const caller = new HttpsCaller(clock);
  return {
    context: {
      caller,
      uuid,
      versions: resourceVersions(scheme),
      resolve: endpointResolver(lookup, random),
      observer: webhookMetrics(metrics),
    },
    close: () => caller.close(),
  };
}
