/**
 * Stock kubectl against our API server, over a store of ours in this process and over a real etcd beside it: what people
 * type works, and reads as it does with Kubernetes. Skipped, by name, where kubectl or etcd is not installed.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { REFERENCE_ETCD } from '../harness/binaries.ts';
import { installedKubectls, Kubectl, kubectlsOf, type KubectlResult } from '../harness/kubectl.ts';
import { waitUntil } from '../harness/waiting.ts';
import { apiserverMissing, startApiserverOnEtcd, startEmbedded, type ApiTarget } from './kubectl-targets.ts';
import { KUBECTL_SCRIPT, type KubectlStep } from './kubectl-script.ts';

interface Target {
  readonly name: string;
  readonly missing: string | undefined;
  readonly versions: readonly string[];
  readonly start: (home: string) => Promise<ApiTarget>;
}

const TARGETS: readonly Target[] = [
  {
    name: 'our store, in this process',
    missing: undefined,
    versions: ['1.33'],
    start: startEmbedded,
  },
  {
    name: 'a real etcd, as a process',
    missing: REFERENCE_ETCD === undefined ? 'etcd is not installed' : apiserverMissing(),
    versions: ['1.27'],
    start: startApiserverOnEtcd,
  },
];

/** Every version that is installed, instead of the oldest and the newest: KEELSON_KUBECTLS=all. */
const ALL = process.env['KEELSON_KUBECTLS'] === 'all';
const ANYTHING = /^/;
/** What loops do takes its time on a busy machine. */
const EVENTUALLY_MS = 60_000;

for (const { name, missing, versions, start } of TARGETS) {
  const binaries = ALL ? installedKubectls() : kubectlsOf(...versions);
  const why = binaries.length === 0 ? 'kubectl is not installed' : missing;
  if (why !== undefined) {
    test.skip(`kubectl on ${name} (${why})`, () => {});
    continue;
  }
  describe(`kubectl on ${name}`, () => {
    let home = '';
    let target: ApiTarget | undefined;

    beforeAll(async () => {
      home = mkdtempSync(path.join(tmpdir(), 'keelson-kubectl-'));
      target = await start(home);
      writeFileSync(path.join(home, 'kubeconfig'), target.kubeconfig, { mode: 0o600 });
    });

    afterAll(async () => {
      await target?.stop();
      rmSync(home, { recursive: true, force: true });
    });

    for (const { version, path: binary } of binaries) {
      test(`the script, with kubectl ${version}`, async () => {
        const kubectl = new Kubectl({
          binary,
          kubeconfig: path.join(home, 'kubeconfig'),
          home: path.join(home, version),
        });
        const namespace = `team-${version.replace('.', '-')}`;
        const odd: object[] = [];
        const minor = version === 'default' ? Infinity : Number(version.split('.')[1]);
        const steps = KUBECTL_SCRIPT.filter(({ since = 0 }) => since <= minor);
        for (const step of steps) odd.push(...(await perform(step, kubectl, namespace)));
        expect(odd).toEqual([]);
      });
    }
  });
}

/** @returns what was answered otherwise than expected */
async function perform(step: KubectlStep, kubectl: Kubectl, namespace: string): Promise<object[]> {
  const fill = (text: string): string => text.replaceAll('NS', namespace);
  const args = step.args.map(fill);
  const { code = 0, out = ANYTHING, err = '' } = step;
  const isRight = (found: KubectlResult): boolean =>
    found.code === code && fits(found.out, out, fill) && fits(found.err, err, fill);
  const run = (): Promise<KubectlResult> => kubectl.run(args, { stdin: step.stdin, env: step.env });
  if (step.eventually !== true) {
    const found = await run();
    return isRight(found) ? [] : [{ args: args.join(' '), found, wanted: { code, out, err } }];
  }
  await waitUntil(
    `kubectl ${args.join(' ')} answers`,
    { timeoutMs: EVENTUALLY_MS, everyMs: 100 },
    async () => (isRight(await run()) ? true : undefined),
  );
  return [];
}

function fits(text: string, wanted: string | RegExp, fill: (text: string) => string): boolean {
  return typeof wanted === 'string' ? text === fill(wanted) : new RegExp(fill(wanted.source)).test(text);
}
