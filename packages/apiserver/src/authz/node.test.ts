import { describe, expect, test } from '@jest/globals';

import type { KubeObject } from '../api/meta.ts';
import type { AuthorizationAttributes, UserInfo } from '../api/user-info.ts';
import { resourceAttributes } from './attributes.ts';
import { NodeAuthorizer } from './node-authorizer.ts';
import { NodeGraph } from './node-graph.ts';

const N1: UserInfo = { name: 'system:node:n1', uid: '', groups: ['system:nodes'], extra: {} };
const N2: UserInfo = { ...N1, name: 'system:node:n2' };

function pod(name: string, node: string, more: object = {}, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'red', ...metadata },
    spec: {
      nodeName: node,
      serviceAccountName: 'robot',
      imagePullSecrets: [{ name: 'pull' }],
      containers: [
        {
          envFrom: [{ configMapRef: { name: 'from' } }],
          env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'env', key: 'k' } } }],
        },
      ],
      volumes: [
        { name: 'a', secret: { secretName: 'mounted' } },
        { name: 'b', persistentVolumeClaim: { claimName: 'claim' } },
        { name: 'c', ephemeral: {} },
        { name: 'd', projected: { sources: [{ configMap: { name: 'projected' } }] } },
      ],
      ...more,
    },
  };
}

function world(): { readonly graph: NodeGraph; readonly nodes: NodeAuthorizer } {
  const graph = new NodeGraph();
  graph.putPod(pod('web', 'n1'));
  graph.putVolume({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'disk' },
    spec: {
      claimRef: { namespace: 'red', name: 'claim' },
      csi: { nodePublishSecretRef: { name: 'csi', namespace: 'storage' } },
    },
  });
  graph.putVolumeAttachment({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttachment',
    metadata: { name: 'va' },
    spec: { nodeName: 'n1' },
  });
  graph.putResourceSlice({
    apiVersion: 'resource.k8s.io/v1',
    kind: 'ResourceSlice',
    metadata: { name: 'slice' },
    spec: { nodeName: 'n1' },
  });
  return { graph, nodes: new NodeAuthorizer(graph) };
}

type Named = Partial<AuthorizationAttributes>;

describe('the node of a pod, and no other one', () => {
  test.each<[string, string, Named]>([
    ['secret of the environment', 'get', { resource: 'secrets', namespace: 'red', name: 'env' }],
    ['secret that is mounted', 'watch', { resource: 'secrets', namespace: 'red', name: 'mounted' }],
    ['secret to pull with', 'get', { resource: 'secrets', namespace: 'red', name: 'pull' }],
    ['secret of a volume', 'get', { resource: 'secrets', namespace: 'storage', name: 'csi' }],
    ['configmap', 'list', { resource: 'configmaps', namespace: 'red', name: 'from' }],
    ['projected configmap', 'get', { resource: 'configmaps', namespace: 'red', name: 'projected' }],
    ['claim', 'get', { resource: 'persistentvolumeclaims', namespace: 'red', name: 'claim' }],
    ['ephemeral claim', 'get', { resource: 'persistentvolumeclaims', namespace: 'red', name: 'web-c' }],
    ['volume', 'get', { resource: 'persistentvolumes', name: 'disk' }],
    ['attachment', 'get', { group: 'storage.k8s.io', resource: 'volumeattachments', name: 'va' }],
    [
      'token',
      'create',
      { resource: 'serviceaccounts', subresource: 'token', namespace: 'red', name: 'robot' },
    ],
    ['pod', 'get', { resource: 'pods', namespace: 'red', name: 'web' }],
    ['itself', 'get', { resource: 'nodes', name: 'n1' }],
    [
      'lease',
      'update',
      { group: 'coordination.k8s.io', resource: 'leases', namespace: 'kube-node-lease', name: 'n1' },
    ],
    ['slice', 'update', { group: 'resource.k8s.io', resource: 'resourceslices', name: 'slice' }],
    ['account', 'get', { resource: 'serviceaccounts', namespace: 'red', name: 'robot' }],
    ['CSINode', 'patch', { group: 'storage.k8s.io', resource: 'csinodes', name: 'n1' }],
    [
      'pods on it',
      'list',
      { resource: 'pods', fieldSelector: [{ field: 'spec.nodeName', operator: '=', value: 'n1' }] },
    ],
  ])('%s', (_name, verb, named) => {
    const { nodes } = world();
    expect(nodes.decide(resourceAttributes(N1, verb, named)).kind).toBe('allow');
    expect(nodes.decide(resourceAttributes(N2, verb, named)).kind).toBe('no-opinion');
  });
});

