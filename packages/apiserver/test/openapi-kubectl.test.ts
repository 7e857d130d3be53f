/**
 * kubectl as it is, old and new, against the documents: explain prints what they say, and what kubectl wants to know
 * before it writes is found in them. Skipped where kubectl is not installed.
 *
 * Versions that are installed beside it (kubectl.1.27) are tried as well: the oldest and the newest, all of them with
 * KEELSON_KUBECTL=all. 1.27 and 1.28 read version 2 in protobuf, newer ones version 3.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { kubectlPrograms, run, type Run } from './kubectl-program.ts';
import { smallServer, type SmallServer } from './small-server.ts';

const programs = kubectlPrograms();
const withKubectl = programs.length > 0 ? describe : describe.skip;

withKubectl('kubectl reads the documents (needs kubectl on the path)', () => {
  let small: SmallServer;
  let server: string;
  let home: string;

  const kubectl = (program: string, ...args: string[]): Promise<Run> =>
    run(program, [`--server=${server}`, '--request-timeout=30s', ...args], {
      HOME: path.join(home, path.basename(program)),
      KUBECONFIG: path.join(home, 'config.json'),
    });

  const file = (name: string, value: unknown): string => {
    const at = path.join(home, name);
    writeFileSync(at, JSON.stringify(value));
    return at;
  };

  beforeAll(async () => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-kubectl-'));
    file('config.json', { apiVersion: 'v1', kind: 'Config' });
    small = smallServer({ resources: 'built-in' });
    const { port } = await small.server.listen(0, '127.0.0.1');
    server = `http://127.0.0.1:${port}`;
    const made = await small.ask('POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'default' },
    });
    expect(made.code).toBe(201);
  });

  afterAll(async () => {
    await small.stop();
    rmSync(home, { recursive: true, force: true });
  });

  describe.each((programs.length > 0 ? programs : ['']).map((program) => [path.basename(program), program]))(
    '%s',
    (_name, program) => {
      test('explains kinds and fields', async () => {
        const kind = await kubectl(program, 'explain', 'deployment');
        expect([kind.code, kind.err]).toEqual([0, '']);
        expect(kind.out).toMatch(/KIND: +Deployment\nVERSION: +(apps\/)?v1\n/);
        expect(kind.out).toContain('replaces them step by step');
        const strategy = await kubectl(program, 'explain', 'deployment.spec.strategy');
        expect(strategy.out).toContain('How pods are replaced by new ones.');
        expect(strategy.out).toMatch(/rollingUpdate\s+<\w+>/);
        const containers = await kubectl(program, 'explain', 'pod.spec.containers', '--recursive');
        expect(containers.code).toBe(0);
        expect(containers.out).toMatch(/\n +containerPort\s+<integer> -required-/);
        const inlined = await kubectl(program, 'explain', 'ingress.spec.rules.http.paths.backend');
        expect(inlined.out).toContain('Where requests go');
        const older = await kubectl(program, 'explain', 'hpa.spec', '--api-version=autoscaling/v1');
        expect(older.out).toContain('targetCPUUtilizationPercentage');
        const none = await kubectl(program, 'explain', 'pod.spec.none');
        expect(none.code).not.toBe(0);
        expect(none.err).toMatch(/field "none" does not exist/);
      }, 180_000);

      test('explains out of version 2', async () => {
        const { out } = await kubectl(
          program,
          'explain',
          '--output=plaintext-openapiv2',
          'pod.spec.containers.ports',
        );
        expect(out).toContain('A port a container listens on.');
        expect(out).toMatch(/containerPort\t<integer> -required-/);
      });

      test('finds that the server checks fields, and creates, refuses and applies', async () => {
        const name = path.basename(program).replaceAll(/[^a-z0-9]/g, '-');
        const web = {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name, namespace: 'default' },
          spec: {
            replicas: 1,
            selector: { matchLabels: { app: name } },
            template: {
              metadata: { labels: { app: name } },
              spec: { containers: [{ name: 'web', image: 'web:1', ports: [{ containerPort: 80 }] }] },
            },
          },
        };
        const wrong = file('wrong.json', { ...web, spec: { ...web.spec, replicaz: 2 } });
        const refused = await kubectl(program, 'create', '--validate=strict', '-f', wrong);
        expect(refused.code).not.toBe(0);
        expect(refused.err).toContain('unknown field "spec.replicaz"');
        const right = file('right.json', web);
        const created = await kubectl(program, 'create', '--save-config', '--validate=strict', '-f', right);
        expect([created.code, created.out, created.err]).toEqual([
          0,
          `deployment.apps/${name} created\n`,
          '',
        ]);
        const unchanged = await kubectl(program, 'apply', '-f', right);
        expect([unchanged.code, unchanged.out]).toEqual([0, `deployment.apps/${name} unchanged\n`]);
        // A strategic merge: the list of containers has a key, of which kubectl reads in the documents.
        const changed = { ...web.spec.template.spec.containers[0], image: 'web:2' };
        const template = { ...web.spec.template, spec: { containers: [changed] } };
        const next = file('next.json', { ...web, spec: { ...web.spec, template } });
        const configured = await kubectl(program, 'apply', '-f', next);
        expect([configured.code, configured.out]).toEqual([0, `deployment.apps/${name} configured\n`]);
        const image = await kubectl(
          program,
          'get',
          'deployment',
          name,
          '-o',
          'jsonpath={.spec.template.spec.containers[*].image}',
        );
        expect(image.out).toBe('web:2');
      }, 180_000);
    },
  );
});
