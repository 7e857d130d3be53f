/**
 * What remains of a run: every sample as JSON, the tables as Markdown, a page that shows them with the plots, and
 * each plot as SVG and PNG. Rendering only; nothing is measured or judged here.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Line, Sample } from './compare.ts';
import type { Machine } from './machine.ts';
import { renderPage } from './page.ts';
import { toPng } from './plots/raster.ts';
import { plots } from './plots/report-plots.ts';
import { toSvg } from './plots/svg.ts';
import type { SoakResult } from './soak/soak.ts';
import {
  extraTable,
  markdownTable,
  sampleTable,
  soakTables,
  targetTable,
  transportTable,
  type Table,
} from './tables.ts';
import { number } from './text.ts';

export interface Report {
  readonly machine: Machine;
  readonly command: string;
  readonly members: number;
  readonly tls: boolean;
  readonly seed: number;
  readonly transport: string;
  readonly minutes: number;
  readonly samples: readonly Sample[];
  readonly lines: readonly Line[];
  readonly soaks: readonly SoakResult[];
}

export function tables(report: Report): Table[] {
  const { lines, samples, soaks } = report;
  const all = [
    targetTable(lines),
    ...soakTables(soaks),
    transportTable(samples),
    sampleTable(samples),
    extraTable(samples),
  ];
  return all.filter(({ rows }) => rows.length > 0);
}

/** One line: how many of the promises that could be judged were kept. */
export function outcome({ lines, soaks }: Report): string {
  const of = (verdict: Line['verdict']): number => lines.filter((line) => line.verdict === verdict).length;
  const parts: string[] = [];
  if (lines.length > 0) {
    parts.push(
      `targets: ${of('pass')} met, ${of('miss')} missed, ${of('not judged')} not judged by this run`,
    );
  }
  for (const { side, flat } of soaks) parts.push(`soak of ${side}: ${flat ? 'flat' : 'not flat'}`);
  return parts.join('; ');
}

export function conditions(report: Report): (readonly [name: string, text: string])[] {
  const { machine, command, members, tls, seed, transport, minutes } = report;
  return [
    ['Command', command],
    ['Took', `${number(minutes)} minutes`],
    ['Servers', `${members} ${members === 1 ? 'member' : 'members'}, ${tls ? 'TLS' : 'no TLS'}, fsync on`],
    ['Generator', `seed ${seed}, ${transport} transport, on the same machine`],
    ['Machine', `${machine.cpus} × ${machine.cpu}, ${number(machine.memoryMb)} MB, ${machine.system}`],
    [
      'Disk of the data',
      `fdatasync of 4 kB takes ${number(machine.syncMeanMs)} ms (mean), ${number(machine.syncMaxMs)} ms (worst of ${machine.syncs})`,
    ],
    ['Load before the run', `${number(machine.loadAverage)} (1 minute average)`],
    ['Version', `commit ${machine.commit}, Node ${machine.node}, ${machine.date}`],
  ];
}

export function markdown(report: Report): string {
  const lead = conditions(report).map(([name, text]) => `- ${name}: ${text}\n`);
  const parts = tables(report).map((table) => `\n## ${table.title}\n\n${markdownTable(table)}`);
  return `# Keelson bench\n\n${outcome(report)}\n\n${lead.join('')}${parts.join('')}`;
}

export function html(report: Report): string {
  return renderPage({
    title: 'Keelson bench',
    lead: outcome(report),
    facts: conditions(report),
    tables: tables(report),
    plots: plots(report.samples, report.soaks).values(),
  });
}

/**
 * Writes report.json, report.md, index.html and the plots; what has the same name is overwritten.
 * @throws node's file errors
 */
export function writeReport(report: Report, directory: string): void {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, data: string | Buffer): void =>
    writeFileSync(path.join(directory, name), data);
  write('report.json', `${JSON.stringify(jsonOf(report), undefined, 2)}\n`);
  write('report.md', markdown(report));
  write('index.html', html(report));
  for (const [name, drawing] of plots(report.samples, report.soaks)) {
    write(`${name}.svg`, toSvg(drawing, true));
    write(`${name}.png`, toPng(drawing));
  }
}

/** Functions of the targets left out. */
function jsonOf(report: Report): object {
  const lines = report.lines.map(({ target, ...rest }) => ({
    ...rest,
    target: { ...target, figure: target.figure.name, unit: target.figure.unit },
  }));
  return { ...report, lines };
}
