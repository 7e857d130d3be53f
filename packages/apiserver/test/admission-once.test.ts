/**
 * Every write of every path goes through admission once per attempt: dry runs, subresources, patches, applies and
 * creations by update included (the gaps of CVE-2016-1905, CVE-2021-25735, CVE-2023-2727, CVE-2024-3177).
 */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { AdmissionAttributes, AdmissionPlugin } from '../src/admission/admission.ts';
import { describeResource } from '../src/api/meta.ts';
import { builtInResources } from '../src/registry/kinds/built-in.ts';
import type { ResourceDefinition, SubresourceDefinition } from '../src/registry/resource.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { smallServer, type SmallServer } from './small-server.ts';

/** Notes the phase, the operation, where it goes, the kind, and whether it is dry or has an object before it. */
function counting(log: string[]): AdmissionPlugin {
  const note = (phase: string, attributes: AdmissionAttributes): void => {
    const { operation, resource, subresource, kind, oldObject, dryRun } = attributes;
    const where = `${resource.resource}${subresource === '' ? '' : `/${subresource}`}`;
    const old = oldObject === undefined ? '' : ` old ${oldObject.metadata.name}`;
    log.push(`${phase} ${operation} ${where} ${kind.kind}${dryRun ? ' dry' : ''}${old}`);
  };
  return {
    name: 'Counting',
    handles: () => true,
    admit: (attributes) => {
      note('mutate', attributes);
      return Promise.resolve(attributes.object);
    },
    validate: (attributes) => {
      note('validate', attributes);
      return Promise.resolve();
    },
  };
}

const NS = '/api/v1/namespaces/default';
const APPLY = { 'content-type': 'application/apply-patch+yaml' };

const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'a', image: 'i' }] },
};
const DEPLOYMENT = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: {
    selector: { matchLabels: { app: 'x' } },
    template: { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'a', image: 'i' }] } },
  },
};
const MAP = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } };

type Step = readonly [
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
  code: number,
  seen: string,
];

const STEPS: readonly Step[] = [
  ['POST', `${NS}/configmaps`, MAP, {}, 201, 'CREATE configmaps ConfigMap'],
  [
    'POST',
    `${NS}/configmaps?dryRun=All`,
    { ...MAP, metadata: { name: 'x' } },
    {},
    201,
    'CREATE configmaps ConfigMap dry',
  ],
  ['PUT', `${NS}/configmaps/c`, { ...MAP, data: { a: 'b' } }, {}, 200, 'UPDATE configmaps ConfigMap old c'],
  ['PATCH', `${NS}/configmaps/c`, { data: { a: 'c' } }, {}, 200, 'UPDATE configmaps ConfigMap old c'],
  [
    'PATCH',
    `${NS}/configmaps/c?dryRun=All`,
    [{ op: 'add', path: '/data/x', value: 'y' }],
    { 'content-type': 'application/json-patch+json' },
    200,
    'UPDATE configmaps ConfigMap dry old c',
  ],
  [
    'PATCH',
    `${NS}/configmaps/applied?fieldManager=m`,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' } },
    APPLY,
    201,
    'CREATE configmaps ConfigMap',
  ],
  [
    'PATCH',
    `${NS}/configmaps/applied?fieldManager=m`,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data: { a: 'b' } },
    APPLY,
    200,
    'UPDATE configmaps ConfigMap old applied',
  ],
  [
    'PUT',
    '/apis/coordination.k8s.io/v1/namespaces/default/leases/l',
    { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l' }, spec: {} },
    {},
    201,
    'CREATE leases Lease',
  ],
  ['POST', `${NS}/pods`, POD, {}, 201, 'CREATE pods Pod'],
  ['PATCH', `${NS}/pods/p/status`, { status: { phase: 'Running' } }, {}, 200, 'UPDATE pods/status Pod old p'],
  [
    'PATCH',
    `${NS}/pods/p/ephemeralcontainers`,
    { spec: { ephemeralContainers: [{ name: 'debug', image: 'i' }] } },
    { 'content-type': 'application/strategic-merge-patch+json' },
    200,
    'UPDATE pods/ephemeralcontainers Pod old p',
  ],
  [
    'POST',
    `${NS}/pods/p/binding`,
    { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } },
    {},
    201,
    'CREATE pods/binding Binding',
  ],
  [
    'POST',
    `${NS}/pods/p/eviction?dryRun=All`,
    { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } },
    {},
    201,
    'CREATE pods/eviction Eviction dry',
  ],
  [
    'POST',
    '/apis/apps/v1/namespaces/default/deployments',
    DEPLOYMENT,
    {},
    201,
    'CREATE deployments Deployment',
  ],
  [
    'PATCH',
    '/apis/apps/v1/namespaces/default/deployments/d/scale',
    { spec: { replicas: 3 } },
    {},
    200,
    'UPDATE deployments/scale Scale old d',
  ],
  [
    'PATCH',
    '/apis/apps/v1/namespaces/default/deployments/d/status',
    { status: { replicas: 1 } },
    {},
    200,
    'UPDATE deployments/status Deployment old d',
  ],
  ['DELETE', `${NS}/configmaps/applied`, undefined, {}, 200, 'DELETE configmaps ConfigMap old applied'],
  ['DELETE', `${NS}/configmaps?dryRun=All`, undefined, {}, 200, 'DELETE configmaps ConfigMap dry old c'],
  ['DELETE', `${NS}/configmaps`, undefined, {}, 200, 'DELETE configmaps ConfigMap old c'],
];

