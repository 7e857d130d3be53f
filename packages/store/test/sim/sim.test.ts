/** A short campaign for every run of the suite; main.ts runs the long ones. */
import { describe, expect, test } from '@jest/globals';
import { Tally, type Outcome } from '@keelson/sim';
import { FAULTS, KINDS_MIN, optionsOf } from './options.ts';
import { planOf, runPlan } from './store-simulation.ts';

/** A seed of a minute takes 3 s here; a busy machine may need its time. */
const SEEDS = 8;
const SEED_TIMEOUT_MS = 600_000;

/** From the event loop itself: inside a promise a simulation cannot run what waits for promises. */
function run(seed: number, durationMs?: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(runPlan(planOf(seed, durationMs)));
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

test(
  'the same plan leaves the same trace; another seed another one',
  async () => {
    const [first, second, other] = [await run(1, 4000), await run(1, 4000), await run(2, 4000)];
    expect(second.trace).toBe(first.trace);
    expect(other.trace).not.toBe(first.trace);
  },
  SEED_TIMEOUT_MS,
);

test('options: at least some kinds of fault; what a plan takes away changes nothing else', () => {
  for (let seed = 1; seed <= 200; seed++)
    expect(optionsOf(planOf(seed)).faults.size).toBeGreaterThanOrEqual(KINDS_MIN);
  const all = optionsOf(planOf(7));
  const [fault = ''] = all.faults;
  const less = optionsOf({ ...planOf(7), without: [fault], plain: ['snapshotEvery'] });
  expect([...less.faults]).toEqual([...all.faults].filter((each) => each !== fault));
  expect({ ...less, faults: 0, snapshotEvery: 0 }).toEqual({ ...all, faults: 0, snapshotEvery: 0 });
  expect(new Set(FAULTS).size).toBe(FAULTS.length);
});

describe('seeds keep the laws of the store, and come to agree when faults stop', () => {
  const tally = new Tally();
  test.each(Array.from({ length: SEEDS }, (_, i) => 1 + i))(
    'seed %i',
    async (seed) => {
      const outcome = await run(seed);
      tally.outcome(seed, outcome);
      expect(outcome.failure).toBeUndefined();
    },
    SEED_TIMEOUT_MS,
  );

  test('much has happened', () => {
    expect(tally.get('answered')).toBeGreaterThan(SEEDS * 500);
    expect(tally.get('checked ok operations')).toBeGreaterThan(SEEDS * 500);
    expect(tally.get('watchEvents')).toBeGreaterThan(SEEDS * 500);
    expect(tally.get('snapshotsInstalled')).toBeGreaterThan(0);
    expect(tally.under('fault:').length).toBeGreaterThan(10);
  });
});
