import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { judge, median, type Sample } from './compare.ts';
import type { Machine } from './machine.ts';
import type { Measured } from './measured.ts';
import { Progress, bar } from './progress.ts';
import { html, markdown, markdownTable, plots, writeReport, type Report } from './report.ts';
import { barChart, decades, lineChart } from './svg.ts';
import { describeMeasured, number } from './text.ts';

function measured(perSecond: number, changes: Partial<Measured> = {}): Measured {
  const latency = { count: 10, mean: 1, p50: 1, p90: 2, p99: 3, p999: 4, max: 5 };
  return {
    seconds: 1,
    completed: perSecond,
    perSecond,
    errors: {},
    latency,
    service: latency,
    servers: [],
    serverCpuUsPerCall: 100,
    generatorCpuUsPerCall: 8,
    extra: {},
    ...changes,
  };
}

function sample(step: string, side: Sample['side'], round: number, one: Measured): Sample {
  return { step, title: `${step} <title>`, side, round, measured: one };
}

describe('judge', () => {
  const lineOf = (samples: Sample[], figure: string): ReturnType<typeof judge>[number] | undefined =>
    judge(samples).find((line) => line.target.figure.name === figure);

  test('medians, the ratio with its spread over paired rounds, the verdict', () => {
    const samples = [
      sample('put', 'keelson', 1, measured(2000)),
      sample('put', 'etcd', 1, measured(1000)),
      sample('put', 'keelson', 2, measured(2400)),
      sample('put', 'etcd', 2, measured(800)),
    ];
    const line = lineOf(samples, 'per second');
    expect(line?.ours).toBe(2200);
    expect(line?.theirs).toBe(900);
    expect(line?.ratio).toBeCloseTo(2.444, 3);
    expect(line?.spread).toEqual([2, 3]);
    expect(line?.verdict).toBe('pass');
    expect(lineOf(samples, 'server CPU per call')?.verdict).toBe('miss');
  });

  test('a bound that is just met passes', () => {
    const samples = [sample('put', 'keelson', 1, measured(2000)), sample('put', 'etcd', 1, measured(1000))];
    expect(lineOf(samples, 'per second')?.verdict).toBe('pass');
    samples[0] = sample('put', 'keelson', 1, measured(1999));
    expect(lineOf(samples, 'per second')?.verdict).toBe('miss');
  });

  test('no verdict on a run with failures, or with fewer keys than promised', () => {
    const failed = measured(5000, { errors: { Unavailable: 1 } });
    expect(
      lineOf([sample('put', 'keelson', 1, failed), sample('put', 'etcd', 1, measured(1))], 'per second'),
    ).toMatchObject({ verdict: 'not judged', reason: 'calls failed' });
    const few = measured(0, { extra: { keys: 20_000, rssMeanMb: 10 } });
    expect(
      lineOf([sample('memory', 'keelson', 1, few), sample('memory', 'etcd', 1, few)], 'resident memory'),
    ).toMatchObject({ verdict: 'not judged', reason: 'needs 1,000,000 keys', ratio: 1 });
  });

  test('without etcd only what stands alone is judged', () => {
    const first = measured(0, { extra: { firstPutMs: 900 } });
    const lines = judge([sample('put', 'keelson', 1, measured(1)), sample('first-put', 'keelson', 1, first)]);
    expect(lines.map(({ target, verdict }) => [target.step, verdict])).toEqual([['first-put', 'pass']]);
  });
});

test.each<[number[], number]>([
  [[3], 3],
  [[1, 9], 5],
  [[9, 1, 2], 2],
])('median of %j', (values, want) => {
  expect(median(values)).toBe(want);
});

const MACHINE: Machine = {
  cpu: 'a processor',
  cpus: 2,
  memoryMb: 8000,
  system: 'Linux 6',
  node: '24.0.0',
  commit: 'abc',
  date: '2026-01-01T00:00:00.000Z',
  loadAverage: 0.1,
  syncs: 50,
  syncMeanMs: 0.4,
  syncMaxMs: 2,
};

const samples = [
  sample('put', 'keelson', 1, measured(2000)),
  sample('put', 'etcd', 1, measured(1000)),
  sample('growth', 'keelson', 1, measured(5, { extra: { 'putCpuUs@1000': 50, 'putCpuUs@10000': 60 } })),
];
const report: Report = {
  machine: MACHINE,
  command: 'keelson bench --report x',
  members: 3,
  seed: 1,
  transport: 'native',
  samples,
  lines: judge(samples),
};

