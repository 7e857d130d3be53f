/**
 * Every parser under mutated input, from fixed seeds: the gate always takes the same way. `npm run fuzz` is the long run,
 * from a seed of its own each time. Here a target must also reach each of its outcomes, so that none runs idle.
 */
import { describe, expect, test } from '@jest/globals';
import { runTarget } from '../../packages/base/test/fuzz/runner.ts';
import { Mutator } from '../../packages/base/test/fuzz/mutator.ts';
import { Prng } from '@keelson/base';
import { targets } from './targets.ts';

/** FUZZ_FACTOR=100 makes a long run of it. */
const FACTOR = Number(process.env['FUZZ_FACTOR'] ?? 1);
const SEED = Number(process.env['SEED'] ?? 20_261);

test('no two targets have one name', () => {
  const names = targets.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test('a seed gives the same inputs for ever', () => {
  const inputs = (): string[] => {
    const mutator = new Mutator([Buffer.from('a corpus'), Buffer.alloc(40, 1)], [Buffer.from('word')], 128);
    return Array.from({ length: 500 }, (_, i) => mutator.next(new Prng(i)).toString('hex'));
  };
  expect(inputs()).toEqual(inputs());
  // Lengths stay within the bound, and most inputs differ.
  expect(inputs().every((hex) => hex.length <= 256)).toBe(true);
  expect(new Set(inputs()).size).toBeGreaterThan(350);
});

describe.each(targets.map((target) => [target.name, target] as const))(
  `%s (SEED=${SEED})`,
  (_name, target) => {
    test('keeps its promises', async () => {
      const executions = target.gateExecutions * FACTOR;
      const run = await runTarget(target, { seed: SEED, executions, endMs: Infinity, nowMs: () => 0 });
      expect(run.executions).toBe(executions);
      expect(target.outcomes.filter((outcome) => !run.outcomes.has(outcome))).toEqual([]);
    });
  },
);