test.each<[string, string, Named, string]>([
  ['all secrets', 'list', { resource: 'secrets', namespace: 'red' }, 'No Object name found'],
  [
    'secrets of all namespaces',
    'list',
    { resource: 'secrets' },
    'can only read namespaced object of this type',
  ],
  [
    'a write',
    'update',
    { resource: 'secrets', namespace: 'red', name: 'env' },
    'can only read resources of this type',
  ],
  [
    'another secret',
    'get',
    { resource: 'secrets', namespace: 'red', name: 'x' },
    "no relationship found between node 'n1' and this object",
  ],
  ['all pods', 'list', { resource: 'pods' }, 'can only list/watch pods with spec.nodeName field selector'],
  ['all nodes', 'list', { resource: 'nodes' }, "node 'n1' cannot read all nodes, only its own Node object"],
  [
    'another node',
    'get',
    { resource: 'nodes', name: 'n3' },
    "node 'n1' cannot read 'n3', only its own Node object",
  ],
  ['the deletion of a node', 'delete', { resource: 'nodes', name: 'n1' }, ''],
  ['a log', 'get', { resource: 'pods', subresource: 'log', namespace: 'red', name: 'web' }, ''],
  [
    'all service accounts',
    'list',
    { resource: 'serviceaccounts', namespace: 'red' },
    'can only create tokens for individual service accounts',
  ],
  [
    'all slices',
    'list',
    { group: 'resource.k8s.io', resource: 'resourceslices' },
    'can only list/watch/deletecollection resourceslices with nodeName field selector',
  ],
  [
    'a proxied slice',
    'proxy',
    { group: 'resource.k8s.io', resource: 'resourceslices', name: 'slice' },
    'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
  ],
])('%s: %s is refused', (_name, verb, named, reason) => {
  const { nodes } = world();
  expect(nodes.decide(resourceAttributes(N1, verb, named))).toEqual({ kind: 'no-opinion', reason });
});

test('what goes is forgotten; mirror pods give nothing', () => {
  const { graph, nodes } = world();
  const secret = resourceAttributes(N1, 'get', { resource: 'secrets', namespace: 'red', name: 'env' });
  graph.putPod(pod('web', 'n1', { containers: [] }));
  expect(nodes.decide(secret).kind).toBe('no-opinion');
  graph.putPod(pod('web', 'n1'));
  expect(nodes.decide(secret).kind).toBe('allow');
  graph.remove('pod', 'red', 'web');
  expect(nodes.decide(secret).kind).toBe('no-opinion');
  graph.putPod(pod('static', 'n1', {}, { annotations: { 'kubernetes.io/config.mirror': 'x' } }));
  expect(nodes.decide(secret).kind).toBe('no-opinion');
});

test('static rules for the rest; nobody else', () => {
  const { nodes } = world();
  const services = (who: UserInfo): string =>
    nodes.decide(resourceAttributes(who, 'list', { resource: 'services' })).kind;
  expect(services(N1)).toBe('allow');
  expect(services({ ...N1, groups: [] })).toBe('no-opinion');
  expect(services({ ...N1, name: 'jane' })).toBe('no-opinion');
});

test('what nodes may do cannot be listed; of anybody else there is nothing to list', () => {
  const { nodes } = world();
  expect(nodes.rulesFor(N1)).toMatchObject({
    incomplete: true,
    errors: ['node authorizer does not support user rule resolution'],
  });
  expect(nodes.rulesFor({ ...N1, groups: [] })).toMatchObject({ incomplete: false, errors: [] });
});
