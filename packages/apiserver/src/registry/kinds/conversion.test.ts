/** Kinds of several versions come back as they went. */

import { expect, test } from '@jest/globals';

import type { KubeObject } from '../../api/meta.ts';
import { horizontalPodAutoscalers } from '../autoscaling/horizontalpodautoscalers.ts';
import { events } from '../core/events.ts';

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