async function seen(small: SmallServer, log: string[], step: Step): Promise<readonly [number, string[]]> {
  const [method, path, body, headers] = step;
  log.length = 0;
  const { code } = await small.ask(method, path, body, headers);
  return [code, [...log]];
}

test('each write is admitted once', async () => {
  const log: string[] = [];
  const small = smallServer({ plugins: [counting(log)], resources: 'built-in' });
  try {
    for (const step of STEPS) {
      const [method, path, , , code, told] = step;
      expect([method, path, ...(await seen(small, log, step))]).toEqual([
        method,
        path,
        code,
        [`mutate ${told}`, `validate ${told}`],
      ]);
    }
  } finally {
    await small.stop();
  }
});

/** Nothing is refused for what it says, so that any object will do. */
function unchecked(definition: ResourceDefinition): ResourceDefinition {
  const unguarded = <S extends object>(strategy: S): S => ({
    ...strategy,
    validate: () => [],
    validateUpdate: () => [],
  });
  return {
    ...definition,
    strategy: unguarded(definition.strategy),
    subresources: definition.subresources.map((subresource) =>
      subresource.backing.kind === 'update'
        ? { ...subresource, backing: { kind: 'update', strategy: unguarded(subresource.backing.strategy) } }
        : subresource,
    ),
  };
}

/** What has to be there for a kind's own steps before a write. */
const CONTENT: Readonly<Record<string, object>> = {
  pods: { spec: { containers: [{ name: 'a', image: 'i' }] } },
  services: { spec: { ports: [{ port: 80 }] } },
};
/** Where not any name will do. */
const NAMES: Readonly<Record<string, string>> = {
  'ipaddresses.networking.k8s.io': '10.0.0.9',
  'storageversions.internal.apiserver.k8s.io': 'apps.deployments',
};
/** How a body is changed: type, and what is sent of it. */
const PATCHES: readonly (readonly [type: string, body: object])[] = [
  ['merge-patch+json', { metadata: { labels: { a: '1' } } }],
  ['strategic-merge-patch+json', { metadata: { labels: { a: '2' } } }],
  ['json-patch+json', [{ op: 'add', path: '/metadata/labels/a', value: '3' }]],
];

