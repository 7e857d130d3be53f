/**
 * kubectl as it is, old and new, with a custom resource: apply the definition, wait for it, then all a user does with
 * objects of it. Skipped where kubectl is not installed; all installed versions with KEELSON_KUBECTL=all.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { kubectlPrograms, run } from './kubectl-program.ts';
import { customServer, type SmallServer } from './small-server.ts';

const DEFINITION = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'crontabs.stable.example.com' },
  spec: {
    group: 'stable.example.com',
    scope: 'Namespaced',
    names: { plural: 'crontabs', kind: 'CronTab', shortNames: ['ct'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
        },
        additionalPrinterColumns: [
          { name: 'Cron', type: 'string', jsonPath: '.spec.cron' },
          { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                description: 'What is run, and when.',
                required: ['cron'],
                'x-kubernetes-validations': [{ rule: 'self.replicas < 9', message: 'not so many' }],
                properties: {
                  cron: { type: 'string', description: 'When it is run.', maxLength: 40 },
                  replicas: { type: 'integer', default: 1, minimum: 0 },
                },
              },
              status: {
                type: 'object',
                properties: { replicas: { type: 'integer' }, ready: { type: 'string' } },
              },
            },
          },
        },
      },
    ],
  },
};

const programs = kubectlPrograms();
const withKubectl = programs.length > 0 ? describe : describe.skip;

withKubectl('kubectl with custom resources (needs kubectl on the path)', () => {
  let small: SmallServer;
  let server: string;
  let home: string;

  beforeAll(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-kubectl-crd-'));
    writeFileSync(path.join(home, 'config.json'), '{"apiVersion":"v1","kind":"Config"}');
    small = await customServer();
    const { port } = await small.server.listen(0, '127.0.0.1');
    server = `http://127.0.0.1:${port}`;
  });

  afterAll(async () => {
    await small.stop();
    rmSync(home, { recursive: true, force: true });
  });

  const file = (name: string, value: unknown): string => {
    const at = path.join(home, name);
    writeFileSync(at, JSON.stringify(value));
    return at;
  };

  test.each(programs)('%s', async (program) => {
    const kubectl = async (...args: string[]): Promise<string> => {
      const { code, out, err } = await run(
        program,
        [`--server=${server}`, '--request-timeout=30s', ...args],
        {
          HOME: path.join(home, path.basename(program)),
          KUBECONFIG: path.join(home, 'config.json'),
        },
      );
      return code === 0 ? out.trim() : `exit ${code}: ${err.trim()}`;
    };
    const object = (spec: unknown): string =>
      file('object.json', {
        apiVersion: 'stable.example.com/v1',
        kind: 'CronTab',
        metadata: { name: 'one', namespace: 'default' },
        spec,
      });
    const crd = 'customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com';
    expect(await kubectl('apply', '-f', file('crd.json', DEFINITION))).toBe(`${crd} created`);
    expect(
      await kubectl(
        'wait',
        '--for=condition=established',
        '--timeout=20s',
        'crd/crontabs.stable.example.com',
      ),
    ).toBe(`${crd} condition met`);
    expect(await kubectl('create', '-f', object({ cron: '* * *' }))).toBe(
      'crontab.stable.example.com/one created',
    );
    expect((await kubectl('get', 'ct')).split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['NAME', 'CRON', 'REPLICAS'],
      ['one', '* * *', '1'],
    ]);
    expect(await kubectl('explain', 'crontabs.spec')).toContain('What is run, and when.');
    expect(await kubectl('explain', 'crontabs.spec.cron')).toContain('When it is run.');
    // Owned by `create`: a force takes it over.
    expect(await kubectl('apply', '--server-side', '-f', object({ cron: 'x' }))).toContain(
      'conflict with "kubectl-create"',
    );
    expect(await kubectl('apply', '--server-side', '--force-conflicts', '-f', object({ cron: 'x' }))).toBe(
      'crontab.stable.example.com/one serverside-applied',
    );
    expect(await kubectl('patch', 'ct', 'one', '--type=merge', '-p', '{"spec":{"replicas":3}}')).toBe(
      'crontab.stable.example.com/one patched',
    );
    expect(await kubectl('patch', 'ct', 'one', '--type=merge', '-p', '{"spec":{"replicas":9}}')).toBe(
      'exit 1: The CronTab "one" is invalid: spec: Invalid value: not so many',
    );
    expect(
      await kubectl(
        'patch',
        'ct',
        'one',
        '--subresource=status',
        '--type=merge',
        '-p',
        '{"status":{"ready":"yes"}}',
      ),
    ).toBe('crontab.stable.example.com/one patched');
    expect(await kubectl('scale', 'crontab', 'one', '--replicas=2')).toBe(
      'crontab.stable.example.com/one scaled',
    );
    expect(await kubectl('wait', '--for=jsonpath={.status.ready}=yes', '--timeout=20s', 'ct/one')).toBe(
      'crontab.stable.example.com/one condition met',
    );
    expect(
      await kubectl('get', 'ct', 'one', '-o', 'jsonpath={.spec.cron} {.spec.replicas} {.status.ready}'),
    ).toBe('x 2 yes');
    expect(await kubectl('apply', '-f', object({ cron: 'x', unknown: 1 }))).toContain(
      'unknown field "spec.unknown"',
    );
    expect(await kubectl('delete', 'ct', 'one')).toContain('"one" deleted');
    expect(await kubectl('delete', 'crd', 'crontabs.stable.example.com')).toContain(
      '"crontabs.stable.example.com" deleted',
    );
  });
});
