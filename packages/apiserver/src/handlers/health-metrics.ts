/** What checks say, as service level indicators: `/metrics/slis`, under the original's names. */

import { Counter, Gauge, type MetricsRegistry } from '../metrics/registry.ts';
import type { HealthObserver } from './health.ts';

export function healthMetrics(registry: MetricsRegistry): Required<Pick<HealthObserver, 'checked'>> {
  const last = new Map<string, readonly [readonly string[], number]>();
  const labels = ['name', 'type'];
  registry.add(
    new Gauge('kubernetes_healthcheck', 'Whether a check was well when it was asked last.', labels, () =>
      last.values(),
    ),
  );
  const total = registry.add(
    new Counter('kubernetes_healthchecks_total', 'Answers of checks.', ['name', 'status', 'type']),
  );
  return {
    checked(endpoint, check, well) {
      last.set(`${endpoint}/${check}`, [[check, endpoint], well ? 1 : 0]);
      total.add([check, well ? 'success' : 'error', endpoint]);
    },
  };
}
