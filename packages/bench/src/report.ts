/**
 * What remains of a run: every sample as JSON, the tables as Markdown, a page that shows them with the plots,
 * and the plots as files. Rendering only; nothing is measured or judged here.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { median, type Line, type Sample } from './compare.ts';
import type { Machine } from './machine.ts';
import { barChart, escapeXml, lineChart } from './svg.ts';
import { number } from './text.ts';

export interface Report {
  readonly machine: Machine;
  readonly command: string;
  readonly members: number;
  readonly seed: number;
  readonly transport: string;
  readonly samples: readonly Sample[];
  readonly lines: readonly Line[];
}

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function targetTable(lines: readonly Line[]): Table {
  return {
    title: 'Targets',
    head: ['step', 'figure', 'Keelson', 'etcd', 'ratio', 'spread', 'target', 'verdict'],
    rows: lines.map(({ target, ours, theirs, ratio, spread, verdict, reason }) => {
      const bound = `${target.bound === 'at least' ? '≥' : '≤'} ${number(target.value)}`;
      const { name, unit } = target.figure;
      return [
        target.step,
        name,
        `${number(ours)} ${unit}`,
        theirs === undefined ? '–' : `${number(theirs)} ${unit}`,
        ratio === undefined ? '–' : `${number(ratio)} ×`,
        spread === undefined ? '–' : `${number(spread[0])} … ${number(spread[1])}`,
        target.against === 'etcd' ? `${bound} ×` : `${bound} ${unit}`,
        reason === '' ? verdict : `${verdict}: ${reason}`,
      ];
    }),
  };
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

export function tables(report: Report): Table[] {
  const all = [targetTable(report.lines), sampleTable(report.samples), extraTable(report.samples)];
  return all.filter(({ rows }) => rows.length > 0);
}

export function markdownTable({ head, rows }: Table): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;
  return `${row(head)}${row(head.map(() => '---'))}${rows.map(row).join('')}`;
}

export function conditions({ machine, command, members, seed, transport }: Report): string[] {
  return [
    `Command: ${command}`,
    `Members: ${members}; seed ${seed}; generators on the ${transport} transport`,
    `Machine: ${machine.cpus} × ${machine.cpu}, ${number(machine.memoryMb)} MB, ${machine.system}`,
    `Disk of the data: fdatasync of 4 kB takes ${number(machine.syncMeanMs)} ms (mean), ${number(machine.syncMaxMs)} ms (worst of ${machine.syncs})`,
    `Load before the run: ${number(machine.loadAverage)} (1 minute average)`,
    `Node ${machine.node}; commit ${machine.commit}; ${machine.date}`,
  ];
}

export function markdown(report: Report): string {
  const lead = conditions(report).map((line) => `- ${line}\n`);
  const parts = tables(report).map((table) => `\n## ${table.title}\n\n${markdownTable(table)}`);
  return `# Keelson bench\n\n${lead.join('')}${parts.join('')}`;
}

/** File name without its ending → SVG. */
export function plots({ samples }: Report): Map<string, string> {
  const charts = new Map<string, string>();
  const sides = [...new Set(samples.map(({ side }) => side))];
  const rated = samples.filter(
    ({ measured }) => measured.completed > 0 && measured.extra['keys'] === undefined,
  );
  const bars = (
    file: string,
    title: string,
    unit: string,
    of: (sample: Sample) => number | undefined,
  ): void => {
    const groups = [...new Set(rated.filter((one) => of(one) !== undefined).map(({ title: name }) => name))];
    if (groups.length === 0) return;
    const series = sides.map((side) => ({
      name: side,
      values: groups.map((group) => {
        const values = rated
          .filter((sample) => sample.side === side && sample.title === group)
          .flatMap((sample) => of(sample) ?? []);
        return values.length === 0 ? undefined : median(values);
      }),
    }));
    charts.set(file, barChart({ title, unit, groups, series }));
  };
  bars('throughput', 'Throughput (longer is better)', '/s', ({ measured }) => measured.perSecond);
  bars('latency-p50', 'Median latency (shorter is better)', 'ms', ({ measured }) => measured.latency.p50);
  bars(
    'latency-p99',
    '99th percentile of latency (shorter is better)',
    'ms',
    ({ measured }) => measured.latency.p99,
  );
  bars(
    'cpu',
    'CPU of all members per call or event (shorter is better)',
    'µs',
    ({ measured }) => measured.serverCpuUsPerCall,
  );
  const lines = growthLines(samples);
  if (lines.length > 0) {
    charts.set(
      'growth',
      lineChart({ title: 'CPU of all members per call, as keys grow', xLabel: 'keys', unit: 'µs', lines }),
    );
  }
  return charts;
}

function growthLines(samples: readonly Sample[]): { name: string; points: (readonly [number, number])[] }[] {
  const byName = new Map<string, Map<number, number[]>>();
  for (const { side, measured } of samples) {
    for (const [figure, value] of Object.entries(measured.extra)) {
      const [, what, size] = /^(put|get)CpuUs@(\d+)$/.exec(figure) ?? [];
      if (what === undefined) continue;
      const name = `${side} ${what}`;
      const sizes = byName.get(name) ?? new Map<number, number[]>();
      byName.set(name, sizes);
      sizes.set(Number(size), [...(sizes.get(Number(size)) ?? []), value]);
    }
  }
  return [...byName].map(([name, sizes]) => ({
    name,
    points: [...sizes].map(([size, values]) => [size, median(values)] as const),
  }));
}

export function html(report: Report, charts: ReadonlyMap<string, string>): string {
  const list = conditions(report).map((line) => `<li>${escapeXml(line)}</li>`);
  const shown = tables(report).map((table) => {
    const cells = (tag: string, row: readonly string[]): string =>
      `<tr>${row.map((text) => `<${tag}${verdictClass(text)}>${escapeXml(text)}</${tag}>`).join('')}</tr>`;
    const rows = table.rows.map((row) => cells('td', row)).join('\n');
    return `<h2>${table.title}</h2>\n<div class="wide"><table>\n${cells('th', table.head)}\n${rows}\n</table></div>`;
  });
  const [targets = '', ...rest] = shown;
  const figures = [...charts.values()].map((svg) => `<figure>${svg}</figure>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Keelson bench</title>
<style>
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #222; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
.wide { overflow-x: auto; }
.pass { color: #00664b; font-weight: bold; } .miss { color: #b34700; font-weight: bold; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
</style>
</head>
<body>
<h1>Keelson bench</h1>
<ul>
${list.join('\n')}
</ul>
${targets}
<h2>Plots</h2>
${figures.join('\n')}
${rest.join('\n')}
</body>
</html>
`;
}

function verdictClass(text: string): string {
  return text === 'pass' || text === 'miss' ? ` class="${text}"` : '';
}

/** Writes report.json, report.md, index.html and the plots; what has the same name is overwritten. */
export function writeReport(report: Report, directory: string): void {
  mkdirSync(directory, { recursive: true });
  const charts = plots(report);
  const write = (name: string, text: string): void => writeFileSync(path.join(directory, name), text);
  write('report.json', `${JSON.stringify(jsonOf(report), undefined, 2)}\n`);
  write('report.md', markdown(report));
  write('index.html', html(report, charts));
  for (const [name, svg] of charts) write(`${name}.svg`, svg);
}

/** Functions of the targets left out. */
function jsonOf(report: Report): object {
  const lines = report.lines.map(({ target, ...rest }) => ({
    ...rest,
    target: { ...target, figure: target.figure.name, unit: target.figure.unit },
  }));
  return { ...report, lines };
}
