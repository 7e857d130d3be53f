/**
 * A soak: a closed loop finds how much a cluster can do, then an open loop asks for a share of that for a long time,
 * while history is compacted as a user would have it, and every few seconds somebody looks at the members. It
 * reports the course, and whether memory and event loop stayed level.
 */
import type { Quantiles } from '../histogram.ts';
import { Load } from '../load.ts';
import type { BenchOptions, Settings } from '../options.ts';
import type { Progress } from '../progress.ts';
import type { Cluster } from '../servers.ts';
import { number } from '../text.ts';
import { ClusterWatch, type MemberFigures } from './member-figures.ts';
import { SoakLoad, type Kind } from './soak-load.ts';
import { isLevel, meansOf, trendOf, type Allowance, type Trend } from './trend.ts';

export interface SoakSample {
  /** Since the window opened. */
  readonly seconds: number;
  readonly perSecond: number;
  /** Milliseconds, of the calls since the sample before. */
  readonly latency: Quantiles;
  readonly members: readonly MemberFigures[];
}

export interface LevelLine {
  readonly member: string;
  readonly figure: 'anonymous memory' | 'resident memory' | 'event loop p99';
  readonly unit: 'MB' | 'ms';
  readonly trend: Trend;
  readonly level: boolean;
}

/** Pauses of one member's collector over the window. */
export interface Pauses {
  readonly member: string;
  readonly count: number;
  readonly minor: number | undefined;
  readonly major: number | undefined;
  readonly totalMs: number;
  readonly longestMs: number;
  /** Of the window. */
  readonly share: number;
}

export interface SoakResult {
  readonly side: string;
  /** Of the closed loop. */
  readonly maximumPerSecond: number;
  readonly targetPerSecond: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly latency: Quantiles;
  readonly byKind: Readonly<Record<Kind, Quantiles>>;
  /** Of all members together, per call. */
  readonly serverCpuUsPerCall: number;
  readonly pauses: readonly Pauses[];
  readonly levels: readonly LevelLine[];
  readonly samples: readonly SoakSample[];
  /** All that was asked for was done, nothing failed, and every figure was level. */
  readonly flat: boolean;
}

/**
 * The longest the maximum is looked for, behind the longest wait before: history of a minute is compacted each minute
 * from the second on, and what a cluster carries is what it carries with that. A short soak looks for a third of its
 * length behind a sixth of it.
 */
const MAXIMUM_MS = 120_000;
const MAXIMUM_WARMUP_MS = 65_000;
const MIB = 2 ** 20;

/** Over three quarters of a soak. A leak of 1 % a minute shows in twenty; teeth of the collector do not. */
const MEMORY: Allowance = { share: 0.05, least: 16 };
/** Less done than asked for: the load was more than the cluster carries. */
const CARRIED_SHARE = 0.99;
/** Buckets of the event loop's delay are half as long again as the one before: one of them is no trend. */
const LOOP: Allowance = { share: 0.5, least: 5 };
/** Memory, mapped files above all, rises and falls with each minute's compaction. A short soak has shorter periods. */
const PERIOD_SECONDS = 60;
const PERIODS_MIN = 16;

export async function soak(cluster: Cluster, options: BenchOptions, progress: Progress): Promise<SoakResult> {
  const { settings, soak: wanted } = options;
  progress.phase(`${cluster.label} soak: loading`);
  const load = await SoakLoad.open(cluster, settings, progress);
  try {
    const maximum = await findMaximum(cluster, load, settings, progress);
    const target = settings.ratePerSecond || Math.max(1, Math.round(maximum * wanted.load));
    progress.phase(`${cluster.label} soak: ${number(target)}/s`);
    return await course(cluster, load, { ...settings, ratePerSecond: target }, maximum, options, progress);
  } finally {
    load.close();
  }
}

async function findMaximum(
  cluster: Cluster,
  load: SoakLoad,
  settings: Settings,
  progress: Progress,
): Promise<number> {
  progress.phase(`${cluster.label} soak: the maximum`);
  const durationMs = Math.min(MAXIMUM_MS, settings.durationMs / 3);
  const warmupMs = Math.min(MAXIMUM_WARMUP_MS, settings.durationMs / 6);
  const closed = new Load(
    { ...settings, ratePerSecond: 0, total: Infinity, warmupMs, durationMs, stopped: () => cluster.gone },
    load.call,
  );
  progress.follow(() => ({ fraction: closed.fraction, text: `${closed.completed} calls` }));
  const { completed, seconds } = await closed.run();
  progress.done(`${number(completed / seconds)}/s in a closed loop of ${settings.clients} clients`);
  return completed / seconds;
}

