/**
 * What one run of one load gives: throughput, latencies, and who paid for it. The meter samples the servers
 * and this process when the window opens and closes, so that neither set-up nor warm-up is charged.
 */
import type { Quantiles } from './histogram.ts';
import { Load, type Call, type LoadObserver, type LoadPlan, type LoadResult } from './load.ts';
import type { Settings } from './options.ts';
import type { Progress } from './progress.ts';
import type { ServerUsage, Subject } from './servers.ts';

export interface Measured {
  readonly seconds: number;
  readonly completed: number;
  /** The headline rate: calls, or events for watches. */
  readonly perSecond: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Milliseconds, from the intended start. */
  readonly latency: Quantiles;
  /** Milliseconds, from the real start. */
  readonly service: Quantiles;
  /** CPU of the window, memory at its end. */
  readonly servers: readonly ServerUsage[];
  /** Of all servers together; undefined when they are not ours to watch. */
  readonly serverCpuUsPerCall: number | undefined;
  readonly generatorCpuUsPerCall: number;
  /** Figures only this load has, by name with the unit last. */
  readonly extra: Readonly<Record<string, number>>;
  /** When the window was open, µs of the system's monotonic clock: profiles are cut to it. */
  readonly windowUs?: readonly [number, number];
}

/** The clock that profiles of other processes are stamped with. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export class Meter implements LoadObserver {
  readonly subject: Subject;
  private before: ServerUsage[] = [];
  private after: ServerUsage[] = [];
  private own = process.cpuUsage();
  private ownUs = 0;
  private openedUs = 0;
  private closedUs = 0;
  /** Whether the window is open now. */
  running = false;

  constructor(subject: Subject) {
    this.subject = subject;
  }

  windowOpened(): void {
    this.before = this.subject.usage();
    this.own = process.cpuUsage();
    this.openedUs = monotonicUs();
    this.running = true;
  }

  windowClosed(): void {
    const { user, system } = process.cpuUsage(this.own);
    this.ownUs = user + system;
    this.after = this.subject.usage();
    this.closedUs = monotonicUs();
    this.running = false;
  }

  /** @param operations that the window's CPU is divided by */
  result(load: LoadResult, operations: number, extra: Readonly<Record<string, number>> = {}): Measured {
    const servers = this.after.map((usage, i) => ({
      ...usage,
      cpuSeconds: usage.cpuSeconds - (this.before[i]?.cpuSeconds ?? 0),
    }));
    const cpuUs = servers.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) * 1e6;
    return {
      ...load,
      perSecond: operations / Math.max(load.seconds, 1e-9),
      servers,
      serverCpuUsPerCall: servers.length === 0 || operations === 0 ? undefined : cpuUs / operations,
      generatorCpuUsPerCall: operations === 0 ? 0 : this.ownUs / operations,
      extra,
      windowUs: [this.openedUs, this.closedUs],
    };
  }
}

/** Runs a load as the settings say, with its line of progress. */
export async function runLoad(
  settings: Settings & Pick<LoadPlan, 'calls'>,
  call: Call,
  meter: Meter,
  progress: Progress,
): Promise<LoadResult> {
  const load = new Load({ ...settings, stopped: () => meter.subject.gone }, call, meter);
  progress.follow(() => ({ fraction: load.fraction, text: `${load.completed} calls` }));
  return load.run();
}

/** Calls measured as they are: each one operation. */
export async function measureCalls(
  subject: Subject,
  settings: Settings & Pick<LoadPlan, 'calls'>,
  call: Call,
  progress: Progress,
): Promise<Measured> {
  const meter = new Meter(subject);
  const load = await runLoad(settings, call, meter, progress);
  return meter.result(load, load.completed);
}

export const NO_LATENCY: Quantiles = { count: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };

/** A figure that is no load: the servers as they are now, and the named numbers. */
export function single(subject: Subject, seconds: number, extra: Readonly<Record<string, number>>): Measured {
  return {
    seconds,
    completed: 0,
    perSecond: 0,
    errors: {},
    latency: NO_LATENCY,
    service: NO_LATENCY,
    servers: subject.usage(),
    serverCpuUsPerCall: undefined,
    generatorCpuUsPerCall: 0,
    extra,
  };
}
