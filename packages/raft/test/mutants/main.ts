/**
 * Runs the suites of the core against each seeded bug and says which of them notices:
 *
 *   node packages/raft/test/mutants/main.ts [--only name,…] [--suites a,b] [--seconds S] [--jobs 2] [--matrix]
 *                                           [--report FILE]
 *
 * Suites run cheapest first until one kills the mutant, within S seconds a mutant (120 when not said). With
 * --matrix every suite runs alone, each within S seconds. The core as it is must pass first (control). The
 * exit code is 1 when a mutant survives, 2 when the control does not pass or a mutant does not fit.
 *
 * With --report the table also replaces what stands between the two marks in FILE.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { numberOf, scriptFlags } from '../../../base/test/script.ts';
import { MUTANTS } from './list.ts';
import { type Mutant, MutantError, SUITES, type SuiteName } from './mutant.ts';
import { isEndless, isPresent, type Outcome, runSuite } from './suites.ts';
import { type Campaign, isKilled, markdown, type Row, tally } from './table.ts';
import { Workspace } from './workspace.ts';

export interface Order {
  readonly mutants: readonly Mutant[];
  readonly suites: readonly SuiteName[];
  /** Unit tests whose path matches; all when not said. */
  readonly unitTests?: string;
  readonly seconds: number;
  /** How long a suite without an end is watched while nothing is wrong. */
  readonly controlSeconds: number;
  readonly jobs: number;
  readonly matrix: boolean;
  readonly print: (line: string) => void;
}

/** The suites fail without any mutant: nothing they say about one would mean anything. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
}

/** What a suite with an end may take at most: several times what the slowest takes on a busy machine. */
const CONTROL_SECONDS_MAX = 60;

/**
 * Control first, then every mutant.
 *
 * @throws ControlError when a suite does not pass on the core as it is
 * @throws MutantError when a mutant does not fit its file
 */
export async function runCampaign(order: Order): Promise<Campaign> {
  const spaces = Array.from({ length: order.jobs }, () => new Workspace(order.unitTests ?? ''));
  const clear = (): void => {
    for (const space of spaces) space.remove();
  };
  process.once('exit', clear);
  try {
    const [first] = spaces;
    const suites = order.suites.filter((name) => first !== undefined && isPresent(first, name));
    for (const mutant of order.mutants) {
      first?.apply(mutant);
      first?.heal();
    }
    if (first !== undefined) await control(order, first, suites);
    const rows: Row[] = [];
    const waiting = order.mutants.map((mutant, place) => ({ mutant, place }));
    const work = async (space: Workspace): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const outcomes = await runMutant(order, space, suites, next.mutant);
        rows[next.place] = { mutant: next.mutant, outcomes };
        order.print(progressLine(next.mutant, outcomes));
      }
    };
    await Promise.all(spaces.map(work));
    return { rows, suites, seconds: order.seconds, matrix: order.matrix };
  } finally {
    process.off('exit', clear);
    clear();
  }
}

async function control(order: Order, space: Workspace, suites: readonly SuiteName[]): Promise<void> {
  for (const name of suites) {
    const seconds = isEndless(name) ? order.controlSeconds : CONTROL_SECONDS_MAX;
    const outcome = await runSuite(space, name, seconds);
    order.print(`control: ${name} ${outcome.verdict} after ${outcome.seconds.toFixed(1)} s`);
    if (outcome.verdict !== 'survived') {
      throw new ControlError(`${name} ${outcome.verdict} without a mutant: ${outcome.finding?.text ?? ''}`);
    }
  }
}

async function runMutant(
  order: Order,
  space: Workspace,
  suites: readonly SuiteName[],
  mutant: Mutant,
): Promise<Outcome[]> {
  space.apply(mutant);
  const outcomes: Outcome[] = [];
  let left = order.seconds;
  for (const name of suites) {
    if (!mutant.suites.includes(name) || left <= 0) continue;
    const outcome = await runSuite(space, name, left);
    outcomes.push(outcome);
    if (order.matrix) continue;
    left -= outcome.seconds;
    if (outcome.verdict === 'killed') break;
  }
  space.heal();
  return outcomes;
}

function progressLine(mutant: Mutant, outcomes: readonly Outcome[]): string {
  const each = outcomes.map((outcome) => {
    const text = outcome.finding === undefined ? '' : ` (${outcome.finding.text})`;
    return `${outcome.suite} ${outcome.verdict} ${outcome.seconds.toFixed(1)} s${text}`;
  });
  const killed = isKilled({ mutant, outcomes });
  return `${killed ? 'killed  ' : 'SURVIVED'} ${mutant.name}: ${each.join('; ')}`;
}

const BEGIN = '<!-- table: begin -->\n';
const END = '<!-- table: end -->';

function writeReport(file: string, campaign: Campaign): void {
  const text = readFileSync(file, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new MutantError(`${file} has no place for the table`);
  const killed = campaign.rows.filter(isKilled).length;
  const figures = [`${killed} of ${campaign.rows.length} killed`, ...tally(campaign)].map(
    (each) => `- ${each}`,
  );
  const table = `${figures.join('\n')}\n\n${markdown(campaign)}`;
  writeFileSync(file, text.slice(0, begin + BEGIN.length) + table + text.slice(end));
}

async function main(args: readonly string[]): Promise<number> {
  const values = scriptFlags(
    import.meta.filename,
    {
      only: { type: 'string' },
      suites: { type: 'string' },
      seconds: { type: 'string', default: '120' },
      jobs: { type: 'string', default: '2' },
      matrix: { type: 'boolean', default: false },
      report: { type: 'string' },
    },
    args,
  );
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const only = values.only?.split(',');
  const wanted = values.suites?.split(',');
  const mutants = MUTANTS.filter((each) => only === undefined || only.includes(each.name));
  const suites = SUITES.filter((name) => wanted === undefined || wanted.includes(name));
  if (mutants.length === 0 || suites.length === 0) {
    print('no such mutant or suite');
    return 2;
  }
  const seconds = numberOf('seconds', values.seconds);
  const jobs = numberOf('jobs', values.jobs);
  let campaign: Campaign;
  try {
    const { matrix } = values;
    const controlSeconds = Math.max(seconds, 30);
    campaign = await runCampaign({ mutants, suites, seconds, controlSeconds, jobs, matrix, print });
  } catch (error) {
    if (!(error instanceof ControlError || error instanceof MutantError)) throw error;
    print(`${error.name}: ${error.message}`);
    return 2;
  }
  const { report } = values;
  if (report === undefined) print(markdown(campaign));
  else writeReport(report, campaign);
  for (const line of tally(campaign)) print(line);
  const survivors = campaign.rows.filter((row) => !isKilled(row));
  print(`${mutants.length - survivors.length} of ${mutants.length} killed`);
  return survivors.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  process.exitCode = await main(process.argv.slice(2));
}
