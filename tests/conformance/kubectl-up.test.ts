/**
 * `keelson up` as people start it: store and API server as processes, kubectl with the kubeconfig it writes; stopped and
 * started again, the same kubeconfig finds the same objects. Skipped, by name, where kubectl is not installed.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../packages/base/test/free-ports.ts';
import { Kubectl, kubectlsOf, type KubectlResult } from '../harness/kubectl.ts';
import { HopelessError, waitUntil } from '../harness/waiting.ts';
import { apiserverMissing } from './kubectl-targets.ts';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const [binary] = kubectlsOf('1.33');
const why = binary === undefined ? 'kubectl is not installed' : apiserverMissing();
const START_MS = 150_000;

/** A run of `keelson up`. */
class Run {
  private readonly child: ChildProcess;
  private readonly ended: Promise<number | null>;
  private out = '';

  constructor(dataDir: string, basePort: number) {
    this.child = spawn(
      path.join(ROOT, 'bin', 'keelson'),
      ['up', '--nodes=1', `--base-port=${basePort}`, `--data-dir=${dataDir}`],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const take = (chunk: Buffer): void => {
      this.out += chunk.toString('utf8');
    };
    this.child.stdout?.on('data', take);
    this.child.stderr?.on('data', take);
    this.ended = new Promise((resolve) => void this.child.once('close', (code) => resolve(code)));
  }

  async ready(): Promise<void> {
    await waitUntil('keelson up is ready', { timeoutMs: START_MS, everyMs: 50 }, () => {
      if (this.child.exitCode !== null) throw new HopelessError(this.out);
      return this.out.includes('export KUBECONFIG=') || undefined;
    });
  }

  /** @returns its exit code */
  stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.ended;
  }
}

if (binary === undefined || why !== undefined) {
  test.skip(`kubectl on keelson up (${why})`, () => {});
} else {
  describe('kubectl on keelson up', () => {
    let home = '';
    let dataDir = '';
    let basePort = 0;
    let run: Run | undefined;

    const kubectl = (...args: string[]): Promise<KubectlResult> =>
      new Kubectl({ binary: binary.path, kubeconfig: path.join(dataDir, 'kubeconfig'), home }).run(args);

    beforeAll(async () => {
      home = mkdtempSync(path.join(tmpdir(), 'keelson-kubectl-up-'));
      dataDir = path.join(home, 'data');
      basePort = await freePort(1, 20);
    });

    afterAll(async () => {
      await run?.stop();
      rmSync(home, { recursive: true, force: true });
    });

    test('what was made is there after a restart, for the same credentials', async () => {
      run = new Run(dataDir, basePort);
      await run.ready();
      const made = await kubectl('create', 'configmap', 'kept', '--from-literal=a=b');
      expect(made).toEqual({ code: 0, out: 'configmap/kept created\n', err: '' });
      // One server alone: its loops wait for no lease, and a deleted namespace waits for no other server.
      expect(await kubectl('create', 'namespace', 'brief')).toMatchObject({ code: 0 });
      const gone = await kubectl('delete', 'namespace', 'brief', '--timeout=50s');
      expect(gone).toEqual({ code: 0, out: 'namespace "brief" deleted\n', err: '' });
      const leases = await kubectl('-n', 'kube-system', 'get', 'leases', '-o', 'name');
      expect(leases.out).toMatch(/^lease\.coordination\.k8s\.io\/apiserver-[a-z2-7]{26}\n$/);
      const kubeconfig = readFileSync(path.join(dataDir, 'kubeconfig'), 'utf8');
      expect(await run.stop()).toBe(0);

      run = new Run(dataDir, basePort);
      await run.ready();
      expect(readFileSync(path.join(dataDir, 'kubeconfig'), 'utf8')).toBe(kubeconfig);
      const found = await kubectl('get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}');
      expect(found).toEqual({ code: 0, out: 'b', err: '' });
      expect(await run.stop()).toBe(0);
      run = undefined;
    });
  });
}
