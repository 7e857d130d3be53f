/** Kinds of several versions come back as they went. */

import { expect, test } from '@jest/globals';

import type { Json, JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { horizontalPodAutoscalers } from '../autoscaling/horizontalpodautoscalers.ts';
import { events } from '../core/events.ts';

const METRICS: readonly JsonObject[] = [
  {
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
  },
  {
    type: 'Pods',
    pods: { metric: { name: 'q' }, target: { type: 'AverageValue', averageValue: '1' } },
  },
];

test('an autoscaler of v1 says its CPU target and carries the rest', () => {
  const object: KubeObject = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'x' },
    spec: {
      maxReplicas: 3,
      metrics: METRICS,
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
  expect(old?.metadata.annotations).toEqual({
    'autoscaling.alpha.kubernetes.io/metrics':
      '[{"type":"Pods","pods":{"metricName":"q","targetAverageValue":"1"}}]',
    'autoscaling.alpha.kubernetes.io/current-metrics':
      '[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":7,"currentAverageValue":"0"}}]',
  });
  if (old === undefined) return;
  // Version 1 tells the processor's target last, and a value for each state.
  const [cpu, pods] = METRICS;
  const resource = { name: 'cpu', current: { averageValue: '0', averageUtilization: 7 } };
  expect(horizontalPodAutoscalers.convert?.(old, { group: 'autoscaling', version: 'v2' })).toEqual({
    ...object,
    spec: { maxReplicas: 3, metrics: [pods, cpu] },
    status: { currentReplicas: 1, currentMetrics: [{ type: 'Resource', resource }] },
  });
});

test('an autoscaler of v1 says how many there are, be it none', () => {
  const object: KubeObject = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'x' },
    spec: { maxReplicas: 3 },
    status: { desiredReplicas: 0, currentMetrics: null },
  };
  const old = horizontalPodAutoscalers.convert?.(object, { group: 'autoscaling', version: 'v1' });
  expect(old?.['status']).toEqual({ currentReplicas: 0, desiredReplicas: 0 });
  if (old === undefined) return;
  const back = horizontalPodAutoscalers.convert?.(old, { group: 'autoscaling', version: 'v2' });
  const target = { type: 'Utilization', averageUtilization: 80 };
  const metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }];
  expect(back).toEqual({ ...object, spec: { maxReplicas: 3, metrics } });
});

test('what kube-apiserver 1.36 tells of an autoscaler in version 1, and takes back', () => {
  const target = (type: string, name: string, value: Json): JsonObject => ({ type, [name]: value });
  const selector = { matchLabels: { a: 'b' } };
  const metrics = [
    {
      type: 'Resource',
      resource: { name: 'memory', target: target('AverageValue', 'averageValue', '100Mi') },
    },
    {
      type: 'Pods',
      pods: { metric: { name: 'm', selector }, target: target('AverageValue', 'averageValue', '1k') },
    },
    {
      type: 'Object',
      object: {
        describedObject: { kind: 'Service', name: 's', apiVersion: 'v1' },
        target: target('Value', 'value', '10k'),
        metric: { name: 'r' },
      },
    },
    {
      type: 'External',
      external: { metric: { name: 'q', selector }, target: target('AverageValue', 'averageValue', '30') },
    },
    {
      type: 'ContainerResource',
      containerResource: {
        name: 'cpu',
        target: target('Utilization', 'averageUtilization', 60),
        container: 'c',
      },
    },
    { type: 'Resource', resource: { name: 'cpu', target: target('Utilization', 'averageUtilization', 50) } },
  ];
  const behavior = {
    scaleUp: {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Max',
      policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }],
    },
    scaleDown: { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 10, periodSeconds: 60 }] },
  };
  const object: KubeObject = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'x' },
    spec: { maxReplicas: 3, metrics, behavior },
    status: { desiredReplicas: 0, currentMetrics: null },
  };
  const old = horizontalPodAutoscalers.convert?.(object, { group: 'autoscaling', version: 'v1' });
  expect(old?.metadata.annotations).toEqual({
    'autoscaling.alpha.kubernetes.io/behavior':
      '{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}],"Tolerance":null},"ScaleDown":{"StabilizationWindowSeconds":null,"SelectPolicy":"Max","Policies":[{"Type":"Percent","Value":10,"PeriodSeconds":60}],"Tolerance":null}}',
    'autoscaling.alpha.kubernetes.io/metrics':
      '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"100Mi"}},{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"1k","selector":{"matchLabels":{"a":"b"}}}},{"type":"Object","object":{"target":{"kind":"Service","name":"s","apiVersion":"v1"},"metricName":"r","targetValue":"10k"}},{"type":"External","external":{"metricName":"q","metricSelector":{"matchLabels":{"a":"b"}},"targetAverageValue":"30"}},{"type":"ContainerResource","containerResource":{"name":"cpu","targetAverageUtilization":60,"container":"c"}}]',
  });
  if (old === undefined) return;
  expect(horizontalPodAutoscalers.convert?.(old, { group: 'autoscaling', version: 'v2' })).toEqual(object);
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

test.each<[string, string]>([
  ['metrics', 'nope'],
  ['metrics', '{"type":"Pods"}'],
  ['metrics', '[5]'],
  ['metrics', '[{"type":7}]'],
  ['metrics', '[{"type":"Resource","resource":{"name":"cpu","targetAverageUtilization":"many"}}]'],
  ['metrics', '[{"type":"Resource","resource":{"name":"cpu","targetAverageUtilization":1.5}}]'],
  ['metrics', '[{"type":"Pods","pods":{"metricName":"a","targetAverageValue":"many"}}]'],
  ['metrics', '[{"type":"Pods","pods":{"metricName":"a","targetAverageValue":"1","selector":5}}]'],
  ['behavior', '{"ScaleUp":5}'],
  ['behavior', '{"ScaleUp":{"Policies":[5]}}'],
  ['behavior', '{"ScaleUp":{"Tolerance":"much"}}'],
  ['behavior', '{"Other":{"Tolerance":"1"}}'],
  ['behavior', `{"ScaleUp":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  ['conditions', '[{"type":"AbleToScale","lastTransitionTime":"today"}]'],
  ['current-metrics', '[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":{}}}]'],
])('an annotation of an autoscaler counts as absent where Go could not read it: %s %.70s', (name, text) => {
  const object: KubeObject = {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'x', annotations: { [`autoscaling.alpha.kubernetes.io/${name}`]: text } },
    spec: { maxReplicas: 3 },
    status: { desiredReplicas: 0 },
  };
  const target = { type: 'Utilization', averageUtilization: 80 };
  expect(horizontalPodAutoscalers.convert?.(object, { group: 'autoscaling', version: 'v2' })).toEqual({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'x' },
    spec: { maxReplicas: 3, metrics: [{ type: 'Resource', resource: { name: 'cpu', target } }] },
    status: { desiredReplicas: 0, currentMetrics: null },
  });
});
