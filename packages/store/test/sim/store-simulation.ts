/** The store's simulation as the running of seeds (packages/sim) knows it: one plan in, one outcome out. */
import { Prng } from '@keelson/base';
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
import { GOALS, type Goal } from './goals.ts';
import { CONSTANTS, FAULTS, optionsOf, type Fault } from './options.ts';
import { Origin } from './origin.ts';

/** Simulated ms of a seed before its faults stop. */
export const DURATION_MS = 60_000;
/** Simulated ms of a restored cluster before it is to agree. */
const RESTORED_MS = 3000;

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
  /** Another history begins: only one of them can be kept. */
  readonly begins?: () => void;
}

export function runPlan(plan: Plan, watched: Watched = { prints: false }): Outcome {
  const cluster = new Cluster(optionsOf(plan), watched.prints);
  const failure = lived(cluster, watched);
  const restored = failure === undefined ? restoredFrom(cluster, watched) : undefined;
  const outcome = outcomeOf(cluster, failure);
  if (restored === undefined) return outcome;
  const { counts, goals } = outcome;
  const second = outcomeOf(restored, lived(restored, watched));
  for (const [name, count] of second.counts) counts.set(name, (counts.get(name) ?? 0) + count);
  for (const goal of second.goals) goals.add(goal);
  if (second.failure === undefined) goals.add('saved snapshot restored' satisfies Goal);
  return { failure: second.failure, trace: outcome.trace + second.trace, counts, goals };
}

/** Runs it, and judges what clients were told. */
function lived(cluster: Cluster, { prints, line, begins }: Watched): Failure | undefined {
  try {
    try {
      cluster.run();
    } finally {
      begins?.();
      if (line !== undefined && cluster.history !== undefined)
        for (const each of linesOf(cluster.history)) line(each);
    }
    check(cluster, prints);
  } catch (error) {
    if (prints && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return failureOf(error, cluster.scheduler.now);
  }
  return undefined;
}

/** Now and then a new cluster is made of the last snapshot that a client saved, and has a life of its own, without faults. */
function restoredFrom(cluster: Cluster, { prints }: Watched): Cluster | undefined {
  const { options, history, clients, members } = cluster;
  const { saved } = clients;
  const prng = new Prng(options.seed ^ 0x5afe);
  // Of users and roles a history cannot say that they were there at its beginning.
  if (saved === undefined || history === undefined || options.auth || !prng.chance(1, 3)) return undefined;
  const ids = new Set(members.map(({ memberId }) => memberId));
  const origin = new Origin(saved, prng.pick([0, 0, 1000]), history, ids);
  const quiet = {
    ...options,
    seed: options.seed ^ 0x2e57,
    faults: new Set<Fault>(),
    durationMs: RESTORED_MS,
  };
  return new Cluster(quiet, prints, origin);
}

interface Counted extends Outcome {
  readonly counts: Map<string, number>;
  readonly goals: Set<string>;
}

function outcomeOf({ counts, goals, scheduler, ledger }: Cluster, failure: Failure | undefined): Counted {
  counts.set('units', scheduler.now);
  counts.set('events', scheduler.events);
  counts.set('elections', ledger.elections);
  return { failure, trace: scheduler.trace.digest(), counts, goals };
}

/** The whole history against the laws of keys, watches, leases and permissions. @throws LawBroken */
function check(cluster: Cluster, prints: boolean): void {
  const { history } = cluster;
  if (history === undefined) return;
  const verdict = checkHistory(history);
  for (const [name, count] of Object.entries(verdict.counts)) cluster.count(`checked ${name}`, count);
  if (verdict.counts['leases expired with keys'] > 0) cluster.reach('lease expired with keys');
  if (verdict.counts['leases ended by a later leader'] > 0) cluster.reach('lease revoked by a new leader');
  if (verdict.kind === 'ok') return;
  if (prints) process.stderr.write(`${verdictText(verdict)}\n`);
  const skewed = cluster.options.faults.has('skew');
  const byClocks = (law: string): boolean => skewed && law === 'E2';
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
