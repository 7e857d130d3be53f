/**
 * Every write of every path goes through admission once per attempt: dry runs, subresources, patches, applies and
 * creations by update included (the gaps of CVE-2016-1905, CVE-2021-25735, CVE-2023-2727, CVE-2024-3177).
 */

import { expect, test } from '@jest/globals';

import type { AdmissionAttributes, AdmissionPlugin } from '../src/admission/admission.ts';
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
