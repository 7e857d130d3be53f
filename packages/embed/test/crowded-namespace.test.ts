/**
 * A namespace as full as they get, on a whole server with its loops: a thousand objects of twenty kinds go with it, custom
 * ones with finalizers hold it and are named while they do; a quota holds against fifty who create at once.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { until } from '../../base/test/until.ts';
import { startControlPlane, type ControlPlane } from '../src/index.ts';

interface Answer {
  readonly code: number;
  readonly json: Readonly<Record<string, unknown>>;
}

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane({ readyTimeoutMs: 150_000 });
});

afterAll(() => plane.stop());

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const answer = await plane.call(path, {
    method,
    headers: body === undefined ? {} : { 'content-type': type },
    ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
  });
  const text = (await answer.bytes()).toString('utf8');
  return { code: answer.code, json: JSON.parse(text) as Readonly<Record<string, unknown>> };
}

async function create(path: string, body: unknown): Promise<void> {
  const { code, json } = await ask('POST', path, body);
  if (code !== 201) throw new Error(`${path}: ${JSON.stringify(json)}`);
}

async function count(path: string): Promise<number> {
  const { items } = (await ask('GET', path)).json;
  return Array.isArray(items) ? items.length : -1;
}

const POD = { containers: [{ name: 'c', image: 'i' }] };
const TEMPLATE = { metadata: { labels: { app: 'a' } }, spec: POD };
const SELECTOR = { matchLabels: { app: 'a' } };
const JOB = { template: { spec: { ...POD, restartPolicy: 'Never' } } };

/** Twenty built-in kinds: where they lie, and what they need. */
const KINDS: readonly (readonly [path: string, fields: object])[] = [
  ['/api/v1 configmaps', { data: { a: 'b' } }],
  ['/api/v1 secrets', { stringData: { a: 'b' } }],
  ['/api/v1 serviceaccounts', {}],
  ['/api/v1 services', { spec: { ports: [{ port: 80 }], clusterIP: 'None' } }],
  ['/api/v1 pods', { spec: POD }],
  ['/api/v1 podtemplates', { template: TEMPLATE }],
  ['/api/v1 replicationcontrollers', { spec: { replicas: 0, selector: { app: 'a' }, template: TEMPLATE } }],
  [
    '/api/v1 persistentvolumeclaims',
    { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } },
  ],
  ['/apis/apps/v1 deployments', { spec: { replicas: 0, selector: SELECTOR, template: TEMPLATE } }],
  ['/apis/apps/v1 replicasets', { spec: { replicas: 0, selector: SELECTOR, template: TEMPLATE } }],
  [
    '/apis/apps/v1 statefulsets',
    { spec: { replicas: 0, serviceName: 's', selector: SELECTOR, template: TEMPLATE } },
  ],
  ['/apis/apps/v1 daemonsets', { spec: { selector: SELECTOR, template: TEMPLATE } }],
  ['/apis/apps/v1 controllerrevisions', { revision: 1, data: {} }],
  ['/apis/batch/v1 jobs', { spec: JOB }],
  ['/apis/batch/v1 cronjobs', { spec: { schedule: '* * * * *', jobTemplate: { spec: JOB } } }],
  ['/apis/networking.k8s.io/v1 networkpolicies', { spec: { podSelector: {} } }],
  ['/apis/policy/v1 poddisruptionbudgets', { spec: { selector: SELECTOR, minAvailable: 1 } }],
  ['/apis/rbac.authorization.k8s.io/v1 roles', { rules: [] }],
  ['/apis/coordination.k8s.io/v1 leases', { spec: {} }],
  [
    '/apis/autoscaling/v2 horizontalpodautoscalers',
    { spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' } } },
  ],
];

const WIDGETS = '/apis/example.com/v1/namespaces/crowded/widgets';
const EACH = 48;
/** A namespace of this size goes in seconds; a busy machine may take its time. */
const GOES_MS = 120_000;

