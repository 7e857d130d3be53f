/**
 * The parts of a server that begin with the store's first answer, as health checks under the names of the hooks that
 * begin the same parts of the original: probes and dashboards ask for them. A check is red until its part has begun;
 * whether a part has seen all there is other checks say.
 *
 * Modelled on the post-start hooks of kube-apiserver, apiextensions-apiserver and kube-aggregator.
 */

import type { HealthCheck } from '../handlers/health.ts';

/** Hooks by the part that stands for them. */
const HOOKS = {
  store: ['storage-readiness'],
  access: ['generic-apiserver-start-informers', 'start-apiserver-admission-initializer'],
  fairness: ['priority-and-fairness-config-consumer', 'priority-and-fairness-filter'],
  customResources: ['start-apiextensions-informers', 'start-apiextensions-controllers'],
  aggregation: [
    'start-kube-aggregator-informers',
    'apiservice-registration-controller',
    'apiservice-status-local-available-controller',
    'apiservice-status-remote-available-controller',
    'apiservice-discovery-controller',
    'apiservice-openapi-controller',
    'apiservice-openapiv3-controller',
  ],
} as const;

export type Part = keyof typeof HOOKS;

export class BegunParts {
  private readonly parts: readonly Part[];
  private readonly begun = new Set<Part>();

  /** @param parts those that this server has */
  constructor(parts: readonly Part[]) {
    this.parts = parts;
  }

  add(part: Part): void {
    this.begun.add(part);
  }

  get checks(): HealthCheck[] {
    return this.parts.flatMap((part) =>
      HOOKS[part].map((hook) => ({
        name: `poststarthook/${hook}`,
        check: () => Promise.resolve(this.begun.has(part) ? undefined : 'not finished'),
      })),
    );
  }
}
