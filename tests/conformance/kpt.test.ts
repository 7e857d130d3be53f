/**
 * kpt live as it is, where it is installed: a package with an inventory in a custom resource is applied, pruned, asked for its
 * state and destroyed; each step waits for what kstatus says of the objects. Skipped, by name, where there is no kpt.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEmbedded, type ApiTarget } from './kubectl-targets.ts';

const installed = spawnSync('kpt', ['version']).status === 0;
const COMMAND_MS = 120_000;
const LIMIT_MS = 400_000;

if (!installed) {
  test.skip('kpt live (kpt is not installed)', () => {});
} else {
  describe('kpt live', () => {
    const home = mkdtempSync(path.join(tmpdir(), 'keelson-kpt-'));
    let target: ApiTarget | undefined;

    beforeAll(async () => {
      target = await startEmbedded();
      writeFileSync(path.join(home, 'config'), target.kubeconfig, { mode: 0o600 });
      mkdirSync(path.join(home, 'pkg'));
      write('Kptfile', { apiVersion: 'kpt.dev/v1', kind: 'Kptfile', metadata: { name: 'pkg' } });
    });

    afterAll(async () => {
      await target?.stop();
      rmSync(home, { recursive: true, force: true });
    });

    function write(name: string, object: object): void {
      writeFileSync(path.join(home, 'pkg', name), JSON.stringify(object));
    }

    const configMap = (name: string, value: string): void =>
      write(`${name}.yaml`, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: 'default' },
        data: { value },
      });

    const live = (...args: string[]): Promise<{ code: number; said: string }> =>
      new Promise((resolve) => {
        const env = { PATH: process.env['PATH'], HOME: home, KUBECONFIG: path.join(home, 'config') };
        execFile('kpt', ['live', ...args], { cwd: home, env, timeout: COMMAND_MS }, (error, out, err) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? 1), said: `${out}${err}` }),
        );
      });

    test(
      'applies, prunes, tells and destroys',
      async () => {
        configMap('a', 'one');
        configMap('b', 'one');
        const named = ['--namespace', 'default', '--name', 'inventory', '--inventory-id', 'keelson'];
        expect(await live('init', 'pkg', ...named)).toMatchObject({ code: 0 });
        expect(await live('install-resource-group')).toMatchObject({ code: 0 });
        const applied = await live('apply', 'pkg', '--reconcile-timeout=100s', '--output=events');
        expect(applied.said).toContain('apply result: 2 attempted, 2 successful, 0 skipped, 0 failed');
        configMap('a', 'two');
        rmSync(path.join(home, 'pkg', 'b.yaml'));
        const pruned = await live('apply', 'pkg', '--reconcile-timeout=100s', '--output=events');
        expect(pruned.said).toContain('prune result: 1 attempted, 1 successful, 0 skipped, 0 failed');
        const told = await live('status', 'pkg', '--output=events');
        expect(told.said).toContain('inventory/configmap/default/a is Current: Resource is always ready');
        const destroyed = await live('destroy', 'pkg', '--output=events');
        expect(destroyed.said).toContain('delete result: 1 attempted, 1 successful, 0 skipped, 0 failed');
      },
      LIMIT_MS,
    );
  });
}
