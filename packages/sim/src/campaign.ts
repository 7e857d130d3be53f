/**
 * The running of seeds in one process: each once, some twice (the trace must be equal), a failing one made
 * smaller; and the sentences about it all. It starts no process and reads no clock; host.ts does.
 */
import { commandOf, shrink } from './shrink.ts';
import type { Failure, Plan, Simulation } from './simulation.ts';
import type { Tally } from './tally.ts';

/** One seed in a hundred runs twice when nothing else is said. */
export const RERUN_EVERY = 100;

/**
 * Runs one plan and adds it to the tally.
 *
 * @param again run it twice and compare the traces
 * @returns undefined when all is well
 */
export function runPlan(
  simulation: Simulation,
  plan: Plan,
  again: boolean,
  tally?: Tally,
): Failure | undefined {
  const outcome = simulation.run(plan);
  tally?.outcome(plan.seed, outcome);
  if (!again || outcome.failure !== undefined) return outcome.failure;
  tally?.add('reruns', 1);
  const second = simulation.run(plan);
  if (second.trace === outcome.trace) return undefined;
  return {
    law: 'trace',
    message: `trace: the same seed left ${outcome.trace} and then ${second.trace}`,
    events: plan.events,
  };
}

/**
 * What is printed about a failing plan, with the command that repeats it.
 * @param patient whether it may still be made smaller
 */
export function story(
  simulation: Simulation,
  plan: Plan,
  failure: Failure,
  small: boolean,
  patient?: () => boolean,
): string[] {
  const lines = [`seed ${plan.seed} after ${failure.events} events: ${failure.message}`];
  if (small || failure.law === 'trace') return [...lines, `  ${commandOf(simulation, plan)}`];
  const { plan: best, failure: last, runs } = shrink(simulation, plan, failure, patient);
  lines.push(`  in ${runs} runs made smaller: ${last.message}`, `  ${commandOf(simulation, best)}`);
  return lines;
}

/** Goals that no seed reached. */
export function missed(simulation: Simulation, tally: Tally): string[] {
  return simulation.goals.filter((goal) => tally.reachedBy(goal) === undefined);
}

/** Totals, faults, goals with the first seed that reached each: for people. */
export function summary(simulation: Simulation, tally: Tally): string[] {
  const list = (pairs: readonly (readonly [string, number])[]): string =>
    pairs.map(([name, count]) => `${name} ${count}`).join(', ');
  const plain = tally.under('').filter(([name]) => !name.includes(':'));
  const reached = simulation.goals.flatMap((goal) => {
    const seed = tally.reachedBy(goal);
    return seed === undefined ? [] : [`${goal} (seed ${seed})`];
  });
  const lines = [
    `totals: ${list(plain)}`,
    `faults: ${list(tally.under('fault:'))}`,
    `goals reached ${reached.length} of ${simulation.goals.length}: ${reached.join('; ')}`,
  ];
  const never = missed(simulation, tally);
  if (never.length > 0) lines.push(`goals missed: ${never.join('; ')}`);
  const excused = tally.under('excused:');
  if (excused.length > 0) lines.push(`excused: ${list(excused)}`);
  return lines;
}

/** Hours of simulated time, to one place. */
export function simulatedHours(simulation: Simulation, tally: Tally): string {
  return ((tally.get('units') * simulation.unitMs) / 3_600_000).toFixed(1);
}

/** The run as one row of docs/ledger.md. */
export function ledgerLine(
  simulation: Simulation,
  tally: Tally,
  commit: string,
  failed: readonly number[],
): string {
  const faults = tally
    .under('fault:')
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
  const cells = [
    commit,
    String(tally.get('seeds')),
    simulatedHours(simulation, tally),
    String(tally.get('events')),
    faults,
    String(tally.get('elections')),
    String(tally.get('confChanges')),
    `${tally.get('snapshotsTaken')} taken, ${tally.get('snapshotsInstalled')} installed`,
    failed.length === 0 ? 'none' : `seeds ${failed.join(', ')}`,
  ];
  return `| ${cells.join(' | ')} |`;
}
