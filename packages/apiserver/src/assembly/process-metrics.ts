/** What a process says of itself under Prometheus' usual names: memory, CPU, start. For a process with one server. */

import { Gauge, type MetricsRegistry } from '../metrics/registry.ts';

export interface ProcessFacts {
  residentBytes(): number;
  cpuSeconds(): number;
  readonly startSeconds: number;
}

export function processMetrics(registry: MetricsRegistry, facts: ProcessFacts): void {
  const one = (name: string, help: string, read: () => number, kind: 'gauge' | 'counter' = 'gauge'): void => {
    registry.add(new Gauge(name, help, [], () => [[[], read()]], kind));
  };
  one('process_resident_memory_bytes', 'Resident memory of the process, bytes.', () => facts.residentBytes());
  one('process_cpu_seconds_total', 'CPU time of the process, seconds.', () => facts.cpuSeconds(), 'counter');
  one(
    'process_start_time_seconds',
    'When the process began, seconds since the epoch.',
    () => facts.startSeconds,
  );
}
