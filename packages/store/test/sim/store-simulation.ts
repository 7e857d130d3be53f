/** The store's simulation as the running of seeds (packages/sim) knows it: one plan in, one outcome out. */
import {
  checkHistory,
  type Failure,
  failureOf,
  linesOf,
  LawBroken,
  type Outcome,
  type Plan,
  type Simulation,
  verdictText,
} from '@keelson/sim';
import { Cluster } from './cluster.ts';
import { GOALS } from './goals.ts';
import { CONSTANTS, FAULTS, optionsOf } from './options.ts';

/** Simulated ms of a seed before its faults stop. */
export const DURATION_MS = 60_000;

export const STORE: Simulation = {
  command: 'node packages/store/test/sim/main.ts',
  events: DURATION_MS,
  faults: FAULTS,
  constants: CONSTANTS,
  goals: GOALS,
  unitMs: 1,
  run: (plan) => runPlan(plan),
};

/** What a seed that is watched leaves behind. */
export interface Watched {
  /** Members say what they do. */
  readonly prints: boolean;
  /** Takes the history, line by line. */
  readonly line?: (line: string) => void;
}

export function runPlan(plan: Plan, watched: Watched = { prints: false }): Outcome {
  const { prints, line } = watched;
  const cluster = new Cluster(optionsOf(plan), prints);
  let failure: Failure | undefined;
  try {
    try {
      cluster.run();
    } finally {
      if (line !== undefined && cluster.history !== undefined)
        for (const each of linesOf(cluster.history)) line(each);
    }
    check(cluster, prints);
  } catch (error) {
    if (prints && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    failure = failureOf(error, cluster.scheduler.now);
  }
  const { counts, goals, scheduler } = cluster;
  counts.set('units', scheduler.now);
  counts.set('events', scheduler.events);
  counts.set('elections', cluster.ledger.elections);
  return { failure, trace: scheduler.trace.digest(), counts, goals };
}

/** The whole history against the laws of keys, watches, leases and permissions. @throws LawBroken */
function check(cluster: Cluster, prints: boolean): void {
  const { history } = cluster;
  if (history === undefined) return;
  const verdict = checkHistory(history);
  for (const [name, count] of Object.entries(verdict.counts)) cluster.count(`checked ${name}`, count);
  if (verdict.kind === 'ok') return;
  if (prints) process.stderr.write(`${verdictText(verdict)}\n`);
  const { fastClocks, faults } = cluster.options;
  const skewed = faults.has('skew');
  const byClocks = (law: string): boolean => skewed && (law === 'E2' || (law === 'E1' && fastClocks));
  const counted = verdict.violations.filter(({ law }) => !byClocks(law));
  if (counted.length < verdict.violations.length) cluster.count('excused:lease under a clock that drifts');
  const [first] = counted;
  if (first === undefined && verdict.kind === 'broken') return;
  if (first === undefined) throw new LawBroken('verdict', verdict.notes.join('; '));
  throw new LawBroken(first.law, first.message);
}

/** A whole seed, nothing taken away. */
export function planOf(seed: number, events: number = DURATION_MS): Plan {
  return { seed, events, without: [], plain: [] };
}
