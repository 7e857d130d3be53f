/** The kill table as Markdown. */
import { MISSED } from './missed.ts';
import type { Mutant } from './mutant.ts';
import type { Outcome } from './suites.ts';

export interface Row {
  readonly mutant: Mutant;
  /** In the order in which catchers were asked; the last one is the one that killed, if any did. */
  readonly outcomes: readonly Outcome[];
}

export function isKilled({ outcomes }: Row): boolean {
  return outcomes.at(-1)?.verdict === 'killed';
}

const TEXT_MAX = 120;

function cellOf(text: string): string {
  const short = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX - 3)}...` : text;
  return short.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

/** Who found it, and in which words. */
function killer(row: Row): string {
  const last = row.outcomes.at(-1);
  if (last?.verdict !== 'killed') return '**survived**';
  const { seed, text = '' } = last.finding ?? {};
  if (last.catcher === 'sim') return `simulation, seed ${seed}: ${cellOf(text)}`;
  if (last.catcher === 'images') return `crash images: ${cellOf(text)}`;
  return cellOf(text);
}

function secondsOf({ outcomes }: Row): number {
  return outcomes.reduce((sum, { seconds }) => sum + seconds, 0);
}

/** Kills of each kind, and what they took. */
export function tally(rows: readonly Row[]): string[] {
  const killed = rows.filter(isKilled);
  const by = (name: (catcher: string) => boolean): number =>
    killed.filter((row) => name(row.outcomes.at(-1)?.catcher ?? '')).length;
  const seconds = killed.map(secondsOf).toSorted((a, b) => a - b);
  const middle = seconds[Math.floor((seconds.length - 1) / 2)] ?? 0;
  const missed = rows.filter(({ mutant }) => MISSED[mutant.name] !== undefined).length;
  return [
    `${killed.length} of ${rows.length} killed, each by an assertion`,
    `found by the simulation ${by((one) => one === 'sim')}, by crash images ${by((one) => one === 'images')}, by tests ${by((one) => one.includes('/'))}`,
    `${missed} were missed at first`,
    `${middle.toFixed(1)} s in the middle, ${(seconds.at(-1) ?? 0).toFixed(1)} s at most`,
  ];
}

export function markdown(rows: readonly Row[]): string {
  const head = ['mutant', 'file', 'rows', 'law', 'found by', 's', 'missed at first; since then'];
  const lines = [`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`];
  for (const row of rows) {
    const { name, file, rows: numbers, law } = row.mutant;
    const cells = [
      name,
      file.replace('store/src/', ''),
      numbers.join(' '),
      law,
      killer(row),
      secondsOf(row).toFixed(1),
      MISSED[name] ?? '',
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}
