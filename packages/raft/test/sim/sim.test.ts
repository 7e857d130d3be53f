/** A short campaign for every run of the suite; main.ts runs the long ones. */
import { describe, expect, test } from '@jest/globals';
import { missed, RERUN_EVERY, runPlan, Tally } from '@keelson/sim';
import { Cluster } from './cluster.ts';
import { optionsOf } from './options.ts';
import { planOf, RAFT } from './main.ts';

/** 300 seeds of 20,000 events and more take about 25 s on one core; six slices tell where a failure is. */
const SEEDS = 300;
const SLICE = 50;
/** A slice takes 4 s on a core of its own; a busy machine may need its time. */
const SLICE_TIMEOUT_MS = 240_000;

test('the same plan leaves the same trace; another seed another one', () => {
  const trace = (seed: number): string => {
    const cluster = new Cluster(optionsOf(planOf(seed, 5_000)));
    cluster.run();
    return cluster.scheduler.trace.digest();
  };
  expect(trace(3)).toBe(trace(3));
  expect(trace(3)).not.toBe(trace(4));
});

test('options: what a plan takes away changes nothing else', () => {
  const all = optionsOf(planOf(7));
  const [fault = ''] = all.faults;
  const less = optionsOf({ ...planOf(7), without: [fault], plain: ['snapshotEvery'] });
  expect([...less.faults]).toEqual([...all.faults].filter((each) => each !== fault));
  expect({ ...less, faults: 0, whole: 0, snapshotEvery: 0 }).toEqual({
    ...all,
    faults: 0,
    whole: 0,
    snapshotEvery: 0,
  });
});

describe('seeds keep the laws of raft, and come to agree when faults stop', () => {
  const tally = new Tally();
  test.each(Array.from({ length: SEEDS / SLICE }, (_, i) => 1 + i * SLICE))(
    'from %i',
    (from) => {
      for (let seed = from; seed < from + SLICE; seed++) {
        const failure = runPlan(RAFT, planOf(seed), seed % RERUN_EVERY === 0, tally);
        expect([seed, failure]).toEqual([seed, undefined]);
      }
    },
    SLICE_TIMEOUT_MS,
  );

  test('every goal is reached', () => {
    expect(missed(RAFT, tally)).toEqual([]);
    expect(tally.get('seeds')).toBe(SEEDS);
    expect(tally.get('events')).toBeGreaterThan(SEEDS * RAFT.events);
  });
});
