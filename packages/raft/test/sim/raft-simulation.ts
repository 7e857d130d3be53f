/** Raft's simulation as the running of seeds (packages/sim) knows it: one plan in, one outcome out. */
import { type Failure, failureOf, type Outcome, type Plan, type Simulation } from '@keelson/sim';
import { Cluster } from './cluster.ts';
import { GOALS } from './goals.ts';
import { CONSTANTS, FAULTS, optionsOf, UNIT_MS } from './options.ts';

/** Events of a seed before its faults stop. */
export const EVENTS = 20_000;

export const RAFT: Simulation = {
  command: 'node packages/raft/test/sim/main.ts',
  events: EVENTS,
  faults: FAULTS,
  constants: CONSTANTS,
  goals: GOALS,
  unitMs: UNIT_MS,
  run: runPlan,
};

function runPlan(plan: Plan): Outcome {
  const cluster = new Cluster(optionsOf(plan));
  let failure: Failure | undefined;
  try {
    cluster.run();
  } catch (error) {
    failure = failureOf(error, cluster.scheduler.events);
  }
  const { counts, goals, scheduler, oracle } = cluster;
  counts.set('units', scheduler.now);
  counts.set('events', scheduler.events);
  counts.set('elections', oracle.elections);
  counts.set('reads', oracle.readsAnswered);
  counts.set('committed', oracle.maxCommitted);
  return { failure, trace: scheduler.trace.digest(), counts, goals };
}

/** A whole seed, nothing taken away. */
export function planOf(seed: number, events: number = EVENTS): Plan {
  return { seed, events, without: [], plain: [] };
}
