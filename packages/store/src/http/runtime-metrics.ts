/**
 * go_*, process_* and os_* as Go's collectors name them: dashboards and tests ask for these names whatever language
 * answers. Where Node has the figure it stands there; what only Go has (span caches and the like) is 0. What stops a
 * member's one thread is told under keelson_: pauses of the collector by kind, and the delay of the event loop.
 */
import type { Registry } from '../metrics/registry.ts';
import type { ProcessFacts } from './process-facts.ts';

/** Go's allocator has rooms that V8 has not, or does not show. */
const GO_ONLY: readonly (readonly [name: string, type: 'gauge' | 'counter'])[] = [
  ['go_memstats_alloc_bytes_total', 'counter'],
  ['go_memstats_buck_hash_sys_bytes', 'gauge'],
  ['go_memstats_frees_total', 'counter'],
  ['go_memstats_gc_sys_bytes', 'gauge'],
  ['go_memstats_heap_objects', 'gauge'],
  ['go_memstats_heap_released_bytes', 'gauge'],
  ['go_memstats_mallocs_total', 'counter'],
  ['go_memstats_mcache_inuse_bytes', 'gauge'],
  ['go_memstats_mcache_sys_bytes', 'gauge'],
  ['go_memstats_mspan_inuse_bytes', 'gauge'],
  ['go_memstats_mspan_sys_bytes', 'gauge'],
  ['go_memstats_stack_inuse_bytes', 'gauge'],
  ['go_memstats_stack_sys_bytes', 'gauge'],
];

const QUANTILES = [0, 0.25, 0.5, 0.75, 1] as const;

export function registerRuntime(registry: Registry, facts: ProcessFacts): void {
  const gauge = (name: string, help: string, value: () => number): void =>
    registry.read('gauge', name, help, value);

  registry.readAll('gauge', 'go_info', 'The runtime, under the name Go has for its own.', ['version'], () => [
    [[facts.runtime], 1],
  ]);
  gauge('go_goroutines', 'Requests and timers under way in the event loop.', () => facts.activeResources());
  gauge('go_threads', 'Threads of the process.', () => facts.threads());
  gauge('go_sched_gomaxprocs_threads', 'Threads that run the member: one.', () => 1);
  gauge('go_gc_gogc_percent', "Go's target of heap growth; V8 has its own.", () => 100);
  gauge('go_gc_gomemlimit_bytes', 'Heap size the runtime keeps to.', () => facts.memory().heapMax);
  registry.summary('go_gc_duration_seconds', 'Pauses of the garbage collector.', ['quantile'], () => {
    const { pauses, seconds, count } = facts.collector();
    const at = (quantile: number): number =>
      pauses.length === 0 ? 0 : pauses[Math.ceil(quantile * (pauses.length - 1))];
    return [
      ...QUANTILES.map((quantile) => ({ labels: [String(quantile)], value: at(quantile) })),
      { labels: [], value: seconds, suffix: '_sum' },
      { labels: [], value: count, suffix: '_count' },
    ];
  });
  registry.readHistogram(
    'keelson_gc_minor_pause_seconds',
    'Pauses of the collector for what is young, since the first scrape.',
    () => facts.pauses().minor,
  );
  registry.readHistogram(
    'keelson_gc_major_pause_seconds',
    'Its other pauses, since the first scrape.',
    () => facts.pauses().major,
  );
  registry.readHistogram(
    'keelson_event_loop_delay_seconds',
    'How late a timer came, looked at fifty times a second since the first scrape.',
    () => facts.loopDelay(),
  );
  gauge(
    'go_memstats_last_gc_time_seconds',
    'When the collector ran last.',
    () => facts.collector().lastSeconds,
  );
  gauge('go_memstats_alloc_bytes', 'Heap in use.', () => facts.memory().heapUsed);
  gauge('go_memstats_heap_alloc_bytes', 'Heap in use.', () => facts.memory().heapUsed);
  gauge('go_memstats_heap_inuse_bytes', 'Heap in use.', () => facts.memory().heapUsed);
  gauge('go_memstats_heap_idle_bytes', 'Heap held and not in use.', () => {
    const { heapTotal, heapUsed } = facts.memory();
    return Math.max(0, heapTotal - heapUsed);
  });
  gauge('go_memstats_heap_sys_bytes', 'Heap held.', () => facts.memory().heapTotal);
  gauge('go_memstats_next_gc_bytes', 'Heap size that forces a collection.', () => facts.memory().heapMax);
  gauge('go_memstats_other_sys_bytes', 'Buffers and memory of libraries.', () => facts.memory().external);
  gauge('go_memstats_sys_bytes', 'Memory taken from the system.', () => facts.memory().rss);
  for (const [name, type] of GO_ONLY) registry.read(type, name, "Of Go's allocator only: 0.", () => 0);

  gauge('process_resident_memory_bytes', 'Resident memory.', () => facts.memory().rss);
  gauge('process_virtual_memory_bytes', 'Virtual memory.', () => facts.virtualBytes());
  gauge(
    'process_virtual_memory_max_bytes',
    'Limit of virtual memory; the largest number where there is none.',
    () => 18446744073709552000,
  );
  gauge('process_open_fds', 'Open file descriptors.', () => facts.openFiles());
  gauge('process_max_fds', 'Limit of open file descriptors.', () => facts.openFilesMax());
  gauge('process_start_time_seconds', 'When the process started.', () => facts.startSeconds);
  registry.read('counter', 'process_cpu_seconds_total', 'User and system time.', () => facts.cpuSeconds());
  gauge('os_fd_used', 'Open file descriptors.', () => facts.openFiles());
  gauge('os_fd_limit', 'Limit of open file descriptors.', () => facts.openFilesMax());
}
