/** What a report says in rows and columns: promises, runs, transports, soaks. Pure: samples in, text out. */
import { median, type Line, type Sample } from './compare.ts';
import { KINDS } from './soak/soak-load.ts';
import type { SoakResult } from './soak/soak.ts';
import { number } from './text.ts';

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function targetTable(lines: readonly Line[]): Table {
  return {
    title: 'Targets',
    head: ['step', 'figure', 'Keelson', peerOf(lines), 'ratio', 'spread', 'target', 'verdict'],
    rows: lines.map(({ target, ours, theirs, ratio, spread, verdict, reason }) => {
      const bound = `${target.bound === 'at least' ? '≥' : '≤'} ${number(target.value)}`;
      const { name, unit } = target.figure;
      return [
        target.step,
        name,
        ours === undefined ? '–' : `${number(ours)} ${unit}`,
        theirs === undefined ? '–' : `${number(theirs)} ${unit}`,
        ratio === undefined ? '–' : `${number(ratio)} ×`,
        spread === undefined ? '–' : `${number(spread[0])} … ${number(spread[1])}`,
        target.against === 'alone' ? `${bound} ${unit}` : `${bound} ×`,
        reason === '' ? verdict : `${verdict}: ${reason}`,
      ];
    }),
  };
}

/** The other side of all lines; etcd where none has one. */
function peerOf(lines: readonly Line[]): string {
  return lines.find(({ target }) => target.against !== 'alone')?.target.against ?? 'etcd';
}

export function sampleTable(samples: readonly Sample[]): Table {
  return {
    title: 'Every run',
    head: [
      'step',
      'side',
      'round',
      'per second',
      'mean ms',
      'p50',
      'p99',
      'p99.9',
      'max',
      'servers µs/call',
      'generator µs/call',
      'RSS MB',
      'errors',
    ],
    rows: samples.map(({ title, side, round, measured }) => {
      const { latency, servers, completed } = measured;
      const ms = (value: number): string => (latency.count === 0 ? '–' : number(value));
      const rss = servers.map(({ memory }) => number(memory.rssBytes / 2 ** 20)).join(' / ');
      const errors = Object.entries(measured.errors).map(([name, count]) => `${count} ${name}`);
      return [
        title,
        side,
        String(round),
        completed === 0 ? '–' : number(measured.perSecond),
        ms(latency.mean),
        ms(latency.p50),
        ms(latency.p99),
        ms(latency.p999),
        ms(latency.max),
        number(measured.serverCpuUsPerCall ?? NaN),
        completed === 0 ? '–' : number(measured.generatorCpuUsPerCall),
        rss === '' ? '–' : rss,
        errors.length === 0 ? '–' : errors.join(', '),
      ];
    }),
  };
}

/** Figures that are no rates: restart, memory, growth. */
export function extraTable(samples: readonly Sample[]): Table {
  return {
    title: 'Other figures',
    head: ['step', 'side', 'round', 'figure', 'value'],
    rows: samples.flatMap(({ title, side, round, measured }) =>
      Object.entries(measured.extra).map(([name, value]) => [
        title,
        side,
        String(round),
        name,
        number(value),
      ]),
    ),
  };
}

const CLIENTS = ['native', 'grpc-js'] as const;

/** Servers down, generators across. Empty when transports were not compared. */
export function transportTable(samples: readonly Sample[]): Table {
  const sides = [...new Set(samples.map(({ side }) => side))];
  const cells = (side: string, client: string): string[] => {
    const of = (step: string, figure: (sample: Sample) => number | undefined): number => {
      const found = samples.filter((one) => one.side === side && one.step === `${step}/${client}`);
      const values = found.flatMap((sample) => figure(sample) ?? []);
      return values.length === 0 ? NaN : median(values);
    };
    return ['put', 'range-l'].flatMap((step) => [
      number(of(step, ({ measured }) => measured.perSecond)),
      number(of(step, ({ measured }) => measured.latency.p99)),
      number(of(step, ({ measured }) => measured.serverCpuUsPerCall)),
      number(of(step, ({ measured }) => measured.generatorCpuUsPerCall)),
    ]);
  };
  const compared = samples.some(({ step }) => step.includes('/'));
  return {
    title: 'Transports',
    head: [
      'server',
      'generator',
      'puts/s',
      'p99 ms',
      'servers µs',
      'generator µs',
      'gets/s',
      'p99 ms',
      'servers µs',
      'generator µs',
    ],
    rows: compared
      ? sides.flatMap((side) =>
          CLIENTS.map((client) => [
            side === 'keelson' ? 'keelson native' : side,
            client,
            ...cells(side, client),
          ]),
        )
      : [],
  };
}

/** What a soak came to: one table a question. */
export function soakTables(soaks: readonly SoakResult[]): Table[] {
  if (soaks.length === 0) return [];
  return [
    {
      title: 'Soak',
      head: [
        'side',
        'minutes',
        'maximum/s',
        'asked/s',
        'done/s',
        'p50 ms',
        'p99',
        'p99.9',
        'max',
        'servers µs/call',
        'errors',
        'flat',
      ],
      rows: soaks.map((one) => [
        one.side,
        number(one.seconds / 60),
        number(one.maximumPerSecond),
        number(one.targetPerSecond),
        number(one.perSecond),
        number(one.latency.p50),
        number(one.latency.p99),
        number(one.latency.p999),
        number(one.latency.max),
        number(one.serverCpuUsPerCall),
        Object.entries(one.errors)
          .map(([name, count]) => `${count} ${name}`)
          .join(', ') || '–',
        one.flat ? 'pass' : 'miss',
      ]),
    },
    {
      title: 'Soak: latency by kind of call, ms from the intended start',
      head: ['side', 'kind', 'calls', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'max'],
      rows: soaks.flatMap(({ side, byKind }) =>
        KINDS.map((kind) => {
          const { count, mean, p50, p90, p99, p999, max } = byKind[kind];
          return [side, kind, count.toLocaleString('en-US'), ...[mean, p50, p90, p99, p999, max].map(number)];
        }),
      ),
    },
    {
      title: 'Soak: level behind the first quarter',
      head: ['side', 'member', 'figure', 'median', 'slope', 'over the rest', 'verdict'],
      rows: soaks.flatMap(({ side, levels }) =>
        levels.map(({ member, figure, unit, trend, level }) => [
          side,
          member,
          figure,
          `${number(trend.level)} ${unit}`,
          `${number(trend.perHour)} ${unit}/h`,
          `${number(trend.growth)} ${unit}`,
          level ? 'pass' : 'miss',
        ]),
      ),
    },
    {
      title: 'Soak: pauses of the garbage collector',
      head: [
        'side',
        'member',
        'pauses',
        'minor',
        'major',
        'total ms',
        'share of time',
        'longest ms, at most',
      ],
      rows: soaks.flatMap(({ side, pauses }) =>
        pauses.map(({ member, count, minor, major, totalMs, longestMs, share }) => [
          side,
          member,
          count.toLocaleString('en-US'),
          minor === undefined ? '–' : minor.toLocaleString('en-US'),
          major === undefined ? '–' : major.toLocaleString('en-US'),
          number(totalMs),
          `${number(100 * share)} %`,
          number(longestMs),
        ]),
      ),
    },
  ];
}

export function markdownTable({ head, rows }: Table): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;
  return `${row(head)}${row(head.map(() => '---'))}${rows.map(row).join('')}`;
}
