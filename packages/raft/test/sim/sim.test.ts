/** A short campaign for every run of the suite; main.ts runs the long ones. */
import { describe, expect, test } from '@jest/globals';
import { Cluster } from './cluster.ts';
import { GOALS, runSeed } from './main.ts';
import { optionsOf } from './options.ts';

/** 300 seeds of 20,000 events take about 25 s on one core; six slices tell where a failure is. */
const SEEDS = 300;
const SLICE = 50;

/**
 * Seeds that fail when a guard is taken out of the core (tried on a copy); docs/bugs.md has the story. A
 * change of the simulation gives every seed another history: then look for new ones the same way.
 */
test.each([8, 34, 122, 148])('seed %i: a snapshot arrives while a conf change is being applied', (seed) => {
  expect(runSeed(seed, 20_000, [])).toBeUndefined();
});

test('the same seed leaves the same trace', () => {
  const run = (): number => {
    const cluster = new Cluster(optionsOf(3, 5_000));
    cluster.run();
    return cluster.trace;
  };
  expect(run()).toBe(run());
});

describe('seeds keep the laws of raft, and come to agree when faults stop', () => {
  const totals = new Map<string, number>();
  test.each(Array.from({ length: SEEDS / SLICE }, (_, i) => 1 + i * SLICE))('from %i', (from) => {
    for (let seed = from; seed < from + SLICE; seed++) {
      expect([seed, runSeed(seed, 20_000, [], totals)]).toEqual([seed, undefined]);
    }
  });

  test('every goal is met', () => {
    expect(GOALS.filter((goal) => !totals.has(goal))).toEqual([]);
  });
});
