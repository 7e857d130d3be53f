import { expect, test } from '@jest/globals';

import type { KubeObject } from '../api/meta.ts';
import { TypeTable } from '../schema/type-table.ts';
import { BUILT_IN_DEFAULTS } from './built-in-defaults.ts';
import { Defaulter } from './defaulter.ts';

const types = new TypeTable();
const defaulter = new Defaulter(types, BUILT_IN_DEFAULTS);
const spec = {
  containers: [
    {
      name: 'web',
      image: 'web:1',
      ports: [{ containerPort: 80 }],
      env: [{ name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
      resources: { limits: { memory: '1Gi', cpu: '1' }, requests: { memory: '1Gi' } },
      readinessProbe: { httpGet: { path: '/', port: 80 } },
    },
  ],
  volumes: [{ name: 'config', configMap: { name: 'web' } }],
};

test.each<[string, KubeObject]>([
  ['core.v1.Pod', { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'it' }, spec }],
  [
    'apps.v1.Deployment',
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'it' },
      spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec } },
    },
  ],
])('%s lacks something once, and is given back as it is the second time', (typeName, object) => {
  const fill = defaulter.forType(typeName);
  const once = fill?.(object);
  expect(once).not.toBe(object);
  expect(once && fill?.(once)).toBe(once);
});