test('a namespace of a thousand objects of 21 kinds goes, and says what it waits for', async () => {
  const named = { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' };
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  await create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: named,
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  });
  await create('/api/v1/namespaces', { metadata: { name: 'crowded' } });
  await until(async () => (await ask('GET', WIDGETS)).code === 200, 'widgets are served');
  for (const [where, fields] of KINDS) {
    const [group, resource] = where.split(' ');
    const path = `${group}/namespaces/crowded/${resource}`;
    await Promise.all(
      Array.from({ length: EACH }, (_, index) =>
        create(path, { metadata: { name: `x${index}` }, ...fields }),
      ),
    );
  }
  await Promise.all(
    Array.from({ length: EACH }, (_, index) =>
      create(WIDGETS, {
        apiVersion: 'example.com/v1',
        kind: 'Widget',
        metadata: { name: `x${index}`, ...(index < 5 ? { finalizers: ['example.com/wait'] } : {}) },
      }),
    ),
  );
  expect((KINDS.length + 1) * EACH).toBeGreaterThan(1_000);

  expect((await ask('DELETE', '/api/v1/namespaces/crowded')).code).toBe(200);
  const conditions = async (): Promise<Readonly<Record<string, string>>> => {
    const { status } = (await ask('GET', '/api/v1/namespaces/crowded')).json;
    const list =
      (status as { conditions?: { type: string; status: string; message: string }[] }).conditions ?? [];
    return Object.fromEntries(list.map(({ type, status: state, message }) => [type, `${state} ${message}`]));
  };
  await until(async () => (await count(WIDGETS)) === 5, 'the others of the kind are gone', GOES_MS);
  await until(
    async () =>
      ((await conditions())['NamespaceContentRemaining'] ?? '').startsWith(
        'True Some resources are remaining: widgets',
      ),
    'nothing but widgets is left',
    GOES_MS,
  );
  expect(await conditions()).toMatchObject({
    NamespaceDeletionDiscoveryFailure: 'False All resources successfully discovered',
    NamespaceDeletionContentFailure: 'False All content successfully deleted, may be waiting on finalization',
    NamespaceContentRemaining:
      'True Some resources are remaining: widgets.example.com has 5 resource instances',
    NamespaceFinalizersRemaining:
      'True Some content in the namespace has finalizers remaining: example.com/wait in 5 resource instances',
  });
  const late = await ask('POST', '/api/v1/namespaces/crowded/configmaps', { metadata: { name: 'late' } });
  expect([late.code, late.json['message']]).toEqual([
    403,
    'configmaps "late" is forbidden: unable to create new content in namespace crowded because it is being terminated',
  ]);

  for (let index = 0; index < 5; index += 1)
    await ask('PATCH', `${WIDGETS}/x${index}`, { metadata: { finalizers: null } });
  await until(
    async () => (await ask('GET', '/api/v1/namespaces/crowded')).code === 404,
    'the namespace is gone',
    GOES_MS,
  );
  for (const [where] of KINDS) {
    const [group, resource] = where.split(' ');
    expect([where, await count(`${group}/namespaces/crowded/${resource}`)]).toEqual([where, 0]);
  }
});

test('a quota holds against fifty who create at once, and says right away how much is used', async () => {
  const MAPS = '/api/v1/namespaces/tight/configmaps';
  await create('/api/v1/namespaces', { metadata: { name: 'tight' } });
  // The certificate that each namespace has counts as well.
  await until(async () => (await count(MAPS)) === 1, 'the namespace has what each has');
  await create('/api/v1/namespaces/tight/resourcequotas', {
    metadata: { name: 'q' },
    spec: { hard: { configmaps: '31' } },
  });
  const used = async (): Promise<string | undefined> => {
    const { status } = (await ask('GET', '/api/v1/namespaces/tight/resourcequotas/q')).json;
    return (status as { used?: Record<string, string> } | undefined)?.used?.['configmaps'];
  };
  await until(async () => (await used()) === '1', 'the quota is counted');
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, creator) => {
      const codes: string[] = [];
      for (let index = 0; index < 3; index += 1) {
        const { code, json } = await ask('POST', MAPS, { metadata: { name: `c${creator}-${index}` } });
        codes.push(code === 201 ? 'made' : String(json['message']));
      }
      return codes;
    }),
  );
  const all = answers.flat();
  expect(all.filter((one) => one === 'made')).toHaveLength(30);
  expect(await used()).toBe('31');
  expect(await count(MAPS)).toBe(31);
  const refused = all.filter((one) => one !== 'made');
  expect(
    refused.every((text) => text.includes('exceeded quota: q, requested: configmaps=1, used: configmaps=31')),
  ).toBe(true);
  // What is deleted makes room again, once it is counted.
  await ask('DELETE', `${MAPS}/kube-root-ca.crt`);
  await until(async () => {
    const { code } = await ask('POST', MAPS, { metadata: { name: 'room' } });
    return code === 201 || (await count(MAPS)) === 31;
  }, 'there is room');
  expect(await count(MAPS)).toBeLessThanOrEqual(31);
});
