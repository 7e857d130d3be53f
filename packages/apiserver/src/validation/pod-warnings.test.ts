import { expect, test } from '@jest/globals';

import type { JsonObject } from '../api/json.ts';
import { FieldPath } from './field-path.ts';
import { hostnameWarnings, podWarnings, templateWarnings } from './pod-warnings.ts';

const container = (more: JsonObject = {}): JsonObject => ({ name: 'c', image: 'a:1', ...more });
const labels = { failure: 'failure-domain.beta.kubernetes.io/zone', os: 'beta.kubernetes.io/os' };

// Cases after TestWarnings of kubernetes' pkg/api/pod/warnings_test.go.
test.each<[string, JsonObject, string[]]>([
  ['nothing', { spec: { containers: [container()] } }, []],
  [
    'labels of nodes',
    {
      spec: {
        nodeSelector: { [labels.os]: 'linux' },
        topologySpreadConstraints: [{ topologyKey: labels.failure }],
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: labels.os, operator: 'Exists' }] }],
            },
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight: 1, preference: { matchExpressions: [{ key: labels.failure, operator: 'Exists' }] } },
            ],
          },
          podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'k' }] },
          podAntiAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: {} }],
          },
        },
      },
    },
    [
      'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
      'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use "kubernetes.io/os" instead',
      'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
      'spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
      'spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod',
      'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector results in matching no pod',
      'spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod',
    ],
  ],
  [
    'volumes and annotations',
    {
      metadata: {
        annotations: {
          'scheduler.alpha.kubernetes.io/critical-pod': '',
          'seccomp.security.alpha.kubernetes.io/pod': 'x',
        },
      },
      spec: {
        volumes: [
          { name: 'a', cephfs: { monitors: ['m'] } },
          { name: 'b', storageos: {} },
        ],
      },
    },
    [
      'metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "priorityClassName" field instead',
      'spec.volumes[0].cephfs: deprecated in v1.28, non-functional in v1.31+',
      'spec.volumes[1].storageOS: deprecated in v1.22, non-functional in v1.25+',
      'metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead',
    ],
  ],
  [
    'what stands twice, and parts of bytes',
    {
      spec: {
        hostAliases: [{ ip: '1.1.1.1' }, { ip: '1.1.1.1' }],
        imagePullSecrets: [{ name: 'a' }, { name: 'a' }, { name: '' }],
        terminationGracePeriodSeconds: -1,
        containers: [
          container({
            env: [
              { name: 'A', value: '1' },
              { name: 'A', value: '$(A)2' },
              { name: 'A', value: '3' },
            ],
            resources: { limits: { memory: '1500m' } },
            ports: [
              { containerPort: 80, protocol: 'TCP' },
              { containerPort: 80, protocol: 'TCP' },
              { containerPort: 80, protocol: 'TCP', hostPort: 1 },
            ],
          }),
        ],
      },
    },
    [
      'spec.hostAliases[1].ip: duplicate ip "1.1.1.1"',
      'spec.imagePullSecrets[1].name: duplicate name "a"',
      'spec.imagePullSecrets[2].name: invalid empty name ""',
      'spec.containers[0].resources.limits[memory]: fractional byte value "1500m" is invalid, must be an integer',
      'spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply',
      'spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]',
      'spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]',
      'spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[1]',
      'spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1',
    ],
  ],
])('a pod warns: %s', (_name, pod, want) => {
  expect(podWarnings(undefined, pod)).toEqual(want);
});

test('a template warns by its place, and on an update when the generation changed', () => {
  const metadata = { name: 'a.b', generation: 1 };
  const template = { spec: { containers: [], volumes: [{ name: 'g', gitRepo: { repository: 'r' } }] } };
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { template } };
  const at = FieldPath.of('spec', 'template');
  const said = [
    'spec.template.spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+',
  ];
  expect(templateWarnings(at, object, undefined)).toEqual(said);
  expect(templateWarnings(at, object, object)).toEqual([]);
  expect(templateWarnings(at, { ...object, metadata: { ...metadata, generation: 2 } }, object)).toEqual(said);
  expect(hostnameWarnings(object)).toEqual([
    expect.stringContaining('metadata.name: this is used in Pod names and hostnames, which can result in'),
  ]);
});
