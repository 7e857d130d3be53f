/** What kube-apiserver 1.36 says of strategic merges whose members are of another type. */

import { expect, test } from '@jest/globals';

import type { Json } from '../api/json.ts';
import { TypeTable } from '../schema/type-table.ts';
import { readJson } from './json-reader.ts';
import { restoreError } from './restored.ts';

const types = new TypeTable();

test.each<[type: string, merged: Json, text: string]>([
  ['core.v1.ConfigMap', { metadata: 'x' }, 'cannot restore struct from: string'],
  ['core.v1.ConfigMap', { metadata: { labels: 'x' } }, 'cannot restore map from string'],
  ['core.v1.ConfigMap', { metadata: { labels: { a: 5 } } }, 'cannot convert int64 to string'],
  ['core.v1.ConfigMap', { metadata: { labels: { a: true } } }, 'unrecognized type: string'],
  ['core.v1.ConfigMap', { metadata: { finalizers: { a: 1 } } }, 'cannot restore slice from map'],
  ['core.v1.ConfigMap', { data: 5 }, 'cannot restore map from int64'],
  ['core.v1.ConfigMap', { data: { a: 1.5 } }, 'unrecognized type: string'],
  ['core.v1.ConfigMap', { binaryData: { a: 5 } }, 'cannot restore slice from int64'],
  ['core.v1.ConfigMap', { immutable: 'x' }, 'unrecognized type: bool'],
  ['core.v1.ConfigMap', { immutable: 5 }, 'unrecognized type: bool'],
  ['core.v1.ConfigMap', { metadata: { generation: 'x' } }, 'unrecognized type: int64'],
  ['core.v1.ConfigMap', { metadata: { generation: 1.5 } }, 'cannot convert float64 to int64'],
  ['apps.v1.Deployment', { spec: 5 }, 'cannot restore struct from: int64'],
  ['apps.v1.Deployment', { spec: { replicas: 'x' } }, 'unrecognized type: int32'],
  ['apps.v1.Deployment', { spec: { replicas: 1.5 } }, 'cannot convert float64 to int32'],
  ['apps.v1.Deployment', { spec: { template: [] } }, 'cannot restore struct from: slice'],
  [
    'apps.v1.Deployment',
    { spec: { template: { spec: { restartPolicy: 5 } } } },
    'cannot convert int64 to v1.RestartPolicy',
  ],
  [
    'apps.v1.Deployment',
    { spec: { template: { spec: { containers: 'x' } } } },
    'cannot restore slice from string',
  ],
  [
    'apps.v1.Deployment',
    { spec: { template: { spec: { containers: [{ name: 'c', ports: [{ containerPort: 'x' }] }] } } } },
    'unrecognized type: int32',
  ],
  ['apps.v1.Deployment', { spec: { paused: 1 } }, 'unrecognized type: bool'],
  ['apps.v1.Deployment', { spec: { template: { spec: { hostNetwork: 'x' } } } }, 'unrecognized type: bool'],
])('%s %j: %s', (type, merged, text) => {
  expect(restoreError(types.struct(type), readJson(JSON.stringify(merged)))).toBe(text);
});

test('what fits, and what the reader of JSON knows better, is no error here', () => {
  const deployment = {
    spec: { replicas: 3, template: { spec: { containers: [{ name: 'c', resources: 5 }] } } },
  };
  const struct = types.struct('apps.v1.Deployment');
  expect(restoreError(struct, { metadata: { creationTimestamp: 5 } })).toBeUndefined();
  expect(restoreError(struct, deployment)).toBe('cannot restore struct from: int64');
  expect(restoreError(struct, { ...deployment, spec: { replicas: 3, template: null } })).toBeUndefined();
});
