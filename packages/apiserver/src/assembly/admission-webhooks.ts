/** Admission webhooks as a server has them: calls over TLS, services by their endpoints, the scheme's forms, counted. */

import type { AdmissionFile } from './admission-config.ts';
import type { ResourceLookup } from '../admission/resource-lookup.ts';
import { endpointResolver } from '../admission/webhooks/service-resolver.ts';
import type { WebhookContext } from '../admission/webhooks/webhook-context.ts';
import { webhookMetrics } from '../admission/webhooks/webhook-metrics.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { HttpsCaller } from '../outbound/https-caller.ts';
import { NO_CREDENTIALS } from '../outbound/call-credentials.ts';
import { resourceVersions } from '../registry/admission-lookup.ts';
import type { Scheme } from '../registry/scheme.ts';

export interface WebhookParts {
  readonly caller: HttpsCaller;
  /** Whose credentials webhooks are shown; nobody's without. */
  readonly kubeconfigs: AdmissionFile['webhooks'];
  /** Asked at each request: the scheme may be made after the plugins. */
  readonly scheme: () => Scheme;
  readonly lookup: ResourceLookup;
  readonly uuid: () => string;
  readonly random: (limit: number) => number;
  readonly metrics: MetricsRegistry;
}

export function makeWebhooks(parts: WebhookParts): WebhookContext {
  const { scheme, lookup, uuid, random, metrics, caller, kubeconfigs } = parts;
  const { mutating, validating } = kubeconfigs;
  return {
    caller,
    ...(mutating === undefined && validating === undefined
      ? {}
      : {
          credentials: (address, type) =>
            (type === 'admit' ? mutating : validating)?.credentialsFor(address) ?? NO_CREDENTIALS,
        }),
    uuid,
    versions: resourceVersions(scheme),
    resolve: endpointResolver(lookup, random),
    observer: webhookMetrics(metrics),
  };
}
