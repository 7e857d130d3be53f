/** Clients of etcd from npm, as others have written them: their own tests at our member, and all they can do at both. */
import { afterAll, expect, test } from '@jest/globals';
import { KEELSON_ETCD, KEELSON_FLAGS, missingServer, REFERENCE_ETCD } from '../../harness/binaries.ts';
import { compareSessions, runEtcd3Session, SESSION_DIFFERENCES } from './etcd3.ts';
import { onlyTimeouts, portIsFree, runHkubeTests } from './hkube-etcd.ts';
import { NpmPackages } from './packages.ts';

const fetched: NpmPackages[] = [];

/** The packages, or why they are not to be had. A test's name must say so, hence before any test. */
async function packagesFor(group: Parameters<typeof NpmPackages.fetch>[0]): Promise<NpmPackages | string> {
  const missing = missingServer();
  if (missing !== undefined) return missing;
  const packages = await NpmPackages.fetch(group);
  if (typeof packages !== 'string') fetched.push(packages);
  return packages;
}

afterAll(() => {
  for (const packages of fetched) packages[Symbol.dispose]();
});

const [etcd3, hkube] = await Promise.all([
  REFERENCE_ETCD === undefined ? 'no real etcd on the PATH' : packagesFor('etcd3'),
  (await portIsFree()) ? packagesFor('hkube') : 'port 4001 is taken',
]);

const ETCD3_TEST = 'every public method of etcd3 sees the same at a real etcd and at ours';
if (typeof etcd3 === 'string') test.skip(`${ETCD3_TEST}: ${etcd3}`, () => {});
else
  test(
    ETCD3_TEST,
    async () => {
      const directory = etcd3.of('etcd3');
      const [reference, ours] = await Promise.all([
        runEtcd3Session(directory, REFERENCE_ETCD ?? ''),
        runEtcd3Session(directory, KEELSON_ETCD, KEELSON_FLAGS),
      ]);
      const differences = compareSessions(reference, ours);
      expect(differences.filter(({ step }) => !SESSION_DIFFERENCES.has(step))).toEqual([]);
      expect(differences.map(({ step }) => step).sort()).toEqual([...SESSION_DIFFERENCES.keys()].sort());
      expect([reference.uncalled, ours.uncalled]).toEqual([[], []]);
      expect(ours.methods.length).toBeGreaterThan(150);
    },
    200_000,
  );

const HKUBE_TEST = 'the tests of @hkube/etcd pass at ours';
if (typeof hkube === 'string') test.skip(`${HKUBE_TEST}: ${hkube}`, () => {});
else
  test(
    HKUBE_TEST,
    async () => {
      let report = await runHkubeTests(hkube, KEELSON_ETCD, KEELSON_FLAGS);
      // Their own bounds are for a machine that does nothing else: once more, and then they count.
      if (onlyTimeouts(report)) report = await runHkubeTests(hkube, KEELSON_ETCD, KEELSON_FLAGS);
      expect(report.failures).toEqual([]);
      expect(report.passes).toBe(report.tests);
      expect(report.passes).toBeGreaterThan(200);
    },
    200_000,
  );
