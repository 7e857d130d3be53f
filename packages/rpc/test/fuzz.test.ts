/** Mutated conversations, a short run of them; `node packages/rpc/test/fuzz.ts` is the long one. */
import { expect, test } from '@jest/globals';
import { fuzz } from './fuzz.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 0x7fffffff);

test(`mutated frames: no crash, no hang, a known end (SEED=${seed})`, async () => {
  const before = process.memoryUsage().arrayBuffers;
  const ends = await fuzz(seed, 20_000, () => {});
  expect(ends.size).toBeGreaterThan(2);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(256 * 1024 * 1024);
});
