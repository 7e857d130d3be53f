/** What is counted of aggregated servers, under the original's names. */

import { Counter, Gauge, type MetricsRegistry } from '../metrics/registry.ts';

export class AvailabilityMetrics {
  private readonly available = new Map<string, boolean>();
  private readonly unavailable: Counter;

  constructor(registry: MetricsRegistry) {
    this.unavailable = registry.add(
      new Counter(
        'aggregator_unavailable_apiservice_total',
        'APIServices that became unavailable, by name and reason.',
        ['name', 'reason'],
      ),
    );
    registry.add(
      new Gauge(
        'aggregator_unavailable_apiservice',
        'Whether an APIService is unavailable, by its name.',
        ['name'],
        () => [...this.available].map(([name, available]) => [[name], available ? 0 : 1] as const),
      ),
    );
  }

  set(name: string, available: boolean): void {
    this.available.set(name, available);
  }

  forget(name: string): void {
    this.available.delete(name);
  }

  /** It was available before. */
  became(name: string, reason: string): void {
    this.unavailable.add([name, reason]);
  }
}
