/** What is counted of admission policies, under the original's names. */

import { Counter, Histogram, type MetricsRegistry } from '../../metrics/registry.ts';
import type { PolicyObserver } from './policy-context.ts';

const SECONDS: readonly number[] = [0.000_000_5, 0.001, 0.01, 0.1, 1];

export function policyMetrics(registry: MetricsRegistry): PolicyObserver {
  const ofType = (type: string, what: string, labels: readonly string[]) => ({
    checks: registry.add(
      new Counter(`apiserver_${type}_admission_policy_check_total`, `Checks of ${what} policies.`, labels),
    ),
    durations: registry.add(
      new Histogram(
        `apiserver_${type}_admission_policy_check_duration_seconds`,
        `How long checks of ${what} policies took.`,
        labels,
        SECONDS,
      ),
    ),
  });
  const labels = ['policy', 'policy_binding', 'error_type'];
  const validating = ofType('validating', 'validating admission', [...labels, 'enforcement_action']);
  const mutating = ofType('mutating', 'mutating admission', labels);
  return {
    validated({ policy, binding, error, seconds }, action) {
      const values = [policy, binding, error, action];
      validating.checks.add(values);
      validating.durations.observe(values, seconds);
    },
    mutated({ policy, binding, error, seconds }) {
      const values = [policy, binding, error];
      mutating.checks.add(values);
      mutating.durations.observe(values, seconds);
    },
  };
}
