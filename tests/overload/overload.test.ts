/**
 * A short run of three scenarios: memory within its bound, everybody answered, nobody else refused, the leader the same.
 * It looks at no clock: how fast a member under load is belongs to `node tests/overload/main.ts` (docs/overload.md).
 */
import { expect, test } from '@jest/globals';
import { KEELSON_ETCD, KEELSON_FLAGS, missingServer } from '../harness/binaries.ts';
import { perform } from './stage.ts';
import { scenarios } from './scenarios.ts';

const missing = missingServer();
const SHORT: readonly (readonly [name: string, scale: number])[] = [
  ['slow-watchers', 0.05],
  ['request-storm', 0.15],
  ['largest-requests', 0.15],
];

if (missing === undefined)
  test.each(SHORT)(
    '%s at %d of its size',
    async (name, scale) => {
      const scenario = scenarios.find((one) => one.name === name)!;
      const result = await perform(
        scenario,
        { binary: KEELSON_ETCD, members: 1, flags: KEELSON_FLAGS },
        scale,
      );
      expect(result.broken).toEqual([]);
      expect(result.beside.calls).toBeGreaterThan(0);
      expect(result.rssMb.peak).toBeLessThan(scenario.rssMbMax);
    },
    600_000,
  );
else test.skip(`overload: ${missing}`, () => {});
