/** How long rules of custom resources took, under the original's names. */

import type { Clock } from '@keelson/base';

import { Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { RuleTimes } from './cel-rules.ts';

/** Prometheus' own, as the original has them here. */
const SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function ruleMetrics(registry: MetricsRegistry, clock: Pick<Clock, 'monotonicMs'>): RuleTimes {
  const compilation = registry.add(
    new Histogram(
      'apiserver_cel_compilation_duration_seconds',
      "Time to compile the rules of a custom resource's schema, seconds.",
      [],
      SECONDS,
    ),
  );
  const evaluation = registry.add(
    new Histogram(
      'apiserver_cel_evaluation_duration_seconds',
      'Time to evaluate the rules over a custom object, seconds.',
      [],
      SECONDS,
    ),
  );
  return {
    monotonicMs: () => clock.monotonicMs(),
    compiled: compilation.of([]),
    evaluated: evaluation.of([]),
  };
}
