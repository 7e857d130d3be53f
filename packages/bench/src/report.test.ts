import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { judge, median, type Sample } from './compare.ts';
import type { Machine } from './machine.ts';
import type { Measured } from './measured.ts';
import { Progress, bar } from './progress.ts';
import { conditions, html, markdown, outcome, writeReport, type Report } from './report.ts';
import type { SoakResult, SoakSample } from './soak/soak.ts';
import { levelsOf } from './soak/soak.ts';
import { markdownTable, transportTable } from './tables.ts';
import { TARGETS } from './targets.ts';
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
    judge(samples, false).find((line) => line.target.figure.name === figure);

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
    ).toMatchObject({
      verdict: 'not judged',
      reason: 'needs 1,000,000 keys: run keelson bench million --compare-etcd',
      ratio: 1,
    });
  });

  test('without etcd only what stands alone is judged', () => {
    const first = measured(0, { extra: { firstPutMs: 900 } });
    const ran = [sample('put', 'keelson', 1, measured(1)), sample('first-put', 'keelson', 1, first)];
    const lines = judge(ran, false);
    expect(lines.map(({ target, verdict }) => [target.step, verdict])).toEqual([['first-put', 'pass']]);
  });

  test('asked for all, a line stands for every target, and says what would measure it', () => {
    const lines = judge([sample('put', 'keelson', 1, measured(1))], true);
    expect(lines).toHaveLength(TARGETS.length);
    const reasons = new Map(lines.map(({ target, reason }) => [target.step, reason]));
    expect(reasons.get('put')).toBe('needs --compare-etcd');
    expect(reasons.get('growth')).toBe('run keelson bench million --compare-etcd');
    expect(reasons.get('range-l/grpc-js')).toBe('run keelson bench transports --compare-etcd');
  });

  test("the generator's own cost is judged too", () => {
    const dear = sample('range-l', 'keelson', 1, measured(1, { generatorCpuUsPerCall: 9 }));
    expect(lineOf([dear], "generator's CPU per call")).toMatchObject({ verdict: 'miss', ours: 9 });
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
function soakSample(i: number): SoakSample {
  const latency = { count: 10, mean: 1, p50: 1, p90: 2, p99: 3, p999: 4, max: 5 };
  const member = {
    name: 'm1',
    memory: { rssBytes: 2e8, rssAnonBytes: 1e8 + i * 1e6, rssFileBytes: 1e8 },
    heapBytes: 5e7,
    cpuShare: 0.5,
    collections: 10,
    pauseMs: 5,
    longestPauseMs: 2,
    minorPauses: 9,
    majorPauses: 1,
    loopP50Ms: 1,
    loopP99Ms: 4,
    loopMaxMs: 9,
  };
  return { seconds: 5 * i, perSecond: 100, latency, members: [member] };
}

const soakSamples = Array.from({ length: 60 }, (_, i) => soakSample(i));
const { latency } = soakSamples[0];
const soaked: SoakResult = {
  side: 'keelson',
  maximumPerSecond: 125,
  targetPerSecond: 100,
  perSecond: 100,
  seconds: 300,
  errors: {},
  latency,
  byKind: { get: latency, put: latency, txn: latency, watch: latency },
  serverCpuUsPerCall: 50,
  pauses: [{ member: 'm1', count: 600, minor: 540, major: 60, totalMs: 300, longestMs: 2, share: 0.001 }],
  levels: levelsOf(soakSamples),
  samples: soakSamples,
  flat: false,
};

const report: Report = {
  machine: MACHINE,
  command: 'keelson bench --report x',
  members: 3,
  tls: true,
  seed: 1,
  transport: 'native',
  minutes: 4.5,
  samples,
  lines: judge(samples, false),
  soaks: [soaked],
};

test('conditions name what a figure means nothing without', () => {
  const text = conditions(report)
    .map((fact) => fact.join(': '))
    .join('\n');
  for (const word of ['TLS', 'seed 1', 'fdatasync', 'commit abc', '4.50 minutes'])
    expect(text).toContain(word);
  expect(outcome(report)).toBe(
    'targets: 2 met, 1 missed, 0 not judged by this run; soak of keelson: not flat',
  );
});

test('a soak: memory that grows by a megabyte a sample is not level, what stays is', () => {
  expect(levelsOf(soakSamples).map(({ figure, level }) => [figure, level])).toEqual([
    ['anonymous memory', false],
    ['resident memory', true],
    ['event loop p99', true],
  ]);
  expect(levelsOf([])).toEqual([]);
});

test('transports: servers down, generators across', () => {
  const of = (side: string, step: string, rate: number): Sample => sample(step, side, 1, measured(rate));
  const table = transportTable([
    of('keelson', 'put/native', 10),
    of('keelson', 'put/grpc-js', 5),
    of('keelson grpc-js', 'put/native', 4),
  ]);
  expect(table.rows.map((row) => row.slice(0, 3))).toEqual([
    ['keelson native', 'native', '10.0'],
    ['keelson native', 'grpc-js', '5.00'],
    ['keelson grpc-js', 'native', '4.00'],
    ['keelson grpc-js', 'grpc-js', '–'],
  ]);
  expect(transportTable(samples).rows).toEqual([]);
});

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
  const page = html(report);
  expect(page).toContain('<td class="pass">pass</td>');
  expect(page).toContain('put &lt;title&gt;');
  expect(page).not.toContain('<title>put');
  expect(page.match(/<svg /g)).toHaveLength(13);
  // It stands alone: the only address is the name of a name space.
  expect(page.match(/https?:[^"]*/g)?.every((url) => url === 'http://www.w3.org/2000/svg')).toBe(true);
  expect(page).not.toMatch(/<script|@import|url\(/);
});

test('files of a report', () => {
  const home = mkdtempSync(path.join(tmpdir(), 'keelson-bench-test-'));
  try {
    writeReport(report, path.join(home, 'deep', 'down'));
    const written = path.join(home, 'deep', 'down');
    expect(readdirSync(written).toSorted()).toEqual(
      [
        ...[
          'cpu',
          'growth',
          'latency',
          'soak-cpu',
          'soak-heap',
          'soak-latency',
          'soak-loop-max',
          'soak-loop-p99',
        ],
        ...['soak-memory', 'soak-pauses', 'soak-resident', 'soak-throughput', 'throughput'],
      ]
        .flatMap((name) => [`${name}.png`, `${name}.svg`])
        .concat('index.html', 'report.json', 'report.md')
        .toSorted(),
    );
    expect(JSON.parse(readFileSync(path.join(written, 'report.json'), 'utf8'))).toMatchObject({
      seed: 1,
      samples: [{ step: 'put', measured: { perSecond: 2000 } }, {}, {}],
      lines: [{ verdict: 'pass', target: { figure: 'per second' } }, {}, {}],
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
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
