/** Quotas on a whole server without admission: what is counted here is what the loop counts. */

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { quotaAccounts } from '@keelson/apiserver';
import { isRecord } from '@keelson/kube-client';

import { cluster, until, type Cluster } from './cluster.ts';

const QUOTAS = '/api/v1/namespaces/n/resourcequotas';
const MAPS = '/api/v1/namespaces/n/configmaps';
const PODS = '/api/v1/namespaces/n/pods';

let running: Cluster;

beforeEach(async () => {
  running = await cluster({ controllers: ['resourcequota'], quotaAccounts });
  await running.create('/api/v1/namespaces', { metadata: { name: 'n' } });
});

afterEach(() => running.stop());

async function statusOf(name: string): Promise<Readonly<Record<string, unknown>>> {
  const status = (await running.get(`${QUOTAS}/${name}`))?.['status'];
  return isRecord(status) ? status : {};
}

function eventually(name: string, used: Readonly<Record<string, string>>): Promise<void> {
  const sorted = (value: unknown): string => {
    const amounts = Object.entries(value ?? {}).map(([resource, amount]) => `${resource}=${String(amount)}`);
    return amounts.toSorted((a, b) => a.localeCompare(b)).join();
  };
  return until(
    async () => sorted((await statusOf(name))['used']) === sorted(used),
    `${name} uses ${sorted(used)}`,
  );
}

const pod = (name: string, cpu: string, more: object = {}): unknown => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }], ...more },
});

test('a new quota is counted, and counted anew when its spec changes or what it counts is deleted', async () => {
  for (const name of ['a', 'b', 'c']) await running.create(MAPS, { metadata: { name } });
  await running.create('/api/v1/namespaces/n/secrets', { metadata: { name: 's' } });
  await running.create(QUOTAS, { metadata: { name: 'q' }, spec: { hard: { configmaps: '5', pods: '3' } } });
  await eventually('q', { configmaps: '3', pods: '0' });
  expect((await statusOf('q'))['hard']).toEqual({ configmaps: '5', pods: '3' });
  await running.delete(`${MAPS}/a`);
  await eventually('q', { configmaps: '2', pods: '0' });
  await running.small.ask('PATCH', `${QUOTAS}/q`, { spec: { hard: { pods: null, 'count/secrets': '9' } } });
  await eventually('q', { configmaps: '2', 'count/secrets': '1' });
  await running.delete(MAPS);
  await eventually('q', { configmaps: '0', 'count/secrets': '1' });
});

test('pods count what they ask for, until they end; scopes choose among them', async () => {
  await running.create(PODS, pod('a', '500m'));
  await running.create(PODS, pod('b', '1'));
  await running.create(PODS, pod('job', '2', { activeDeadlineSeconds: 60 }));
  await running.create(QUOTAS, {
    metadata: { name: 'all' },
    spec: { hard: { 'requests.cpu': '10', pods: '10' } },
  });
  await running.create(QUOTAS, {
    metadata: { name: 'short' },
    spec: { hard: { 'requests.cpu': '10' }, scopes: ['Terminating'] },
  });
  await eventually('all', { 'requests.cpu': '3500m', pods: '3' });
  await eventually('short', { 'requests.cpu': '2' });
  await running.small.ask('PATCH', `${PODS}/b/status`, { status: { phase: 'Succeeded' } });
  await eventually('all', { 'requests.cpu': '2500m', pods: '2' });
  await running.delete(`${PODS}/job`, '?gracePeriodSeconds=0');
  await eventually('all', { 'requests.cpu': '500m', pods: '1' });
  await eventually('short', { 'requests.cpu': '0' });
});

test('a pod that gets a deadline leaves the scope of those without', async () => {
  await running.create(PODS, pod('a', '500m'));
  await running.create(QUOTAS, {
    metadata: { name: 'long' },
    spec: { hard: { pods: '1' }, scopes: ['NotTerminating'] },
  });
  await eventually('long', { pods: '1' });
  await running.small.ask('PATCH', `${PODS}/a`, { spec: { activeDeadlineSeconds: 60 } });
  await eventually('long', { pods: '0' });
});

test('without quotas nothing is watched for them, and no longer when the last one is gone', async () => {
  const watches = (): number => {
    const found = /rest_client_requests_total\{code="200",method="GET"\} (\d+)/.exec(
      running.controllers.metrics.text(),
    );
    return Number(found?.[1] ?? 0);
  };
  await running.calm();
  // The quotas themselves.
  expect(watches()).toBe(1);
  await running.create(QUOTAS, { metadata: { name: 'q' }, spec: { hard: { configmaps: '5' } } });
  await eventually('q', { configmaps: '0' });
  await running.delete(`${QUOTAS}/q`);
  await running.calm();
  const before = watches();
  await running.create(MAPS, { metadata: { name: 'a' } });
  await running.delete(`${MAPS}/a`);
  await running.calm();
  expect(watches()).toBe(before);
});
