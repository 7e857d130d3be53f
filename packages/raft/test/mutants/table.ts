/** The kill table as Markdown. */
import { type Mutant, SUITES, type SuiteName } from './mutant.ts';
import type { Outcome } from './suites.ts';

export interface Row {
  readonly mutant: Mutant;
  readonly outcomes: readonly Outcome[];
}

export interface Campaign {
  readonly rows: readonly Row[];
  /** Suites that were there to run. */
  readonly suites: readonly SuiteName[];
  readonly seconds: number;
  /** Every suite alone, or each mutant until its first kill. */
  readonly matrix: boolean;
}

export function isKilled(row: Row): boolean {
  return row.outcomes.some((each) => each.verdict === 'killed');
}

/** How much of what each suite was run against it kills alone. */
export function tally(campaign: Campaign): string[] {
  return SUITES.filter((name) => campaign.suites.includes(name)).map((name) => {
    const run = campaign.rows.flatMap((row) => row.outcomes.filter((each) => each.suite === name));
    const killed = run.filter((each) => each.verdict === 'killed');
    const times = killed.map((each) => each.seconds).toSorted((a, b) => a - b);
    const seeds = killed.flatMap((each) => each.finding?.seeds ?? []).toSorted((a, b) => a - b);
    const median = (values: readonly number[]): number => values[Math.floor((values.length - 1) / 2)] ?? 0;
    const seedText =
      seeds.length > 0 ? `, ${median(seeds)} seeds in the middle, ${seeds.at(-1)} at most` : '';
    return `${name}: ${killed.length} of ${run.length} killed; ${median(times).toFixed(1)} s in the middle, ${(times.at(-1) ?? 0).toFixed(1)} s at most${seedText}`;
  });
}

function cell(row: Row, name: SuiteName): string {
  const outcome = row.outcomes.find((each) => each.suite === name);
  if (outcome === undefined) return '';
  if (outcome.verdict !== 'killed') return outcome.verdict === 'survived' ? '-' : outcome.verdict;
  const seeds = outcome.finding?.seeds;
  return seeds === undefined
    ? `${outcome.seconds.toFixed(1)} s`
    : `${seeds} seeds, ${outcome.seconds.toFixed(1)} s`;
}

/** The first assertion that found it, in the order of suites. */
function killer(row: Row): string {
  const first = row.outcomes.find((each) => each.verdict === 'killed');
  if (first === undefined) return '**survived**';
  const text = first.finding?.text ?? '';
  const short = text.length > 110 ? `${text.slice(0, 107)}...` : text;
  return `${first.suite}: ${short.replaceAll('|', '\\|')}`;
}

export function markdown(campaign: Campaign): string {
  const names = SUITES.filter((name) => campaign.suites.includes(name));
  const head = ['mutant', 'file', 'rows', 'law', ...names, 'found by'];
  const lines = [`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`];
  for (const row of campaign.rows) {
    const { name, file, rows, law } = row.mutant;
    const cells = [name, file, rows.join(' '), law, ...names.map((each) => cell(row, each)), killer(row)];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}
