/** Which pictures a report has, by the names of their files. Pure: samples and soaks in, drawings out. */
import { median, type Sample } from '../compare.ts';
import type { MemberFigures } from '../soak/member-figures.ts';
import type { SoakResult, SoakSample } from '../soak/soak.ts';
import { barChart, lineChart, panelChart, type Curve } from './charts.ts';
import type { Drawing } from './drawing.ts';

const MIB = 2 ** 20;

/** File name without its ending → drawing. Pictures without data are left out. */
export function plots(samples: readonly Sample[], soaks: readonly SoakResult[]): Map<string, Drawing> {
  return new Map([...loadPlots(samples), ...growthPlots(samples), ...soakPlots(soaks)]);
}

type Plot = readonly [file: string, drawing: Drawing];

const PERCENTILES = ['p50', 'p90', 'p99', 'p999', 'max'] as const;

function loadPlots(samples: readonly Sample[]): Plot[] {
  const sides = [...new Set(samples.map(({ side }) => side))];
  const plotted: Plot[] = [];
  const figure = (
    side: string,
    title: string,
    of: (sample: Sample) => number | undefined,
  ): number | undefined => {
    const values = samples
      .filter((sample) => sample.side === side && sample.title === title)
      .flatMap((sample) => of(sample) ?? []);
    return values.length === 0 ? undefined : median(values);
  };
  const bars = (
    file: string,
    title: string,
    unit: string,
    of: (sample: Sample) => number | undefined,
  ): void => {
    const groups = [...new Set(samples.filter((one) => of(one) !== undefined).map((one) => one.title))];
    if (groups.length === 0) return;
    const series = sides.map((side) => ({
      name: side,
      values: groups.map((group) => figure(side, group, of)),
    }));
    plotted.push([file, barChart({ title, unit, groups, series })]);
  };
  const rated =
    (of: (sample: Sample) => number | undefined) =>
    (sample: Sample): number | undefined =>
      isRate(sample) ? of(sample) : undefined;
  bars(
    'throughput',
    'Throughput (longer is better)',
    '/s',
    rated(({ measured }) => measured.perSecond),
  );
  const timed = [...new Set(samples.filter(isRate).map(({ title }) => title))];
  if (timed.length > 0) {
    const panels = timed.map((title) => ({
      title,
      lines: sides.map((side): Curve => {
        const points = PERCENTILES.flatMap((name, i) => {
          const value = figure(side, title, ({ measured }) => measured.latency[name]);
          return value === undefined ? [] : [[i, value] as const];
        });
        return { name: side, points };
      }),
    }));
    const steps = ['p50', 'p90', 'p99', 'p99.9', 'max'];
    const title = 'Latency by percentile, from the intended start (lower is better)';
    plotted.push(['latency', panelChart({ title, unit: 'ms', names: sides, steps, panels })]);
  }
  bars(
    'cpu',
    'CPU of all members per call or event (shorter is better)',
    'µs',
    rated(({ measured }) => measured.serverCpuUsPerCall),
  );
  bars(
    'memory',
    'Resident memory, mean of the members (shorter is better)',
    'MB',
    ({ measured }) => measured.extra['rssMeanMb'] ?? measured.extra['rssAfterMeanMb'],
  );
  return plotted;
}

const isRate = ({ measured }: Sample): boolean =>
  measured.completed > 0 && !Object.keys(measured.extra).some((name) => name.endsWith('Ratio'));

