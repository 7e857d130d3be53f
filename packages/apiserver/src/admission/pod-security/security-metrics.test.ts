/** What PodSecurity decides, as its metrics tell of it. */

import { expect, test } from '@jest/globals';

import { attributesFor, Cluster, pluginContext } from '../../../test/admission-cluster.ts';
import type { KubeObject } from '../../api/meta.ts';
import { MetricsRegistry } from '../../metrics/registry.ts';
import { podSecurity } from '../plugins/pod-security.ts';
import { podSecurityMetrics } from './security-metrics.ts';

const LABEL = 'pod-security.kubernetes.io/';
const namespace = (name: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name,
    labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [`${LABEL}${key}`, value])),
  },
});
const pod = (place: string, spec: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: place },
  spec: { containers: [{ name: 'a', image: 'i' }], ...spec },
});

async function counted(...objects: readonly KubeObject[]): Promise<string[]> {
  const registry = new MetricsRegistry();
  const context = pluginContext({
    cluster: new Cluster([
      namespace('free'),
      namespace('base', { enforce: 'baseline', 'enforce-version': 'v1.24', warn: 'restricted' }),
      namespace('late', { enforce: 'baseline', 'enforce-version': 'v1.99' }),
      namespace('odd', { enforce: 'nothing' }),
      namespace('exempt', { enforce: 'restricted' }),
    ]),
    settings: { podSecurity: { exemptions: { namespaces: ['exempt'] } } },
  });
  const plugin = podSecurity({ ...context, podSecurity: podSecurityMetrics(registry, 36) });
  for (const object of objects) await plugin.validate(attributesFor({ object }))?.catch(() => undefined);
  return registry
    .text()
    .split('\n')
    .filter((line) => line.startsWith('pod_security_'));
}

const ABOUT = 'request_operation="create",resource="pod",subresource=""';

test.each<[string, KubeObject, string[]]>([
  [
    'nothing is held against it',
    pod('free'),
    [
      `evaluations_total{decision="allow",mode="enforce",policy_level="privileged",policy_version="latest",${ABOUT}} 1`,
    ],
  ],
  [
    'let in, and warned of',
    pod('base'),
    [
      `evaluations_total{decision="allow",mode="enforce",policy_level="baseline",policy_version="v1.24",${ABOUT}} 1`,
      `evaluations_total{decision="deny",mode="warn",policy_level="restricted",policy_version="latest",${ABOUT}} 1`,
    ],
  ],
  [
    'refused by a version that is still to come',
    pod('late', { hostNetwork: true }),
    [
      `evaluations_total{decision="deny",mode="enforce",policy_level="baseline",policy_version="future",${ABOUT}} 1`,
    ],
  ],
  ['exempt', pod('exempt'), [`exemptions_total{${ABOUT}} 1`]],
  ['of no namespace', pod('gone'), [`errors_total{fatal="true",${ABOUT}} 1`]],
])('%s', async (_name, object, want) => {
  expect(await counted(object)).toEqual(want.map((line) => `pod_security_${line}`));
});

test('a policy that is none counts as the strictest, and as an error', async () => {
  const lines = await counted(pod('odd'));
  expect(lines).toContain(`pod_security_errors_total{fatal="false",${ABOUT}} 1`);
  expect(
    lines.some((line) => line.includes('decision="deny",mode="enforce",policy_level="restricted"')),
  ).toBe(true);
});

test('what makes pods is told apart', async () => {
  const template = { metadata: {}, spec: pod('base').spec ?? {} };
  const deployment: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', namespace: 'base' },
    spec: { template },
  };
  expect(await counted(deployment)).toEqual([
    'pod_security_evaluations_total{decision="deny",mode="warn",policy_level="restricted",policy_version="latest",request_operation="create",resource="controller",subresource=""} 1',
  ]);
});
