/** Mutated conversations, a short run of them; `node packages/rpc/test/fuzz.ts` is the long one. */
import { expect, test } from '@jest/globals';
import { converse } from './mutations.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 0x7fffffff);

test(`mutated frames: no crash, no hang, a known end (SEED=${seed})`, async () => {
  const ends = new Set<string>();
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 1500; i++) ends.add((await converse(seed + i, 60)).end);
  expect(ends.size).toBeGreaterThan(2);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(256 * 1024 * 1024);
});
