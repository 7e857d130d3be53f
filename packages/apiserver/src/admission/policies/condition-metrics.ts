/** What is counted of match conditions, under the original's names. */

import { Counter, Histogram, type MetricsRegistry } from '../../metrics/registry.ts';
import type { ConditionObserver, ConditionOwner } from './match-conditions.ts';

const SECONDS: readonly number[] = [0.005, 0.025, 0.1, 0.5, 1, 2.5];
const LABELS: readonly string[] = ['name', 'kind', 'type', 'operation'];

export function conditionMetrics(registry: MetricsRegistry): ConditionObserver {
  const failures = registry.add(
    new Counter(
      'apiserver_admission_match_condition_evaluation_errors_total',
      'Match conditions that could not be evaluated.',
      LABELS,
    ),
  );
  const exclusions = registry.add(
    new Counter(
      'apiserver_admission_match_condition_exclusions_total',
      'Webhooks and policies that match conditions left out.',
      LABELS,
    ),
  );
  const durations = registry.add(
    new Histogram(
      'apiserver_admission_match_condition_evaluation_seconds',
      'How long match conditions took.',
      LABELS,
      SECONDS,
    ),
  );
  const labels = ({ name, kind, type, operation }: ConditionOwner): string[] => [name, kind, type, operation];
  return {
    failed: (owner) => failures.add(labels(owner)),
    excluded: (owner) => exclusions.add(labels(owner)),
    evaluated: (owner, seconds) => durations.observe(labels(owner), seconds),
  };
}
