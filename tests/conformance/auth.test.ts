/**
 * Authentication at a real etcd cluster and at ours: the same users, roles and requests, made by everyone who may and
 * may not; every answer, code and text the same, but for what 3.4.23 lets pass and 3.7 does not.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ETCDCTL, missingServer, REFERENCE_ETCD } from '../harness/binaries.ts';
import { AUTH_CLEANUP, AUTH_SETUP, AUTH_STEPS, ROOT } from './api-auth-script.ts';
import { AUTH_DIFFERENCES } from './auth-differences.ts';
import { AUTH_OFF_STEPS, AUTH_OWN_STEPS } from './auth-only-ours.ts';
import { CTL_AUTH_SCRIPT } from './ctl-auth-script.ts';
import type { KnownDifference } from './known-differences.ts';
import { missingLines } from './only-ours.ts';
import { ApiRunner, compareApis } from './run-api-script.ts';
import { compareSides } from './run-ctl-script.ts';
import { ROLES, startSides, type Side } from './sides.ts';

const missing =
  REFERENCE_ETCD === undefined ? 'etcd is not installed (Debian: etcd-server)' : missingServer();

if (missing === undefined) {
  let sides: [Side, Side] | undefined;
  const used = new Set<KnownDifference>();

  beforeAll(async () => {
    sides = await startSides(['--bcrypt-cost=4']);
    for (const { cluster } of sides) for (const i of cluster.members.keys()) cluster.api(i).login = ROOT;
  });

  afterAll(async () => {
    await Promise.all((sides ?? []).map((side) => side.cluster.dispose()));
  });

  test.each(ROLES.map((role, member) => [role, member] as const))(
    'who may do what is the same at a real etcd and at ours: %s',
    async (_role, member) => {
      if (sides === undefined) throw new Error('the clusters did not start');
      const comparison = await compareApis(sides, member, AUTH_STEPS, AUTH_DIFFERENCES);
      for (const difference of comparison.used) used.add(difference);
      expect(comparison.differences).toEqual([]);
      expect(comparison.steps).toBeGreaterThan(700);
    },
  );

  // Before the next ones, which are asked of one side alone: revisions agree until then.
  if (ETCDCTL === undefined) {
    test.skip('etcdctl auth, user, role: etcdctl is not installed (Debian: etcd-client)', () => {});
  } else {
    test('etcdctl prints the same about users and roles', async () => {
      if (sides === undefined) throw new Error('the clusters did not start');
      const comparison = await compareSides(sides, 0, CTL_AUTH_SCRIPT, []);
      expect(comparison.differences).toEqual([]);
    });
  }

  test.each(ROLES.map((role, member) => [role, member] as const))(
    'what etcd 3.7 refuses and 3.4 does not: %s',
    async (_role, member) => {
      if (sides === undefined) throw new Error('the clusters did not start');
      const runner = new ApiRunner(sides[1], member);
      const missingOnes: string[] = [];
      for (const step of AUTH_SETUP) await runner.run(step);
      for (const own of AUTH_OWN_STEPS) missingOnes.push(...missingLines(own, await runner.run(own.step)));
      for (const step of AUTH_CLEANUP) await runner.run(step);
      for (const own of AUTH_OFF_STEPS) missingOnes.push(...missingLines(own, await runner.run(own.step)));
      expect(missingOnes).toEqual([]);
    },
  );

  test('every known difference is still one', () => {
    const unused = AUTH_DIFFERENCES.filter((difference) => !used.has(difference));
    expect(unused.map(({ reason }) => reason)).toEqual([]);
  });
} else {
  test.skip(`authentication at a real etcd and at ours: ${missing}`, () => {});
}