/** Figures named as cost@size, lines by side. */
function growthPlots(samples: readonly Sample[]): Plot[] {
  const grown = (pattern: RegExp, names: Readonly<Record<string, string>>): Curve[] => {
    const byName = new Map<string, Map<number, number[]>>();
    for (const { side, measured } of samples) {
      for (const [figure, value] of Object.entries(measured.extra)) {
        const [, what = '', size = ''] = pattern.exec(figure) ?? [];
        if (what === '') continue;
        const name = `${side}: ${names[what] ?? what}`;
        const sizes = byName.get(name) ?? new Map<number, number[]>();
        byName.set(name, sizes);
        sizes.set(Number(size), [...(sizes.get(Number(size)) ?? []), value]);
      }
    }
    return Array.from(byName, ([name, sizes]) => ({
      name,
      points: Array.from(sizes, ([size, values]) => [size, median(values)] as const),
    }));
  };
  const log = { x: 'log', y: 'log', unit: 'µs' } as const;
  const keys = grown(/^(put|getHot|getCold)CpuUs@(\d+)$/, { getHot: 'get, hot', getCold: 'get, any key' });
  const lists = grown(/^(listKey)CpuUs@(\d+)$/, { listKey: 'a key in a list' });
  const plotted: Plot[] = [];
  if (keys.length > 0) {
    const title = 'CPU of all members per call, as keys grow (level is better)';
    plotted.push(['growth', lineChart({ ...log, title, xLabel: 'keys in the store', lines: keys })]);
  }
  if (lists.length > 0) {
    const title = 'CPU of all members per key listed (level is better)';
    plotted.push(['lists', lineChart({ ...log, title, xLabel: 'keys in the list', lines: lists })]);
  }
  return plotted;
}

const OVER_TIME = { x: 'linear', xLabel: 'minutes' } as const;

function soakPlots(soaks: readonly SoakResult[]): Plot[] {
  const calls = (name: string, of: (sample: SoakSample) => number): Curve[] =>
    soaks.map(({ side, samples }) => ({
      name: `${side} ${name}`,
      points: samples.map((sample) => [sample.seconds / 60, of(sample)] as const),
    }));
  const members = (of: (figures: MemberFigures) => number | undefined): Curve[] =>
    soaks.flatMap(({ side, samples }) =>
      (samples[0]?.members ?? []).map(({ name }, i) => ({
        name: `${side} ${name}`,
        points: samples.flatMap((sample) => {
          const value = of(sample.members[i]);
          return value === undefined ? [] : [[sample.seconds / 60, value] as const];
        }),
      })),
    );
  const plotted: Plot[] = [];
  const add = (
    file: string,
    title: string,
    unit: string,
    y: 'log' | 'linear',
    lines: readonly Curve[],
  ): void => {
    const drawn = lines.filter(({ points }) => points.length > 0);
    if (drawn.length > 0) plotted.push([file, lineChart({ ...OVER_TIME, y, title, unit, lines: drawn })]);
  };
  add(
    'soak-throughput',
    'Soak: calls a second',
    '/s',
    'linear',
    calls('done', (one) => one.perSecond),
  );
  add('soak-latency', 'Soak: latency from the intended start', 'ms', 'log', [
    ...calls('p50', ({ latency }) => latency.p50),
    ...calls('p99', ({ latency }) => latency.p99),
    ...calls('p99.9', ({ latency }) => latency.p999),
  ]);
  add(
    'soak-memory',
    'Soak: anonymous memory of each member',
    'MB',
    'linear',
    members(({ memory }) => memory.rssAnonBytes / MIB),
  );
  add(
    'soak-resident',
    'Soak: resident memory of each member, mapped files included',
    'MB',
    'linear',
    members(({ memory }) => memory.rssBytes / MIB),
  );
  add(
    'soak-heap',
    'Soak: heap in use',
    'MB',
    'linear',
    members(({ heapBytes }) => heapBytes / MIB),
  );
  add(
    'soak-loop-p99',
    'Soak: delay of the event loop, 99th percentile',
    'ms',
    'linear',
    members(({ loopP99Ms }) => loopP99Ms),
  );
  add(
    'soak-loop-max',
    'Soak: delay of the event loop, longest',
    'ms',
    'linear',
    members(({ loopMaxMs }) => loopMaxMs),
  );
  add(
    'soak-pauses',
    'Soak: pauses of the garbage collector between two looks, together',
    'ms',
    'linear',
    members(({ pauseMs }) => pauseMs),
  );
  add(
    'soak-cpu',
    'Soak: CPU of each member, share of a core',
    '%',
    'linear',
    members(({ cpuShare }) => 100 * cpuShare),
  );
  return plotted;
}
