/** How long admission takes, plugin by plugin and step by step, under the original's names. */

import type { Clock } from '@keelson/base';

import { Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { ChainObserver } from './chain.ts';

const SECONDS: readonly number[] = [0.005, 0.025, 0.1, 0.5, 1, 2.5];

export function chainMetrics(registry: MetricsRegistry, clock: Pick<Clock, 'monotonicMs'>): ChainObserver {
  const plugins = registry.add(
    new Histogram(
      'apiserver_admission_controller_admission_duration_seconds',
      'How long a plugin took, seconds.',
      ['name', 'operation', 'rejected', 'type'],
      SECONDS,
    ),
  );
  const steps = registry.add(
    new Histogram(
      'apiserver_admission_step_admission_duration_seconds',
      'How long all plugins of a step took, seconds.',
      ['operation', 'rejected', 'type'],
      SECONDS,
    ),
  );
  return {
    clock,
    plugin(name, step, operation) {
      const passed = plugins.of([name, operation, 'false', step]);
      return (rejected, seconds) => {
        if (rejected) plugins.observe([name, operation, 'true', step], seconds);
        else passed(seconds);
      };
    },
    step(step, operation, rejected, seconds) {
      steps.observe([operation, String(rejected), step], seconds);
    },
  };
}
