/** What a process says of itself under Prometheus' usual names: memory, CPU, start. For a process with one server. */

import { Gauge, type MetricsRegistry } from '../metrics/registry.ts';

export interface ProcessFacts {
  residentBytes(): number;
  cpuSeconds(): number;
  readonly startSeconds: number;
  /** Undefined where the system does not say. */
  openFiles(): number | undefined;
  openFilesMax(): number | undefined;
  virtualBytes(): number | undefined;
}

export function processMetrics(registry: MetricsRegistry, facts: ProcessFacts): void {
  const one = (
    name: string,
    help: string,
    read: () => number | undefined,
    kind: 'gauge' | 'counter' = 'gauge',
  ): void => {
    const series = (): [string[], number][] => {
      const value = read();
      return value === undefined ? [] : [[[], value]];
    };
    registry.add(new Gauge(name, help, [], series, kind));
  };
  one('process_open_fds', 'Number of open file descriptors.', () => facts.openFiles());
  one('process_max_fds', 'Maximum number of open file descriptors.', () => facts.openFilesMax());
  one('process_virtual_memory_bytes', 'Virtual memory size in bytes.', () => facts.virtualBytes());
  one('process_resident_memory_bytes', 'Resident memory of the process, bytes.', () => facts.residentBytes());
  one('process_cpu_seconds_total', 'CPU time of the process, seconds.', () => facts.cpuSeconds(), 'counter');
  one(
    'process_start_time_seconds',
    'When the process began, seconds since the epoch.',
    () => facts.startSeconds,
  );
}
