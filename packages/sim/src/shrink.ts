/**
 * Makes a failing plan smaller: fault kinds away, constants back to plain, fewer events; whatever leaves the
 * same law broken is kept. A smaller plan that breaks another law is another story and is not followed. It stops
 * when its caller has waited long enough, with the smallest plan found until then.
 */
import type { Failure, Plan, Simulation } from './simulation.ts';

export interface Shrunk {
  readonly plan: Plan;
  readonly failure: Failure;
  /** Runs it took. */
  readonly runs: number;
}

/** @param patient asked before each run */
export function shrink(
  simulation: Simulation,
  plan: Plan,
  failure: Failure,
  patient: () => boolean = () => true,
): Shrunk {
  let best = plan;
  let found = failure;
  let runs = 0;
  const attempt = (smaller: Plan): boolean => {
    if (!patient()) return false;
    runs++;
    const { failure: other } = simulation.run(smaller);
    if (other === undefined || other.law !== failure.law) return false;
    best = smaller;
    found = other;
    return true;
  };
  for (const fault of simulation.faults) {
    if (!best.without.includes(fault)) attempt({ ...best, without: [...best.without, fault] });
  }
  for (const constant of simulation.constants) {
    if (!best.plain.includes(constant)) attempt({ ...best, plain: [...best.plain, constant] });
  }
  // Nothing after the failure matters. Below that, what breaks only after the faults stopped may do so earlier.
  if (found.events < best.events) attempt({ ...best, events: found.events });
  let low = 0;
  while (best.events - low > Math.max(50, best.events / 20)) {
    const middle = Math.floor((low + best.events) / 2);
    if (!attempt({ ...best, events: middle })) low = middle;
  }
  return { plan: best, failure: found, runs };
}

/** The command that repeats a plan. */
export function commandOf(simulation: Simulation, plan: Plan): string {
  let command = `${simulation.command} --seed ${plan.seed}`;
  if (plan.events !== simulation.events) command += ` --events ${plan.events}`;
  if (plan.without.length > 0) command += ` --without ${plan.without.join(',')}`;
  if (plan.plain.length > 0) command += ` --plain ${plan.plain.join(',')}`;
  return command;
}