test('Markdown: conditions, targets, runs', () => {
  const text = markdown(report);
  expect(text).toContain('- Machine: 2 × a processor');
  expect(text).toContain(
    '| put | per second | 2,000 /s | 1,000 /s | 2.00 × | 2.00 … 2.00 | ≥ 2.00 × | pass |',
  );
  expect(text).toContain('| growth <title> | keelson | 1 | putCpuUs@1000 | 50.0 |');
});

test('a bar in a cell stays in its cell', () => {
  expect(markdownTable({ title: '', head: ['a'], rows: [['x|y']] })).toBe('| a |\n| --- |\n| x\\|y |\n');
});

test('the page holds the plots, and text is escaped', () => {
  const page = html(report, plots(report));
  expect(page).toContain('<td class="pass">pass</td>');
  expect(page).toContain('put &lt;title&gt;');
  expect(page).not.toContain('<title>put');
  expect(page.match(/<svg /g)).toHaveLength(5);
});

test('files of a report', () => {
  const home = mkdtempSync(path.join(tmpdir(), 'keelson-bench-test-'));
  try {
    writeReport(report, path.join(home, 'deep', 'down'));
    const written = path.join(home, 'deep', 'down');
    expect(readdirSync(written).toSorted()).toEqual([
      'cpu.svg',
      'growth.svg',
      'index.html',
      'latency-p50.svg',
      'latency-p99.svg',
      'report.json',
      'report.md',
      'throughput.svg',
    ]);
    expect(JSON.parse(readFileSync(path.join(written, 'report.json'), 'utf8'))).toMatchObject({
      seed: 1,
      samples: [{ step: 'put', measured: { perSecond: 2000 } }, {}, {}],
      lines: [{ verdict: 'pass', target: { figure: 'per second' } }, {}, {}],
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

test('bars: the longest of a group is full, a missing value leaves a gap', () => {
  const svg = barChart({
    title: 'T',
    unit: 'ms',
    groups: ['one', 'two'],
    series: [
      { name: 'a', values: [10, undefined] },
      { name: 'b', values: [5, 7] },
    ],
  });
  const widths = [...svg.matchAll(/width="([\d.]+)" height="16"/g)].map(([, width]) => Number(width));
  expect(widths).toHaveLength(3);
  expect(widths[0]).toBeCloseTo(2 * widths[1], 0);
  expect(widths[2]).toBeCloseTo(widths[0], 6);
});

test('lines: inside the frame, points without a logarithm left out', () => {
  const svg = lineChart({
    title: 'T',
    xLabel: 'keys',
    unit: 'µs',
    lines: [
      {
        name: 'a',
        points: [
          [1000, 50],
          [10_000, 0],
          [1_000_000, 90],
        ],
      },
    ],
  });
  expect(svg.match(/<circle /g)).toHaveLength(2);
  expect(svg).not.toMatch(/NaN|Infinity/);
});

test.each<[number[], number, number]>([
  [[], 0, 1],
  [[1000, 1_000_000], 3, 6],
  [[50, 90], 1, 2],
  [[100], 2, 3],
])('decades of %j', (values, low, high) => {
  expect(decades(values)).toEqual({ low, high });
});

test.each<[number, string]>([
  [12345.6, '12,346'],
  [12.34, '12.3'],
  [1.234, '1.23'],
  [0.1234, '0.123'],
  [NaN, '–'],
])('%d reads %s', (value, want) => {
  expect(number(value)).toBe(want);
});

test('one line for a run, its failures included', () => {
  const line = describeMeasured(measured(2000, { errors: { Unavailable: 3 }, extra: { x: 1 } }));
  expect(line).toMatch(/^2,000\/s · mean 1.00 .* generator 8.00 µs a call · x 1.00 · 3 × Unavailable$/);
});

test('progress: one line a phase without a terminal, a bar with one', () => {
  expect(bar(0.5, 4)).toBe('██░░');
  expect(bar(7, 2)).toBe('██');
  const written: string[] = [];
  const screen = { columns: () => 80, err: (text: string) => void written.push(text) };
  const plain = new Progress({ ...screen, terminal: false });
  plain.phase('put');
  plain.done('fast');
  expect(written.splice(0)).toEqual(['put: fast\n']);
  const drawn = new Progress({ ...screen, terminal: true });
  drawn.phase('put');
  drawn.done('fast');
  expect(written.join('')).toMatch(/put ….*put: fast\n$/s);
});
