/**
 * The same gRPC calls made to a real etcd cluster and to ours, at each of the three members: every field of
 * every response, every code and every error text must be the same, but for the known differences of 3.7.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { missingServer, REFERENCE_ETCD } from '../harness/binaries.ts';
import { KV_STEPS } from './api-kv-script.ts';
import { CLUSTER_STEPS, LEASE_SETUP, LEASE_STEPS } from './api-lease-script.ts';
import { WATCH_STEPS } from './api-watch-script.ts';
import { API_DIFFERENCES, type KnownDifference } from './known-differences.ts';
import { missingLines, OWN_STEPS } from './only-ours.ts';
import { ApiRunner, compareApis } from './run-api-script.ts';
import { ROLES, startSides, type Side } from './sides.ts';

const missing =
  REFERENCE_ETCD === undefined ? 'etcd is not installed (Debian: etcd-server)' : missingServer();
const SCRIPT = [...LEASE_SETUP, ...KV_STEPS, ...LEASE_STEPS, ...WATCH_STEPS, ...CLUSTER_STEPS];

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
    'the API answers the same at a real etcd and at ours: %s',
    async (_role, member) => {
      if (sides === undefined) throw new Error('the clusters did not start');
      const comparison = await compareApis(sides, member, SCRIPT, API_DIFFERENCES);
      for (const difference of comparison.used) used.add(difference);
      expect(comparison.differences).toEqual([]);
      expect(comparison.steps).toBe(SCRIPT.length);
    },
  );

  test.each(ROLES.map((role, member) => [role, member] as const))(
    'what etcd 3.7 answers and 3.4 does not: %s',
    async (_role, member) => {
      if (sides === undefined) throw new Error('the clusters did not start');
      const { cluster } = sides[1];
      const runner = new ApiRunner(sides[1], member);
      const missingOnes: string[] = [];
      for (const own of OWN_STEPS) missingOnes.push(...missingLines(own, await runner.run(own.step)));
      expect(missingOnes).toEqual([]);
      const revision = await cluster.api(0).revision();
      await Promise.all(cluster.members.map((_, i) => cluster.caughtUp(i)));
      const hashes = await Promise.all(cluster.members.map((_, i) => cluster.api(i).hashKV(revision)));
      expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
    },
  );

  test('every known difference is still one', () => {
    const unused = API_DIFFERENCES.filter((difference) => !used.has(difference));
    expect(unused.map(({ reason }) => reason)).toEqual([]);
  });
} else {
  test.skip(`API calls against a real etcd and ours: ${missing}`, () => {});
}
