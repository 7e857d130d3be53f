/**
 * Runs those who should find it against each seeded bug of the store, and says who did:
 *
 *   node packages/store/test/mutants/main.ts [--only name,…] [--seconds S] [--minutes M] [--jobs 2]
 *                                            [--results FILE [--missing]] [--report FILE]
 *
 * The catchers of a mutant are asked in their order until one has killed it, each within S seconds (60 when not said). What
 * a catcher says counts only if it says nothing of the store as it is: the same tests, the same images, the same seed. A mutant that does not
 * fit its file is an error. The exit code is 1 when a mutant survives, 2 when one does not fit.
 *
 * --results keeps outcomes in a file of JSON from run to run; with --missing only those run that are not killed there.
 * --report writes the table between its two marks in FILE, from all that is known.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { numberOf, scriptFlags } from '../../../base/test/script.ts';
import { MUTANTS } from './list.ts';
import { type Catcher, type Mutant, MutantError } from './mutant.ts';
import { type Outcome, runCatcher, runSeeds } from './suites.ts';
import { isKilled, markdown, type Row, tally } from './table.ts';
import { Workspace } from './workspace.ts';

export interface Order {
  readonly mutants: readonly Mutant[];
  /** For one catcher of one mutant. */
  readonly seconds: number;
  /** After so long no other mutant is begun. */
  readonly endMs: number;
  readonly jobs: number;
  readonly print: (line: string) => void;
  readonly done: (row: Row) => void;
}

/** A catcher on the store as it is, several times slower than on a quiet machine. */
const CONTROL_SECONDS = 300;

/** What catchers say without a mutant, each asked once. */
class Control {
  private readonly known = new Map<string, Promise<Outcome>>();
  private readonly print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.print = print;
  }

  /** @param workspace healed */
  async speaks(workspace: Workspace, catcher: Catcher, seed: number | undefined): Promise<boolean> {
    const key = `${catcher} ${seed ?? ''}`;
    let asked = this.known.get(key);
    if (asked === undefined) {
      asked =
        seed === undefined
          ? runCatcher(workspace, catcher, CONTROL_SECONDS)
          : runSeeds(workspace, seed, CONTROL_SECONDS, 1);
      this.known.set(key, asked);
    }
    const { verdict, finding } = await asked;
    if (verdict === 'survived') return false;
    this.print(`control: ${key} ${verdict}: ${finding?.text ?? ''}`);
    return true;
  }
}

/** @throws MutantError when a mutant does not fit its file */
export async function runCampaign(order: Order): Promise<Row[]> {
  const spaces = Array.from({ length: order.jobs }, () => new Workspace());
  const clear = (): void => {
    for (const space of spaces) space.remove();
  };
  process.once('exit', clear);
  try {
    for (const mutant of order.mutants) {
      spaces[0]?.apply(mutant);
      spaces[0]?.heal();
    }
    const control = new Control(order.print);
    const rows: Row[] = [];
    const waiting = order.mutants.map((mutant, place) => ({ mutant, place }));
    const work = async (space: Workspace): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (performance.now() > order.endMs) return;
        const row = { mutant: next.mutant, outcomes: await runMutant(order, space, control, next.mutant) };
        rows[next.place] = row;
        order.print(progressLine(row));
        order.done(row);
      }
    };
    await Promise.all(spaces.map(work));
    return rows.filter((row) => row !== undefined);
  } finally {
    process.off('exit', clear);
    clear();
  }
}

async function runMutant(
  order: Order,
  space: Workspace,
  control: Control,
  mutant: Mutant,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const catcher of mutant.by) {
    const outcome = await runOne(order, space, control, mutant, catcher);
    outcomes.push(outcome);
    if (outcome.verdict === 'killed') break;
  }
  space.heal();
  return outcomes;
}

/** A seed that fails without the mutant, too, is passed over. */
async function runOne(
  order: Order,
  space: Workspace,
  control: Control,
  mutant: Mutant,
  catcher: Catcher,
): Promise<Outcome> {
  let first = 1;
  let seconds = 0;
  for (;;) {
    space.apply(mutant);
    const left = order.seconds - seconds;
    const outcome =
      catcher === 'sim' ? await runSeeds(space, first, left) : await runCatcher(space, catcher, left);
    space.heal();
    seconds += outcome.seconds;
    const whole = { ...outcome, seconds };
    const { seed } = outcome.finding ?? {};
    if (outcome.verdict !== 'killed') return whole;
    if (!(await control.speaks(space, catcher, seed))) return whole;
    if (seed === undefined || seconds >= order.seconds) return { ...whole, verdict: 'survived' };
    first = seed + 1;
  }
}

function progressLine(row: Row): string {
  const each = row.outcomes.map(({ catcher, verdict, seconds, finding }) => {
    const seed = finding?.seed === undefined ? '' : `seed ${finding.seed}: `;
    const text = finding === undefined ? '' : ` (${seed}${finding.text.slice(0, 300)})`;
    return `${catcher} ${verdict} ${seconds.toFixed(1)} s${text}`;
  });
  return `${isKilled(row) ? 'killed  ' : 'SURVIVED'} ${row.mutant.name}: ${each.join('; ')}`;
}

const BEGIN = '<!-- store table: begin -->\n';
const END = '<!-- store table: end -->';

function writeReport(file: string, rows: readonly Row[]): void {
  const text = readFileSync(file, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new MutantError(`${file} has no place for the table`);
  const figures = tally(rows).map((each) => `- ${each}`);
  const table = `\n${figures.join('\n')}\n\n${markdown(rows)}\n`;
  writeFileSync(file, text.slice(0, begin + BEGIN.length) + table + text.slice(end));
}

type Results = Record<string, readonly Outcome[]>;

async function main(args: readonly string[]): Promise<number> {
  const values = scriptFlags(
    import.meta.filename,
    {
      only: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      minutes: { type: 'string' },
      jobs: { type: 'string', default: '2' },
      results: { type: 'string' },
      missing: { type: 'boolean', default: false },
      report: { type: 'string' },
    },
    args,
  );
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const { results: file, minutes, missing } = values;
  const results =
    file !== undefined && existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : {};
  const known = (mutant: Mutant): Row => ({ mutant, outcomes: results[mutant.name] ?? [] });
  const only = values.only?.split(',');
  const mutants = MUTANTS.filter((each) => only === undefined || only.includes(each.name)).filter(
    (each) => !missing || !isKilled(known(each)),
  );
  // What runs is ended on exit.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
  try {
    await runCampaign({
      mutants,
      seconds: numberOf('seconds', values.seconds),
      endMs: minutes === undefined ? Infinity : performance.now() + numberOf('minutes', minutes) * 60_000,
      jobs: numberOf('jobs', values.jobs),
      print,
      done: ({ mutant, outcomes }) => {
        results[mutant.name] = outcomes;
        if (file !== undefined) writeFileSync(file, JSON.stringify(results, undefined, 1));
      },
    });
  } catch (error) {
    if (!(error instanceof MutantError)) throw error;
    print(`${error.name}: ${error.message}`);
    return 2;
  }
  const rows = MUTANTS.map(known).filter(({ outcomes }) => outcomes.length > 0);
  const { report } = values;
  if (report === undefined) for (const line of tally(rows)) print(line);
  else writeReport(report, rows);
  return mutants.every((each) => isKilled(known(each))) ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
