/**
 * What the operating system and the runtime say of this process, for metrics and /debug/vars: an interface, and the
 * real one over /proc. Reads small files when asked; where there is no /proc, figures are 0. The only file of the
 * store, beside main.ts, that looks at the process it runs in.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { exponentialBuckets, Histogram } from '../metrics/metric.ts';

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
  /** Seconds the collector stopped the thread: for what is young, and for all else. */
  pauses(): { readonly minor: Histogram; readonly major: Histogram };
  /** Seconds by which a timer came late: what a request waits before anybody looks at it. */
  loopDelay(): Histogram;
}

/** 0.1 ms to 2.3 s, each half as long again as the one before: a percentile read from it is that near. */
const PAUSE_BOUNDS = exponentialBuckets(0.0001, 1.5, 26);

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
  pauses: () => ({ minor: new Histogram(PAUSE_BOUNDS), major: new Histogram(PAUSE_BOUNDS) }),
  loopDelay: () => new Histogram(PAUSE_BOUNDS),
};

/** Go's summary of pauses is over as many. */
const PAUSES_KEPT = 256;
/** Fifty looks a second cost a thousandth of a core, and a stall of 20 ms is always seen. */
const LOOK_EVERY_MS = 20;

/** This process. Pauses and the event loop are watched from the first time somebody asks for them. */
export function processFacts(): ProcessFacts {
  const pauses: number[] = [];
  const collector = { count: 0, seconds: 0, lastSeconds: 0 };
  const pausesOf = { minor: new Histogram(PAUSE_BOUNDS), major: new Histogram(PAUSE_BOUNDS) };
  const delays = new Histogram(PAUSE_BOUNDS);
  let observer: PerformanceObserver | undefined;
  let looking: NodeJS.Timeout | undefined;
  const look = (): NodeJS.Timeout => {
    let dueMs = performance.now() + LOOK_EVERY_MS;
    return setInterval(() => {
      const nowMs = performance.now();
      delays.observe(Math.max(0, nowMs - dueMs) / 1_000);
      dueMs = nowMs + LOOK_EVERY_MS;
    }, LOOK_EVERY_MS).unref();
  };
  const watch = (): PerformanceObserver => {
    const started = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { duration, startTime } = entry;
        (isMinor(entry) ? pausesOf.minor : pausesOf.major).observe(duration / 1_000);
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
      read(
        () => Number(/^VmSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) * 1024,
      ),
    activeResources: () => process.getActiveResourcesInfo().length,
    collector: () => {
      observer ??= watch();
      return { ...collector, pauses: [...pauses].sort((a, b) => a - b) };
    },
    pauses: () => {
      observer ??= watch();
      return pausesOf;
    },
    loopDelay: () => {
      looking ??= look();
      return delays;
    },
  };
}

function isMinor(entry: object): boolean {
  const detail: unknown = 'detail' in entry ? entry.detail : undefined;
  const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined;
  return kind === constants.NODE_PERFORMANCE_GC_MINOR;
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