describe('each verb of', () => {
  const definitions = builtInResources(new TypeTable()).map(unchecked);
  const log: string[] = [];
  let small: SmallServer;
  beforeAll(async () => {
    small = smallServer({
      plugins: [counting(log)],
      resources: definitions,
      runtimeConfig: new Map([['api/all', true]]),
      featureGates: new Map([
        ['AllAlpha', true],
        ['AllBeta', true],
      ]),
    });
    await small.ask('POST', '/api/v1/namespaces', { metadata: { name: 'default' } });
  });
  afterAll(() => small.stop());

  /** What was admitted, said of the same thing in both phases, and the code. */
  async function told(method: string, path: string, body?: object, type = 'json'): Promise<[number, string]> {
    log.length = 0;
    const { code } = await small.ask(method, path, body, { 'content-type': `application/${type}` });
    const phases = log.map((line) => line.split(' ')[0]).join(' ');
    const said = new Set(log.map((line) => line.slice(line.indexOf(' ') + 1)));
    // What was refused between the phases was seen by the first alone.
    if (phases === '' || (phases === 'mutate' && code >= 400)) return [code, [...said].join(' and ')];
    expect([method, path, phases, said.size]).toEqual([method, path, 'mutate validate', 1]);
    return [code, [...said][0]];
  }

  function pathsOf({ group, scope, resource, versions }: ResourceDefinition): string[] {
    return versions.map(({ version }) => {
      const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
      return `${base}${scope === 'Namespaced' ? '/namespaces/default' : ''}/${resource}`;
    });
  }

  const stored = definitions.filter(({ backing }) => backing.kind === 'stored');
  test.each(stored.map((one) => [describeResource(one), one] as const))('%s', async (what, definition) => {
    const { kind, resource, verbs, subresources, versions } = definition;
    const [path] = pathsOf(definition);
    const name = NAMES[what] ?? 'x';
    const object = `${path}/${name}`;
    const [{ version }] = versions;
    const apiVersion = definition.group === '' ? version : `${definition.group}/${version}`;
    const body = { apiVersion, kind, metadata: { name, labels: { a: '0' } }, ...CONTENT[what] };
    const expectOnce = async (
      [method, target, sent, type]: readonly [string, string, object?, string?],
      want: string,
    ): Promise<void> => {
      const [code, said] = await told(method, target, sent, type);
      expect([method, target, type, code < 300, said]).toEqual([method, target, type, true, want]);
    };
    await expectOnce(['POST', `${path}?dryRun=All`, body], `CREATE ${resource} ${kind} dry`);
    await expectOnce(['POST', path, body], `CREATE ${resource} ${kind}`);
    await expectOnce(['GET', object], '');
    await expectOnce(['GET', path], '');
    const current = async (at: string): Promise<object> => (await small.ask('GET', at)).json;
    const update = `UPDATE ${resource} ${kind}`;
    if (verbs.includes('update')) {
      await expectOnce(['PUT', `${object}?dryRun=All`, await current(object)], `${update} dry old ${name}`);
      await expectOnce(['PUT', object, await current(object)], `${update} old ${name}`);
    }
    if (verbs.includes('patch')) {
      for (const [type, sent] of PATCHES) {
        await expectOnce(['PATCH', `${object}?dryRun=All`, sent, type], `${update} dry old ${name}`);
        await expectOnce(['PATCH', object, sent, type], `${update} old ${name}`);
      }
      const applied = { apiVersion, kind, metadata: { name, annotations: { b: '1' } } };
      const target = `${object}?fieldManager=m`;
      await expectOnce(
        ['PATCH', `${target}&dryRun=All`, applied, 'apply-patch+yaml'],
        `${update} dry old ${name}`,
      );
      await expectOnce(['PATCH', target, applied, 'apply-patch+yaml'], `${update} old ${name}`);
    }
    // An eviction that is made leaves nothing to ask the others about.
    const last = (one: SubresourceDefinition): number => (one.name === 'eviction' ? 1 : 0);
    for (const one of subresources.toSorted((a, b) => last(a) - last(b))) {
      await expectSubresource(definition, one, path, name);
    }
    await small.ask('POST', path, body);
    const gone = `DELETE ${resource} ${kind}`;
    if (verbs.includes('deletecollection')) {
      await expectOnce(['DELETE', `${path}?dryRun=All`], `${gone} dry old ${name}`);
    }
    if (verbs.includes('delete')) {
      await expectOnce(['DELETE', `${object}?dryRun=All`], `${gone} dry old ${name}`);
      await expectOnce(['DELETE', `${object}?gracePeriodSeconds=0`], `${gone} old ${name}`);
    }
  });

  async function expectSubresource(
    { resource, kind }: ResourceDefinition,
    { name: part, backing, verbs, kind: own }: SubresourceDefinition,
    parent: string,
    name: string,
  ): Promise<void> {
    const where = `${resource}/${part}`;
    const object = `${parent}/${name}`;
    const path = `${object}/${part}`;
    const ofKind = own?.kind ?? kind;
    if (verbs.includes('get') && backing.kind !== 'connect') {
      expect([path, ...(await told('GET', path))]).toEqual([path, 200, '']);
    }
    switch (backing.kind) {
      case 'update':
      case 'scale':
        for (const query of ['?dryRun=All', '']) {
          const dry = query === '' ? '' : ' dry';
          const want = `UPDATE ${where} ${ofKind}${dry} old ${name}`;
          const { json } = await small.ask('GET', verbs.includes('get') ? path : object);
          if (verbs.includes('update')) {
            expect([path, ...(await told('PUT', path + query, json))]).toEqual([path, 200, want]);
          }
          if (!verbs.includes('patch')) continue;
          const patch = { metadata: { annotations: { c: '1' } } };
          const got = await told('PATCH', path + query, patch, 'merge-patch+json');
          expect([path, ...got]).toEqual([path, 200, want]);
        }
        break;
      case 'create':
        for (const query of ['?dryRun=All', '']) {
          const [, said] = await told('POST', path + query, { metadata: { name } });
          expect([path, said]).toEqual([path, `CREATE ${where} ${ofKind}${query === '' ? '' : ' dry'}`]);
        }
        break;
      case 'connect': {
        const [, said] = await told(verbs.includes('get') ? 'GET' : 'POST', path);
        expect([path, said]).toEqual([path, backing.read === true ? '' : `CONNECT ${where} ${ofKind}`]);
      }
    }
  }
});

