/**
 * The same etcdctl commands typed at a real etcd cluster and at ours, at each of the three members: what is
 * printed must be the same, ids, addresses, times and versions aside.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { toError } from '@keelson/base';
import { ETCDCTL, missingServer, REFERENCE_ETCD } from '../harness/binaries.ts';
import { spawnSync } from 'node:child_process';
import { CTL_AUTH_SCRIPT } from './ctl-auth-script.ts';
import { CHECK_SCRIPT, CLUSTER_SCRIPT } from './ctl-cluster-script.ts';
import { SCRIPT, type Memory, type Step } from './ctl-script.ts';
import { CTL_DIFFERENCES, type KnownDifference } from './known-differences.ts';
import { compareSides, type Comparison } from './run-ctl-script.ts';
import { ROLES, startSides, type Side } from './sides.ts';

const missing =
  ETCDCTL === undefined || REFERENCE_ETCD === undefined
    ? 'etcd and etcdctl are not installed (Debian: etcd-server, etcd-client)'
    : missingServer();

if (missing === undefined) {
  let sides: [Side, Side] | undefined;
  let checkedSides: [Side, Side] | undefined;
  let checks: Promise<Comparison | Error> | undefined;
  const used = new Set<KnownDifference>();

  beforeAll(async () => {
    [sides, checkedSides] = await Promise.all([startSides(), startSides([], 1)]);
    // A minute of a few puts, by its nature: on members of its own, beside everything else.
    checks = compareSides(checkedSides, 0, CHECK_SCRIPT, CTL_DIFFERENCES).catch((error: unknown) =>
      toError(error),
    );
  });

  afterAll(async () => {
    const all = [...(sides ?? []), ...(checkedSides ?? [])];
    await Promise.all(all.map((side) => side.cluster.dispose()));
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
  );

  test.each(ROLES.map((role, member) => [role, member] as const))(
    'members, files, locks, elections, mirrors: %s',
    async (_role, member) => {
      if (sides === undefined) throw new Error('the clusters did not start');
      const comparison = await compareSides(sides, member, CLUSTER_SCRIPT, CTL_DIFFERENCES);
      for (const difference of comparison.used) used.add(difference);
      expect(comparison.differences).toEqual([]);
      expect(comparison.steps).toBe(CLUSTER_SCRIPT.length);
    },
  );

  test('check datascale and check perf say the same', async () => {
    const comparison = await checks;
    if (comparison === undefined || comparison instanceof Error)
      throw comparison ?? new Error('the clusters did not start');
    for (const difference of comparison.used) used.add(difference);
    expect(comparison.differences).toEqual([]);
    expect(comparison.steps).toBe(CHECK_SCRIPT.length);
  }, 180_000);

  test('every sub-command of this etcdctl has a step', () => {
    const steps = [...SCRIPT, ...CLUSTER_SCRIPT, ...CHECK_SCRIPT, ...CTL_AUTH_SCRIPT];
    const typed = steps.map(wordsOf);
    const help = spawnSync(ETCDCTL ?? '', ['help'], { env: { ETCDCTL_API: '3' }, encoding: 'utf8' }).stdout;
    const commands = [...help.matchAll(/^\t([a-z-]+(?: [a-z-]+)?)\t/gm)].map(([, command]) => command);
    expect(commands.length).toBeGreaterThan(40);
    expect(
      commands.filter((command) => !typed.some((words) => `${words} `.startsWith(`${command} `))),
    ).toEqual([]);
  });

  test('every known difference is still one', () => {
    expect(CTL_DIFFERENCES.filter((difference) => !used.has(difference)).map(({ reason }) => reason)).toEqual(
      [],
    );
  });
} else {
  test.skip(`etcdctl against a real etcd and ours: ${missing}`, () => {});
}

/** What a step types, without the global flags before the command. */
function wordsOf(step: Step): string {
  const any: Memory = {
    p: '',
    rev: () => '1',
    noted: () => '1',
    lease: () => '1',
    member: () => '1',
    peerUrl: '',
    file: () => '',
    destination: [],
    printedLease: '1',
  };
  return step
    .args(any)
    .join(' ')
    .replace(/^--user \S+ /, '');
}
