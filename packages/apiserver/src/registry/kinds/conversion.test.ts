/** Kinds of several versions come back as they went, and services get addresses and ports nobody has. */

import { expect, test } from '@jest/globals';

import type { KubeObject } from '../../api/meta.ts';
import type { ObjectStore, Stores } from '../resource.ts';
import type { StrategyContext } from '../strategy.ts';
import { horizontalPodAutoscalers } from '../autoscaling/horizontalpodautoscalers.ts';
import { events } from '../core/events.ts';
import { services } from '../core/services.ts';

const context: StrategyContext = {
  user: undefined,
  info: undefined,
  nowMs: 0,
  dryRun: false,
  uuid: () => 'u',
  random: () => 0,
};

test('an autoscaler of v1 says its CPU target and carries the rest', () => {
  const object: KubeObject = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'x' },
    spec: {
      maxReplicas: 3,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
        },
        {
          type: 'Pods',
          pods: { metric: { name: 'q' }, target: { type: 'AverageValue', averageValue: '1' } },
        },
      ],
    },
    status: {
      currentReplicas: 1,
      currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 7 } } }],
    },
  };
  const old = horizontalPodAutoscalers.convert?.(object, { group: 'autoscaling', version: 'v1' });
  expect(old).toMatchObject({
    apiVersion: 'autoscaling/v1',
    spec: { maxReplicas: 3, targetCPUUtilizationPercentage: 50 },
    status: { currentReplicas: 1, currentCPUUtilizationPercentage: 7 },
  });
  expect(
    old === undefined
      ? undefined
      : horizontalPodAutoscalers.convert?.(old, { group: 'autoscaling', version: 'v2' }),
  ).toEqual(object);
});

test('an event reads in both groups', () => {
  const object: KubeObject = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'x' },
    regarding: { kind: 'Pod', name: 'p' },
    note: 'n',
    reportingController: 'c',
    reportingInstance: 'i',
  };
  const core = events.convert?.(object, { group: '', version: 'v1' });
  expect(core).toMatchObject({
    apiVersion: 'v1',
    involvedObject: { name: 'p' },
    message: 'n',
    reportingComponent: 'c',
  });
  expect(
    core === undefined ? undefined : events.convert?.(core, { group: 'events.k8s.io', version: 'v1' }),
  ).toEqual(object);
});

function service(name: string, spec: object): KubeObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec };
}

function storesWith(list: readonly KubeObject[]): Stores {
  const store = { list: () => Promise.resolve(list) } as Partial<ObjectStore> as ObjectStore;
  return { of: () => store };
}

test('a service gets the next address and node port that are free, and keeps them', async () => {
  const other = service('a', {
    clusterIP: '10.0.0.2',
    clusterIPs: ['10.0.0.2'],
    type: 'NodePort',
    ports: [{ port: 1, protocol: 'TCP', nodePort: 30_000 }],
  });
  const wanted = service('b', { type: 'NodePort', ports: [{ port: 80, protocol: 'TCP' }] });
  const created = (await services.hooks?.beginCreate?.(wanted, context, storesWith([other])))?.object;
  expect(created?.['spec']).toMatchObject({
    clusterIP: '10.0.0.3',
    clusterIPs: ['10.0.0.3'],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    ports: [{ port: 80, nodePort: 30_001 }],
  });
  const again =
    created === undefined
      ? undefined
      : (await services.hooks?.beginUpdate?.(wanted, created, context, storesWith([other, created])))?.object;
  expect(again?.['spec']).toEqual(created?.['spec']);
});

test.each([
  [
    'an address that is taken',
    { clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.2'] },
    'provided IP is already allocated',
  ],
  [
    'an address outside',
    { clusterIP: '192.168.0.1', clusterIPs: ['192.168.0.1'] },
    'is not in the valid range',
  ],
  [
    'a port that is taken',
    { type: 'NodePort', ports: [{ port: 1, protocol: 'TCP', nodePort: 30_000 }] },
    'provided port is already allocated',
  ],
  [
    'a port outside',
    { type: 'NodePort', ports: [{ port: 1, protocol: 'TCP', nodePort: 80 }] },
    'provided port is not in the valid range',
  ],
])('a service is refused %s', async (_name, spec, text) => {
  const other = service('a', {
    clusterIP: '10.0.0.2',
    clusterIPs: ['10.0.0.2'],
    ports: [{ nodePort: 30_000 }],
  });
  const begun = services.hooks?.beginCreate?.(
    service('b', { type: 'ClusterIP', ...spec }),
    context,
    storesWith([other]),
  );
  await expect(begun).rejects.toThrow(text);
});