test('a write that was overtaken is admitted again, once for each attempt', async () => {
  const log: string[] = [];
  let overtake = 2;
  const plugin = counting(log);
  const small = smallServer({
    plugins: [
      {
        name: 'Overtaking',
        handles: (operation) => operation === 'UPDATE',
        async admit({ object, dryRun }: AdmissionAttributes) {
          if (!dryRun && overtake > 0) {
            overtake -= 1;
            const backed = small.server.scheme.store({ group: '', resource: 'configmaps' });
            await backed?.change(
              'default',
              'c',
              (found) => ({ ...found, metadata: { ...found.metadata, labels: { at: String(overtake) } } }),
              { dryRun: false },
            );
          }
          return object;
        },
      },
      plugin,
    ],
  });
  await small.ask('POST', `${NS}/configmaps`, MAP);
  log.length = 0;
  const { code, json } = await small.ask('PATCH', `${NS}/configmaps/c`, { data: { a: 'c' } });
  expect([code, json.metadata.labels, json['data']]).toEqual([200, { at: '0' }, { a: 'c' }]);
  expect(log).toEqual(
    Array.from({ length: 3 }, () => [
      'mutate UPDATE configmaps ConfigMap old c',
      'validate UPDATE configmaps ConfigMap old c',
    ]).flat(),
  );
  await small.stop();
});
