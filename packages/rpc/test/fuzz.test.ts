/** Mutated conversations, a short run of them; `npm run rpc:fuzz` is the long one. */
import { expect, test } from '@jest/globals';
import { fuzz } from './fuzz.ts';

/** The gate always takes the same way; the long run draws a seed each time. */
const seed = Number(process.env['SEED'] ?? 20_261);

test(`mutated conversations: every promise is kept (SEED=${seed})`, async () => {
  const bounds = { frames: 20_000, minutes: Infinity };
  const { ends } = await fuzz(seed, bounds, (line) => process.stderr.write(line));
  // Some conversations came to their end, some broke off: neither kind is missing among more than a hundred.
  expect(ends.get('server open')).toBeGreaterThan(0);
  expect(ends.get('client open')).toBeGreaterThan(0);
  expect(ends.size).toBeGreaterThan(4);
});
