/**
 * Explores the small model and says what it saw:
 *
 *   node packages/raft/test/model/main.ts [--states N] [--config NAME]
 *
 * N bounds the states of each configuration; it is a million when not said. A broken law is printed with the
 * shortest history that leads to it, and ends the run with exit code 1.
 */
import { numberOf, scriptFlags } from '../../../base/test/script.ts';
import { type Configuration, CONFIGURATIONS } from './configurations.ts';
import { type Broken, Explorer, type Outcome } from './explore.ts';

const STATES = 1_000_000;
/** A quick look at every configuration comes first: a broken core is as a rule found here, within seconds. */
const GLANCE = 30_000;

const COLUMNS = ['configuration', 'states', 'transitions', 'depth', 'left', 'queue', 'members', 'seconds'];

function row(cells: readonly (string | number)[]): string {
  return cells
    .map((cell, place) => {
      const text = typeof cell === 'number' ? cell.toLocaleString('en') : cell;
      return place === 0 ? text.padEnd(14) : text.padStart(12);
    })
    .join(' ');
}

function rowOf(outcome: Outcome, seconds: number): string {
  const { configuration, states, transitions, depth, frontier, queueMax, memberStates } = outcome;
  const left = frontier === 0 ? 'exhausted' : frontier;
  return row([configuration, states, transitions, depth, left, queueMax, memberStates, seconds.toFixed(1)]);
}

function tell(name: string, { law, path }: Broken): string {
  const lines = path.map((line, place) => `${String(place + 1).padStart(4)}. ${line}`);
  return `LawBroken: ${law}\n  configuration ${name}, after ${path.length} events:\n${lines.join('\n')}\n`;
}

function main(args: readonly string[]): number {
  const values = scriptFlags(
    import.meta.filename,
    { config: { type: 'string' }, states: { type: 'string' } },
    args,
  );
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const wanted = values.config;
  const states = numberOf('states', values.states ?? String(STATES));
  const chosen = CONFIGURATIONS.filter(({ name }) => wanted === undefined || name === wanted);
  if (chosen.length === 0 || !(states > 0)) {
    print(`--states is a number; configurations are ${CONFIGURATIONS.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const explore = (configuration: Configuration, bound: number): [Outcome, number] => {
    const begun = performance.now();
    const outcome = new Explorer(configuration).run(bound);
    if (outcome.broken !== undefined) print(tell(configuration.name, outcome.broken));
    if (outcome.stuck !== undefined) print(`${configuration.name} does not begin: ${outcome.stuck}`);
    return [outcome, (performance.now() - begun) / 1000];
  };
  if (states > GLANCE) {
    for (const configuration of chosen) {
      if (explore(configuration, GLANCE)[0].broken !== undefined) return 1;
    }
  }
  print(row(COLUMNS));
  let [allStates, allTransitions, allSeconds, exhausted, stuck] = [0, 0, 0, 0, 0];
  for (const configuration of chosen) {
    const [outcome, seconds] = explore(configuration, states);
    if (outcome.broken !== undefined) return 1;
    if (outcome.stuck !== undefined) {
      stuck++;
      continue;
    }
    print(rowOf(outcome, seconds));
    allStates += outcome.states;
    allTransitions += outcome.transitions;
    allSeconds += seconds;
    if (outcome.frontier === 0) exhausted++;
  }
  const megabytes = Math.round(process.resourceUsage().maxRSS / 1000);
  print(
    `${allStates.toLocaleString('en')} distinct states, ${allTransitions.toLocaleString('en')} transitions, no law broken; ` +
      `${exhausted} of ${chosen.length} exhausted; ${allSeconds.toFixed(0)} s, ${megabytes} MB at most`,
  );
  return stuck === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
