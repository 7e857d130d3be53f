/**
 * The same etcdctl commands typed at a real etcd cluster and at ours, at each of the three members: what is
 * printed must be the same, ids, addresses, times and versions aside.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ETCDCTL, missingServer, REFERENCE_ETCD } from '../harness/binaries.ts';
import { SCRIPT } from './ctl-script.ts';
import { CTL_DIFFERENCES, type KnownDifference } from './known-differences.ts';
import { compareSides } from './run-ctl-script.ts';
import { ROLES, startSides, type Side } from './sides.ts';

const missing =
  ETCDCTL === undefined || REFERENCE_ETCD === undefined
    ? 'etcd and etcdctl are not installed (Debian: etcd-server, etcd-client)'
    : missingServer();

if (missing === undefined) {
  let sides: [Side, Side] | undefined;
  const used = new Set<KnownDifference>();

  beforeAll(async () => {
    sides = await startSides();
  });

  afterAll(async () => {
    await Promise.all((sides ?? []).map((side) => side.cluster.dispose()));
  });

  test.each(ROLES.map((role, member) => [role, member] as const))(
    'etcdctl prints the same at a real etcd and at ours: %s',
    async (_role, member) => {
      if (sides === undefined) throw new Error('the clusters did not start');
      const comparison = await compareSides(sides, member, SCRIPT, CTL_DIFFERENCES);
      for (const difference of comparison.used) used.add(difference);
      expect(comparison.differences).toEqual([]);
      expect(comparison.steps).toBe(SCRIPT.length);
    },
    120_000,
  );

  test('every known difference is still one', () => {
    expect(CTL_DIFFERENCES.filter((difference) => !used.has(difference)).map(({ reason }) => reason)).toEqual(
      [],
    );
  });
} else {
  test.skip(`etcdctl against a real etcd and ours: ${missing}`, () => {});
}
