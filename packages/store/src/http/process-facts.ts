/**
 * What the operating system and the runtime say of this process, for metrics and /debug/vars: an interface, and the
 * real one over /proc. Reads small files when asked; where there is no /proc, figures are 0. The only file of the
 * store, beside main.ts, that looks at the process it runs in.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

export interface MemoryFacts {
  /** Bytes, all of them. */
  readonly rss: number;
  readonly heapTotal: number;
  readonly heapUsed: number;
  readonly heapMax: number;
  /** Buffers and what libraries hold. */
  readonly external: number;
}

export interface CollectorFacts {
  readonly count: number;
  readonly seconds: number;
  /** The latest pauses, seconds, ascending. */
  readonly pauses: readonly number[];
  /** When the last one ended, seconds since the epoch; 0 before the first. */
  readonly lastSeconds: number;
}

export interface ProcessFacts {
  readonly commandLine: readonly string[];
  /** "node v24.1.0". */
  readonly runtime: string;
  readonly startSeconds: number;
  memory(): MemoryFacts;
  cpuSeconds(): number;
  openFiles(): number;
  openFilesMax(): number;
  threads(): number;
  virtualBytes(): number;
  /** Requests to the system and timers under way: what keeps the event loop turning. */
  activeResources(): number;
  collector(): CollectorFacts;
}

/** Of a member that is not a process of its own: a simulated one. */
export const NO_FACTS: ProcessFacts = {
  commandLine: [],
  runtime: 'simulated',
  startSeconds: 0,
  memory: () => ({ rss: 0, heapTotal: 0, heapUsed: 0, heapMax: 0, external: 0 }),
  cpuSeconds: () => 0,
  openFiles: () => 0,
  openFilesMax: () => 0,
  threads: () => 0,
  virtualBytes: () => 0,
  activeResources: () => 0,
  collector: () => ({ count: 0, seconds: 0, pauses: [], lastSeconds: 0 }),
};

/** Go's summary of pauses is over as many. */
const PAUSES_KEPT = 256;
const PAGE_BYTES = 4096;

/** This process. Pauses of the collector are watched from the first time somebody asks for them. */
export function processFacts(): ProcessFacts {
  const pauses: number[] = [];
  const collector = { count: 0, seconds: 0, lastSeconds: 0 };
  let observer: PerformanceObserver | undefined;
  const watch = (): PerformanceObserver => {
    const started = new PerformanceObserver((list) => {
      for (const { duration, startTime } of list.getEntries()) {
        collector.count++;
        collector.seconds += duration / 1_000;
        collector.lastSeconds = (performance.timeOrigin + startTime + duration) / 1_000;
        if (pauses.length === PAUSES_KEPT) pauses.shift();
        pauses.push(duration / 1_000);
      }
    });
    started.observe({ entryTypes: ['gc'] });
    return started;
  };
  const openFilesMax = limitOf('Max open files');
  return {
    commandLine: process.argv,
    runtime: `node ${process.version}`,
    startSeconds: performance.timeOrigin / 1_000,
    memory: () => {
      const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
      return { rss, heapTotal, heapUsed, external, heapMax: getHeapStatistics().heap_size_limit };
    },
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000_000;
    },
    openFiles: () => read(() => readdirSync('/proc/self/fd').length),
    openFilesMax: () => openFilesMax,
    threads: () => read(() => readdirSync('/proc/self/task').length),
    virtualBytes: () =>
      read(() => Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[0]) * PAGE_BYTES),
    activeResources: () => process.getActiveResourcesInfo().length,
    collector: () => {
      observer ??= watch();
      return { ...collector, pauses: [...pauses].sort((a, b) => a - b) };
    },
  };
}

function limitOf(name: string): number {
  return read(() => {
    const line = readFileSync('/proc/self/limits', 'latin1')
      .split('\n')
      .find((each) => each.startsWith(name));
    return Number(line?.slice(name.length).trim().split(/\s+/)[0]);
  });
}

/** 0 where the system has no such file. */
function read(figure: () => number): number {
  try {
    const value = figure();
    return Number.isFinite(value) ? value : 0;
  } catch {
    return 0;
  }
}
