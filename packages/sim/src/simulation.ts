/**
 * What the running of seeds asks of a simulation, and what it gets back. Types, and the one error by which a
 * checker speaks.
 */

/** A law that was seen broken. The message starts with the law's name: 'R3: entry 4/7 differs at 2'. */
export class LawBroken extends Error {
  override readonly name = 'LawBroken';
  readonly law: string;

  constructor(law: string, text: string) {
    super(`${law}: ${text}`);
    this.law = law;
  }
}

/** @throws LawBroken unless `holds` */
export function law(name: string, holds: boolean, text: () => string): void {
  if (!holds) throw new LawBroken(name, text());
}

/** All that decides a run. */
export interface Plan {
  readonly seed: number;
  readonly events: number;
  /** Fault kinds left out. */
  readonly without: readonly string[];
  /** Constants that keep their plain value instead of the seed's. */
  readonly plain: readonly string[];
}

export interface Failure {
  /** The broken law; 'crash …' when something else was thrown. */
  readonly law: string;
  readonly message: string;
  /** Events that had run. */
  readonly events: number;
}

export interface Outcome {
  readonly failure: Failure | undefined;
  readonly trace: string;
  /** What was counted, by name; faults as 'fault:KIND', what was excused as 'excused:REASON'. */
  readonly counts: ReadonlyMap<string, number>;
  /** Goals that were reached. */
  readonly goals: ReadonlySet<string>;
}

export interface Simulation {
  /** The command that starts its campaigns, without arguments. */
  readonly command: string;
  /** Events of a seed when nothing else is said. */
  readonly events: number;
  readonly faults: readonly string[];
  readonly constants: readonly string[];
  /** Each must be reached by some seed of any thousand. */
  readonly goals: readonly string[];
  /** Milliseconds of simulated time that one unit stands for; counts must have 'units'. */
  readonly unitMs: number;
  run(plan: Plan): Outcome;
}

/** What a run threw, as a failure. */
export function failureOf(error: unknown, events: number): Failure {
  if (error instanceof LawBroken) return { law: error.law, message: error.message, events };
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  // Two crashes are the same story when they say the same, numbers aside.
  return { law: `crash ${text.replaceAll(/\d+/g, '#').slice(0, 60)}`, message: text, events };
}