async function course(
  cluster: Cluster,
  load: SoakLoad,
  settings: Settings,
  maximum: number,
  options: BenchOptions,
  progress: Progress,
): Promise<SoakResult> {
  const watch = new ClusterWatch(cluster);
  const samples: SoakSample[] = [];
  let openedMs = 0;
  let looked = { atMs: 0, completed: 0 };
  let failure: unknown;
  let looking: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    const members = await watch.look();
    if (load.lost !== undefined) throw load.lost;
    const nowMs = performance.now();
    const { completed } = running;
    const seconds = (nowMs - looked.atMs) / 1000;
    const perSecond = (completed - looked.completed) / Math.max(seconds, 1e-9);
    looked = { atMs: nowMs, completed };
    const latency = load.takeRecent();
    if (members.length > 0) samples.push({ seconds: (nowMs - openedMs) / 1000, perSecond, latency, members });
  };
  const lookAgain = (): void => {
    looking ??= look()
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        looking = undefined;
      });
  };
  let timer: NodeJS.Timeout | undefined;
  const running: Load = new Load({ ...settings, total: Infinity, stopped: () => cluster.gone }, load.call, {
    windowOpened: () => {
      openedMs = performance.now();
      looked = { atMs: openedMs, completed: 0 };
      load.takeRecent();
      load.counting = true;
      lookAgain();
      timer = setInterval(lookAgain, options.soak.sampleMs);
    },
    windowClosed: () => clearInterval(timer),
  });
  const text = (): string => {
    const last = samples.at(-1);
    return last === undefined
      ? 'warming up'
      : `${number(last.perSecond)}/s · p99 ${number(last.latency.p99)} ms · ${rssText(last.members)} MB`;
  };
  progress.follow(() => ({ fraction: running.fraction, text: text() }));
  try {
    const before = cluster.usage();
    const result = await running.run();
    await looking;
    if (failure !== undefined) throw failure;
    const cpuSeconds = cluster
      .usage()
      .reduce((sum, usage, i) => sum + usage.cpuSeconds - (before[i]?.cpuSeconds ?? 0), 0);
    const summary = summarize(cluster.label, load, samples, {
      ...result,
      maximum,
      target: settings.ratePerSecond,
      cpuSeconds,
      warmupSeconds: settings.warmupMs / 1000,
    });
    progress.done(describeSoak(summary));
    return summary;
  } finally {
    clearInterval(timer);
  }
}

interface Ran {
  readonly seconds: number;
  readonly completed: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly maximum: number;
  readonly target: number;
  /** Of the warm-up and the window. */
  readonly cpuSeconds: number;
  readonly warmupSeconds: number;
}

function summarize(side: string, load: SoakLoad, samples: readonly SoakSample[], ran: Ran): SoakResult {
  const { seconds, completed, errors } = ran;
  const levels = levelsOf(samples);
  const calls = (completed / seconds) * (seconds + ran.warmupSeconds);
  return {
    side,
    maximumPerSecond: ran.maximum,
    targetPerSecond: ran.target,
    perSecond: completed / seconds,
    seconds,
    errors,
    latency: load.overall(),
    byKind: load.byKind(),
    serverCpuUsPerCall: (ran.cpuSeconds * 1e6) / Math.max(1, calls),
    pauses: pausesOf(samples, seconds),
    levels,
    samples,
    flat:
      levels.length > 0 &&
      levels.every(({ level }) => level) &&
      Object.keys(errors).length === 0 &&
      completed / seconds >= CARRIED_SHARE * ran.target,
  };
}

export function levelsOf(samples: readonly SoakSample[]): LevelLine[] {
  const names = samples[0]?.members.map(({ name }) => name) ?? [];
  const span = (samples.at(-1)?.seconds ?? 0) - (samples[0]?.seconds ?? 0);
  const periodSeconds = Math.min(PERIOD_SECONDS, span / PERIODS_MIN);
  return names.flatMap((member, i) => {
    const lines: LevelLine[] = [];
    const add = (
      figure: LevelLine['figure'],
      unit: LevelLine['unit'],
      allowance: Allowance,
      of: (figures: MemberFigures) => number | undefined,
    ): void => {
      const points = samples.flatMap(({ seconds, members }) => {
        const value = of(members[i]);
        return value === undefined ? [] : [[seconds, value] as const];
      });
      const trend = trendOf(meansOf(points, periodSeconds));
      if (trend !== undefined) lines.push({ member, figure, unit, trend, level: isLevel(trend, allowance) });
    };
    add('anonymous memory', 'MB', MEMORY, ({ memory }) => memory.rssAnonBytes / MIB);
    add('resident memory', 'MB', MEMORY, ({ memory }) => memory.rssBytes / MIB);
    add('event loop p99', 'ms', LOOP, ({ loopP99Ms }) => loopP99Ms);
    return lines;
  });
}

function pausesOf(samples: readonly SoakSample[], seconds: number): Pauses[] {
  const names = samples[0]?.members.map(({ name }) => name) ?? [];
  return names.map((member, i) => {
    const all = samples.map(({ members }) => members[i]);
    const sum = (of: (figures: MemberFigures) => number): number =>
      all.reduce((whole, figures) => whole + of(figures), 0);
    const told = all[0].majorPauses !== undefined;
    const totalMs = sum(({ pauseMs }) => pauseMs);
    return {
      member,
      count: sum(({ collections }) => collections),
      minor: told ? sum(({ minorPauses }) => minorPauses ?? 0) : undefined,
      major: told ? sum(({ majorPauses }) => majorPauses ?? 0) : undefined,
      totalMs,
      longestMs: Math.max(...all.map(({ longestPauseMs }) => longestPauseMs ?? 0)),
      share: totalMs / 1000 / Math.max(seconds, 1e-9),
    };
  });
}

function rssText(members: readonly MemberFigures[]): string {
  return members.map(({ memory }) => number(memory.rssBytes / MIB)).join(' / ');
}

export function describeSoak({ perSecond, targetPerSecond, latency, flat, errors }: SoakResult): string {
  const failed = Object.entries(errors).map(([name, count]) => ` · ${count} × ${name}`);
  const { p50, p99, p999, max } = latency;
  return `${number(perSecond)} of ${number(targetPerSecond)}/s · p50 ${number(p50)} p99 ${number(p99)} p99.9 ${number(p999)} max ${number(max)} ms · ${flat ? 'flat' : 'NOT flat'}${failed.join('')}`;
}
