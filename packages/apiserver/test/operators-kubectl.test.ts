/**
 * Definitions in the size and style of large operators (testdata/operators, our own): certificates, rollouts of whole pod
 * templates, monitors, routes, compositions. kubectl as it is, old and new: applied from the client and by the server,
 * explained, objects of them made, refused, shown, waited for and patched. Skipped where kubectl is not installed; KUBECTL_1_35
 * names a further one.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { kubectlPrograms, run } from './kubectl-program.ts';
import { customServer, type SmallServer } from './small-server.ts';

const KINDS = ['certificates', 'rollouts', 'monitors', 'routes', 'compositions'] as const;
const NAMES: Readonly<Record<(typeof KINDS)[number], string>> = {
  certificates: 'certificates.certs.operators.example.com',
  rollouts: 'rollouts.rollouts.operators.example.com',
  monitors: 'monitors.monitoring.operators.example.com',
  routes: 'routes.mesh.operators.example.com',
  compositions: 'compositions.compose.operators.example.com',
};
const LIMIT_MS = 180_000;

const object = (apiVersion: string, kind: string, name: string, spec: object): object => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'default' },
  spec,
});
const certificate = (spec: object): object =>
  object('certs.operators.example.com/v1', 'Certificate', 'web', {
    secretName: 'web-tls',
    issuerRef: { name: 'ca' },
    ...spec,
  });
const rollout = (apiVersion: string, strategy: object, app = 'web'): object =>
  object(`rollouts.operators.example.com/${apiVersion}`, 'Rollout', 'web', {
    selector: { matchLabels: { app } },
    strategy,
    template: {
      metadata: { labels: { app }, anything: true },
      spec: {
        containers: [{ name: 'web', image: 'web:1', ports: [{ containerPort: 80 }] }],
        volumes: [{ name: 'v', whatever: { is: 'kept' } }],
      },
    },
  });

const { KUBECTL_1_35 } = process.env;
const programs = [...kubectlPrograms(), ...(KUBECTL_1_35 === undefined ? [] : [KUBECTL_1_35])];
const withKubectl = programs.length > 0 ? describe : describe.skip;

withKubectl('definitions of large operators (needs kubectl on the path)', () => {
  let home: string;

  beforeAll(() => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-operators-'));
    writeFileSync(path.join(home, 'config.json'), '{"apiVersion":"v1","kind":"Config"}');
  });

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  describe.each(programs)('%s', (program) => {
    let small: SmallServer;
    let server: string;

    beforeAll(async () => {
      small = await customServer();
      const { port } = await small.server.listen(0, '127.0.0.1');
      server = `http://127.0.0.1:${port}`;
    });

    afterAll(() => small.stop());

    const kubectl = async (...args: string[]): Promise<string> => {
      const { code, out, err } = await run(
        program,
        [`--server=${server}`, '--request-timeout=60s', ...args],
        {
          HOME: path.join(home, path.basename(program)),
          KUBECONFIG: path.join(home, 'config.json'),
        },
      );
      return code === 0 ? `${err}${out}`.trim() : `exit ${code}: ${err.trim()}`;
    };
    const file = (value: object): string => {
      const at = path.join(home, 'object.json');
      writeFileSync(at, JSON.stringify(value));
      return at;
    };
    const definition = (name: string): string =>
      path.join(import.meta.dirname, 'testdata/operators', `${name}.json`);
    const crd = (name: (typeof KINDS)[number]): string =>
      `customresourcedefinition.apiextensions.k8s.io/${NAMES[name]}`;
    const apply = (value: object): Promise<string> => kubectl('apply', '-f', file(value));
    const cells = (table: string): string[][] => table.split('\n').map((line) => line.split(/ {2,}/));

    test(
      'are applied by the client and by the server, established and explained',
      async () => {
        for (const name of KINDS) {
          expect(await kubectl('apply', '-f', definition(name))).toBe(`${crd(name)} created`);
          expect(await kubectl('apply', '-f', definition(name))).toBe(`${crd(name)} unchanged`);
          expect(await kubectl('apply', '--server-side', '--force-conflicts', '-f', definition(name))).toBe(
            `${crd(name)} serverside-applied`,
          );
          expect(await kubectl('wait', '--for=condition=established', '--timeout=60s', crd(name))).toBe(
            `${crd(name)} condition met`,
          );
        }
        const whole = await kubectl('explain', 'rollouts', '--recursive');
        expect(whole).toMatch(/strategy\s+<Object>.*\n\s+blueGreen\s+<Object>/);
        expect(whole.split('\n').length).toBeGreaterThan(150);
        expect(await kubectl('explain', 'certificates.spec.privateKey')).toContain('How its key is made.');
        expect(await kubectl('explain', 'crt.spec.dnsNames')).toContain('Names the certificate is for.');
      },
      LIMIT_MS,
    );

    test(
      'hold objects to their rules',
      async () => {
        const created = 'certificate.certs.operators.example.com/web created';
        expect(await apply(certificate({ dnsNames: ['a.example.com'], privateKey: {} }))).toBe(created);
        expect(await kubectl('get', 'crt', 'web', '-o', 'jsonpath={.spec.privateKey}')).toBe(
          '{"algorithm":"RSA","rotationPolicy":"Always"}',
        );
        expect(await apply(certificate({}))).toContain(
          'spec: Invalid value: a common name, a DNS name or an address is needed',
        );
        expect(await apply(certificate({ commonName: 'a', privateKey: { size: 1024 } }))).toContain(
          'spec.privateKey: Invalid value: an RSA key has 2048, 4096 or 8192 bits',
        );
        expect(await apply(certificate({ commonName: 'a', duration: '1h', renewBefore: '2h' }))).toContain(
          'spec.renewBefore: Invalid value: the renewal of web-tls is not before its end',
        );
        expect(await apply(certificate({ commonName: 'a', usages: ['server auth', 'walking'] }))).toContain(
          'spec.usages[1]: Unsupported value: "walking": supported values: "digital signature", "key encipherment", "server auth", "client auth", "cert sign"',
        );
        expect(await kubectl('get', 'crt', '--field-selector=spec.issuerRef.name=ca', '-o', 'name')).toBe(
          'certificate.certs.operators.example.com/web',
        );
      },
      LIMIT_MS,
    );

    test(
      'in several versions, with templates of pods, scale and what may not change',
      async () => {
        const canary = { canary: { steps: [{ setWeight: 20 }, { pause: { duration: '1m' } }] } };
        expect(await apply(rollout('v1', canary))).toBe('rollout.rollouts.operators.example.com/web created');
        const old = await apply(rollout('v1beta1', canary));
        expect(old).toContain('Warning: rollouts.operators.example.com/v1beta1 Rollout goes; use v1');
        const shown = [
          'jsonpath={.spec.template.metadata} {.spec.template.spec.volumes}',
          '{.spec.template.spec.containers[0].ports}',
        ];
        expect(await kubectl('get', 'ro', 'web', '-o', shown.join(' '))).toBe(
          '{"anything":true,"labels":{"app":"web"}} [{"name":"v","whatever":{"is":"kept"}}] [{"containerPort":80,"protocol":"TCP"}]',
        );
        expect(await apply(rollout('v1', { ...canary, blueGreen: { activeService: 'a' } }))).toContain(
          'spec.strategy: Invalid value: one strategy is needed, and no more than one',
        );
        expect(await apply(rollout('v1', canary, 'other'))).toContain(
          'spec.selector: Forbidden: the selector is immutable',
        );
        expect(await kubectl('scale', 'rollout/web', '--replicas=4')).toBe(
          'rollout.rollouts.operators.example.com/web scaled',
        );
        const status = {
          status: {
            replicas: 4,
            conditions: [
              {
                type: 'Ready',
                status: 'True',
                reason: 'Done',
                message: 'all there',
                lastTransitionTime: '2026-01-01T00:00:00Z',
              },
            ],
          },
        };
        expect(
          await kubectl(
            'patch',
            'ro',
            'web',
            '--subresource=status',
            '--type=merge',
            '-p',
            JSON.stringify(status),
          ),
        ).toBe('rollout.rollouts.operators.example.com/web patched');
        expect(await kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'ro/web')).toBe(
          'rollout.rollouts.operators.example.com/web condition met',
        );
        const [head, row] = cells(await kubectl('get', 'ro', '-o', 'wide'));
        expect([head, row.slice(0, 4)]).toEqual([
          ['NAME', 'DESIRED', 'CURRENT', 'READY', 'AGE'],
          ['web', '4', '4', 'True'],
        ]);
        expect(
          await kubectl(
            'patch',
            'ro',
            'web',
            '--type=json',
            '-p',
            '[{"op":"replace","path":"/spec/strategy/canary/steps/0/setWeight","value":101}]',
          ),
        ).toContain(
          'spec.strategy.canary.steps[0].setWeight: Invalid value: 101: spec.strategy.canary.steps[0].setWeight in body should be less than or equal to 100',
        );
      },
      LIMIT_MS,
    );

    test(
      'with alternatives, embedded objects and what nobody describes',
      async () => {
        const route = (http: object): object =>
          object('mesh.operators.example.com/v1alpha3', 'Route', 'web', { hosts: ['a', 'b'], http: [http] });
        expect(await apply(route({ match: [{ uri: { prefix: '/' } }], timeout: '5s' }))).toBe(
          'route.mesh.operators.example.com/web created',
        );
        expect(await apply(route({ match: [{ uri: { prefix: '/', exact: '/' } }] }))).toContain(
          '"spec.http[0].match[0].uri" must validate one and only one schema (oneOf). Found 2 valid alternatives',
        );
        expect(await apply(route({ timeout: '1us' }))).toContain(
          'spec.http[0].timeout: Invalid value: "1us": must be a duration of a millisecond at least',
        );
        expect(cells(await kubectl('get', 'rt'))[1].slice(0, 2)).toEqual(['web', '["a","b"]']);
        const monitor = (spec: object): object =>
          object('monitoring.operators.example.com/v1', 'Monitor', 'web', { selector: {}, ...spec });
        const endpoint = { port: 'http', interval: '30s', relabelings: [{ sourceLabels: ['a'] }] };
        const podTemplate = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { any: 1 } };
        expect(await apply(monitor({ endpoints: [endpoint], podTemplate }))).toBe(
          'monitor.monitoring.operators.example.com/web created',
        );
        expect(
          await kubectl(
            'get',
            'mon',
            'web',
            '-o',
            'jsonpath={.spec.endpoints[0].relabelings} {.spec.podTemplate.spec}',
          ),
        ).toBe('[{"action":"replace","sourceLabels":["a"]}] {"any":1}');
        expect(await apply(monitor({ endpoints: [endpoint], podTemplate: { kind: 'Pod' } }))).toContain(
          'spec.podTemplate.apiVersion: Required value',
        );
        expect(await apply(monitor({ endpoints: [{ ...endpoint, interval: 'soon' }] }))).toContain(
          'spec.endpoints[0].interval: Invalid value: "soon": spec.endpoints[0].interval in body should match',
        );
        const composition = (kind: string, pipeline?: object): object => ({
          apiVersion: 'compose.operators.example.com/v1',
          kind: 'Composition',
          metadata: { name: 'bucket' },
          spec: {
            compositeTypeRef: { apiVersion: 'a/v1', kind },
            ...(pipeline === undefined ? {} : { pipeline }),
          },
        });
        const step = {
          step: 'one',
          functionRef: { name: 'f' },
          input: { apiVersion: 'f/v1', kind: 'Input', x: [1] },
        };
        expect(await kubectl('apply', '--server-side', '-f', file(composition('Bucket', [step])))).toBe(
          'composition.compose.operators.example.com/bucket serverside-applied',
        );
        expect(await kubectl('apply', '--server-side', '-f', file(composition('Pail', [step])))).toContain(
          'spec.compositeTypeRef: Invalid value: Value is immutable',
        );
        const secret = { ...step, credentials: [{ name: 'c', source: 'Secret' }] };
        expect(
          await kubectl('apply', '--server-side', '-f', file(composition('Bucket', [secret]))),
        ).toContain(
          'spec.pipeline[0].credentials[0]: Invalid value: the Secret source must have a reference to it',
        );
        expect(await kubectl('apply', '--server-side', '-f', file(composition('Bucket')))).toContain(
          'an array of pipeline steps is required in Pipeline mode',
        );
        expect(cells(await kubectl('get', 'comp', '-o', 'wide'))[0]).toEqual([
          'NAME',
          'XR-KIND',
          'XR-APIVERSION',
          'AGE',
        ]);
      },
      LIMIT_MS,
    );
  });
});
