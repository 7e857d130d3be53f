/**
 * The sum of many seeds: counts by name, and for each goal the first seed that reached it. It can be sent
 * between processes as JSON and added up there.
 */
import type { Outcome } from './simulation.ts';

export interface TallyData {
  readonly counts: readonly (readonly [string, number])[];
  readonly goals: readonly (readonly [string, number])[];
}

export class Tally {
  private readonly counts = new Map<string, number>();
  private readonly goals = new Map<string, number>();

  add(name: string, count: number): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }

  get(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  /** The first seed that reached it; undefined when none did. */
  reachedBy(goal: string): number | undefined {
    return this.goals.get(goal);
  }

  outcome(seed: number, outcome: Outcome): void {
    this.add('seeds', 1);
    for (const [name, count] of outcome.counts) this.add(name, count);
    for (const goal of outcome.goals) this.reach(goal, seed);
  }

  private reach(goal: string, seed: number): void {
    this.goals.set(goal, Math.min(seed, this.goals.get(goal) ?? Infinity));
  }

  /** Counts whose name starts with `prefix`, without it, by name. */
  under(prefix: string): (readonly [string, number])[] {
    const found = [...this.counts].filter(([name]) => name.startsWith(prefix));
    return found
      .map(([name, count]) => [name.slice(prefix.length), count] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  merge(data: TallyData): void {
    for (const [name, count] of data.counts) this.add(name, count);
    for (const [goal, seed] of data.goals) this.reach(goal, seed);
  }

  toJSON(): TallyData {
    return { counts: [...this.counts], goals: [...this.goals] };
  }
}
