/**
 * Runs seeds and says what they met:
 *
 *   node packages/raft/test/sim/main.ts [--seeds N | --minutes M | --seed X] [--from S] [--events E] [--without a,b]
 *
 * A failing seed prints the command that repeats it, after fault kinds and events that it does not need
 * have been taken away.
 */
import { Cluster } from './cluster.ts';
import { type Fault, FAULTS, optionsOf } from './options.ts';

export interface Failure {
  readonly message: string;
  readonly events: number;
}

/** Undefined when the seed is clean; `totals` gains what it met. */
export function runSeed(
  seed: number,
  events: number,
  without: readonly Fault[],
  totals?: Map<string, number>,
): Failure | undefined {
  const cluster = new Cluster(optionsOf(seed, events, without));
  let failure: Failure | undefined;
  try {
    cluster.run();
  } catch (error) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    failure = { message: text, events: cluster.events };
  }
  if (totals !== undefined) {
    const add = (what: string, count: number): void => void totals.set(what, (totals.get(what) ?? 0) + count);
    for (const [what, count] of cluster.counts) add(what, count);
    add('seeds', 1);
    add('events', cluster.events);
    add('elections', cluster.oracle.elections);
    add('reads', cluster.oracle.readsAnswered);
  }
  return failure;
}

/** What every campaign of a few hundred seeds must have met at least once. */
export const GOALS = [
  'elections',
  'reads',
  'confChanges',
  'joint',
  'snapshots',
  'compactions',
  'transfers',
  'rejections',
  'truncations',
  'crashes',
  'lostWrites',
  'tornWrites',
  'dropped',
  'duplicated',
  'partitions',
  'pauses',
  'slowDisks',
] as const;

export function report(totals: ReadonlyMap<string, number>): string {
  const all = [...totals].map(([what, count]) => `${what}=${count}`).join(' ');
  const missed = GOALS.filter((goal) => !totals.has(goal));
  return `${all} goals ${GOALS.length - missed.length}/${GOALS.length}${missed.length > 0 ? ` missed: ${missed.join(' ')}` : ''}`;
}

function shrink(seed: number, failure: Failure): string {
  let without: Fault[] = [];
  let { events } = failure;
  for (const fault of FAULTS) {
    const found = runSeed(seed, events, [...without, fault]);
    if (found === undefined) continue;
    without = [...without, fault];
    events = Math.min(events, found.events);
  }
  const less = without.length > 0 ? ` --without ${without.join(',')}` : '';
  return `node packages/raft/test/sim/main.ts --seed ${seed} --events ${events}${less}`;
}

function main(args: readonly string[]): number {
  const option = (name: string): string | undefined => {
    const place = args.indexOf(`--${name}`);
    return place < 0 ? undefined : args[place + 1];
  };
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const events = Number(option('events') ?? 20_000);
  const excluded = (option('without') ?? '').split(',');
  const without = FAULTS.filter((fault) => excluded.includes(fault));
  const one = option('seed');
  const first = Number(one ?? option('from') ?? 1);
  const minutes = option('minutes');
  const seeds = minutes === undefined ? Number(one === undefined ? (option('seeds') ?? 100) : 1) : Infinity;
  const end = Date.now() + Number(minutes ?? 0) * 60_000;
  const totals = new Map<string, number>();
  let failures = 0;
  for (let i = 0; i < seeds && (minutes === undefined || Date.now() < end) && failures < 10; i++) {
    const failure = runSeed(first + i, events, without, totals);
    if (failure !== undefined) {
      failures++;
      print(`seed ${first + i} after ${failure.events} events: ${failure.message}`);
      print(`  ${one === undefined ? shrink(first + i, failure) : 'repeated'}`);
    }
    if ((i + 1) % 50 === 0) print(`${i + 1} seeds, ${failures} failed`);
  }
  print(`${report(totals)} failed=${failures}`);
  return failures === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
