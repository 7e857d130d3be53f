/**
 * kpt live as it is, where it is installed: a package with an inventory in a custom resource is applied, pruned, asked for its
 * state and destroyed; each step waits for what kstatus says of the objects. And one with a definition, its namespace and
 * objects that depend on each other, server-side and in dry runs. Skipped, by name, where there is no kpt.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startControlPlane, type ControlPlane } from '@keelson/embed';

const installed = spawnSync('kpt', ['version']).status === 0;
const COMMAND_MS = 120_000;
const LIMIT_MS = 400_000;
const WAITING = ['--reconcile-timeout=100s', '--output=events'];
const IN_GARDEN = '/api/v1/namespaces/garden';
const INVENTORY = '/apis/kpt.dev/v1alpha1/namespaces/default/resourcegroups/garden';
const DEFINED = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/beds.garden.example.com';
const BEDS = 'customresourcedefinition.apiextensions.k8s.io/beds.garden.example.com';

const DEFINITION = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'beds.garden.example.com' },
  spec: {
    group: 'garden.example.com',
    scope: 'Namespaced',
    names: { plural: 'beds', singular: 'bed', kind: 'Bed' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { n: { type: 'integer' } } } },
          },
        },
      },
    ],
  },
};

if (!installed) {
  test.skip('kpt live (kpt is not installed)', () => {});
} else {
  describe('kpt live', () => {
    const home = mkdtempSync(path.join(tmpdir(), 'keelson-kpt-'));
    let plane: ControlPlane | undefined;

    beforeAll(async () => {
      plane = await startControlPlane({ readyTimeoutMs: COMMAND_MS });
      writeFileSync(path.join(home, 'config'), JSON.stringify(plane.kubeConfig()), { mode: 0o600 });
      for (const name of ['pkg', 'garden']) {
        mkdirSync(path.join(home, name));
        write('Kptfile', { apiVersion: 'kpt.dev/v1', kind: 'Kptfile', metadata: { name } }, name);
      }
      // Once: it waits until the kind is established.
      expect(await live('install-resource-group')).toMatchObject({ code: 0 });
    }, LIMIT_MS);

    afterAll(async () => {
      await plane?.stop();
      rmSync(home, { recursive: true, force: true });
    });

    function write(name: string, object: object, folder = 'pkg'): void {
      writeFileSync(path.join(home, folder, name), JSON.stringify(object));
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
        const applied = await live('apply', 'pkg', ...WAITING);
        expect(applied.said).toContain('apply result: 2 attempted, 2 successful, 0 skipped, 0 failed');
        configMap('a', 'two');
        rmSync(path.join(home, 'pkg', 'b.yaml'));
        const pruned = await live('apply', 'pkg', ...WAITING);
        expect(pruned.said).toContain('prune result: 1 attempted, 1 successful, 0 skipped, 0 failed');
        const told = await live('status', 'pkg', '--output=events');
        expect(told.said).toContain('inventory/configmap/default/a is Current: Resource is always ready');
        const destroyed = await live('destroy', 'pkg', '--output=events');
        expect(destroyed.said).toContain('delete result: 1 attempted, 1 successful, 0 skipped, 0 failed');
      },
      LIMIT_MS,
    );

    test(
      'a definition, its namespace and objects that depend on each other, in their order',
      async () => {
        const annotations = {
          'config.kubernetes.io/depends-on': '/namespaces/garden/ConfigMap/soil',
        };
        const bed = { apiVersion: 'garden.example.com/v1', kind: 'Bed' };
        const soil = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'soil', namespace: 'garden' } };
        write(
          'namespace.yaml',
          { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'garden' } },
          'garden',
        );
        write(
          'bed.yaml',
          { ...bed, metadata: { name: 'roses', namespace: 'garden', annotations }, spec: { n: 3 } },
          'garden',
        );
        write('soil.yaml', { ...soil, data: { k: 'v' } }, 'garden');
        write('beds.yaml', DEFINITION, 'garden');
        const named = ['--namespace', 'default', '--name', 'garden', '--inventory-id', 'garden'];
        expect(await live('init', 'garden', ...named)).toMatchObject({ code: 0 });

        // What would happen, as the server says it: an object has no namespace yet, another no kind.
        const dry = await live('apply', 'garden', '--server-side', '--dry-run', '--output=events');
        expect(told(dry)).toEqual([
          'namespace/garden apply successful',
          `${BEDS} apply successful`,
          'configmap/soil apply failed: namespaces "garden" not found',
          'bed.garden.example.com/roses apply failed: no matches for kind "Bed" in version "garden.example.com/v1"',
        ]);
        expect([await code('/api/v1/namespaces/garden'), await code(INVENTORY)]).toEqual([404, 404]);

        const apply = ['apply', 'garden', '--server-side', '--field-manager=gardener', ...WAITING];
        expect(told(await live(...apply))).toEqual([
          'namespace/garden apply successful',
          `${BEDS} apply successful`,
          'configmap/soil apply successful',
          'bed.garden.example.com/roses apply successful',
        ]);
        expect(await object(`${IN_GARDEN}/configmaps/soil`)).toMatchObject({
          metadata: {
            annotations: { 'config.k8s.io/owning-inventory': 'garden' },
            managedFields: [{ manager: 'gardener', operation: 'Apply' }],
          },
        });
        // In the order of a Go map.
        const { spec } = (await object(INVENTORY)) as { spec: { resources: { name: string }[] } };
        expect(spec.resources.map(({ name }) => name).toSorted()).toEqual([
          'beds.garden.example.com',
          'garden',
          'roses',
          'soil',
        ]);

        // What is another's stays another's.
        const foreign = { ...soil, metadata: { ...soil.metadata, name: 'foreign' } };
        const body = Buffer.from(JSON.stringify(foreign));
        expect(await code(`${IN_GARDEN}/configmaps`, { method: 'POST', body })).toBe(201);
        write('foreign.yaml', { ...foreign, data: { k: 'v' } }, 'garden');
        expect(told(await live(...apply))).toContain(
          'configmap/foreign apply skipped: inventory policy prevented actuation (strategy: Apply, status: Empty, policy: MustMatch)',
        );
        rmSync(path.join(home, 'garden', 'foreign.yaml'));

        // What is pruned is gone, but not by asking what would be.
        rmSync(path.join(home, 'garden', 'bed.yaml'));
        const roses = '/apis/garden.example.com/v1/namespaces/garden/beds/roses';
        const pruned = 'bed.garden.example.com/roses prune successful';
        expect(
          told(await live('apply', 'garden', '--server-side', '--dry-run', '--output=events')),
        ).toContain(pruned);
        expect(await code(roses)).toBe(200);
        expect(told(await live(...apply))).toContain(pruned);
        expect(await code(roses)).toBe(404);

        expect(told(await live('destroy', 'garden', '--output=events'))).toEqual([
          'configmap/soil delete successful',
          `${BEDS} delete successful`,
          'namespace/garden delete successful',
        ]);
        expect([await code('/api/v1/namespaces/garden'), await code(DEFINED), await code(INVENTORY)]).toEqual(
          [404, 404, 404],
        );
      },
      LIMIT_MS,
    );

    /** What was done to which object, in order; of how long it took nothing. */
    function told({ said }: { said: string }): string[] {
      return said
        .split('\n')
        .filter((line) => /^\S+ (apply|prune|delete) (successful|skipped|failed)/.test(line));
    }

    async function code(target: string, options: { method?: string; body?: Buffer } = {}): Promise<number> {
      const answer = await plane?.call(target, options);
      await answer?.bytes();
      return answer?.code ?? 0;
    }

    async function object(target: string): Promise<unknown> {
      const answer = await plane?.call(target);
      return JSON.parse((await answer?.bytes())?.toString() ?? 'null');
    }
  });
}
