/** What a definition looks like in the store: as kube-apiserver 1.36 wrote these two, and back. */

import { expect, test } from '@jest/globals';

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { finish, type Pace } from '../api/sliced.ts';
import { ProtobufCodec } from '../codec/protobuf.ts';
import { TypeTable } from '../schema/type-table.ts';
import { builtInCodec } from '../storage/object-codec.ts';
import { WRITTEN } from './written-form.ts';

const types = new TypeTable();
const { as } = WRITTEN;
if (as === undefined) throw new Error('definitions are written in another version');
const kind = 'CustomResourceDefinition';
const written = {
  apiVersion: 'apiextensions.k8s.io/v1beta1',
  kind,
  struct: types.struct(as.typeName),
};
const schemaProps = types.struct('apiextensions.v1.JSONSchemaProps');
const protobuf = new ProtobufCodec(schemaProps);
const stored = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind,
  struct: types.struct('apiextensions.v1.CustomResourceDefinition'),
};
const codec = builtInCodec({
  protobuf,
  schemaProps,
  mediaType: 'json',
  stored,
  readable: [{ ...written, convert: as.read }],
  written: { ...written, make: as.write },
});

const ALWAYS: Pace = { due: () => true };
const names = { plural: 'zs', singular: 'z', kind: 'Z', listKind: 'ZList' };
const common = { group: 'zz.example', names, scope: 'Namespaced' };
const schema = {
  openAPIV3Schema: { type: 'object', properties: { n: { type: 'integer', default: 2, minimum: 1 } } },
};
const version = (name: string, rest: JsonObject = {}): JsonObject => ({
  name,
  served: true,
  storage: name === 'v1',
  ...rest,
});

const CASES: readonly (readonly [string, JsonObject, JsonObject])[] = [
  [
    'what versions say alike stands beside them once',
    {
      ...common,
      versions: [
        version('v1', {
          schema,
          subresources: { status: {} },
          additionalPrinterColumns: [{ name: 'N', type: 'integer', priority: 1, jsonPath: '.n' }],
          selectableFields: [{ jsonPath: '.n' }],
        }),
      ],
      conversion: { strategy: 'None' },
    },
    {
      group: 'zz.example',
      version: 'v1',
      names,
      scope: 'Namespaced',
      validation: schema,
      subresources: { status: {} },
      versions: [version('v1')],
      additionalPrinterColumns: [{ name: 'N', type: 'integer', priority: 1, JSONPath: '.n' }],
      selectableFields: [{ jsonPath: '.n' }],
      conversion: { strategy: 'None' },
      preserveUnknownFields: false,
    },
  ],
  [
    'what they say differently stays with them; a webhook is spelt otherwise',
    {
      ...common,
      versions: [
        version('v1', {
          schema,
          additionalPrinterColumns: [{ name: 'N', type: 'integer', jsonPath: '.n' }],
        }),
        version('v1beta1', { schema: { openAPIV3Schema: { type: 'object' } } }),
      ],
      conversion: {
        strategy: 'Webhook',
        webhook: {
          clientConfig: { service: { namespace: 'n', name: 's', path: '/c', port: 443 } },
          conversionReviewVersions: ['v1'],
        },
      },
      preserveUnknownFields: true,
    },
    {
      group: 'zz.example',
      version: 'v1',
      names,
      scope: 'Namespaced',
      versions: [
        version('v1', {
          schema,
          additionalPrinterColumns: [{ name: 'N', type: 'integer', JSONPath: '.n' }],
        }),
        version('v1beta1', { schema: { openAPIV3Schema: { type: 'object' } } }),
      ],
      conversion: {
        strategy: 'Webhook',
        webhookClientConfig: { service: { namespace: 'n', name: 's', path: '/c', port: 443 } },
        conversionReviewVersions: ['v1'],
      },
      preserveUnknownFields: true,
    },
  ],
];

test.each(CASES)('%s', (_name, spec, inStore) => {
  const object = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind,
    metadata: { name: 'zs.zz.example', resourceVersion: '7' },
    spec,
    status: { conditions: null, acceptedNames: { plural: '', kind: '' }, storedVersions: ['v1'] },
  } as unknown as KubeObject;
  const bytes = codec.encode(object);
  const lying = JSON.parse(bytes.toString('utf8')) as JsonObject;
  expect(lying['apiVersion']).toBe('apiextensions.k8s.io/v1beta1');
  expect(lying['spec']).toEqual(inStore);
  expect(codec.decode(bytes, '7')).toEqual(object);
  // One that is long is written the same.
  expect(codec.slices && finish(codec.slices.encode(object, ALWAYS)).equals(bytes)).toBe(true);
  expect(codec.slices && finish(codec.slices.decode(bytes, '7', ALWAYS))).toEqual(object);
});

test('what is written in another version is not known without reading it', () => {
  const binary = builtInCodec({ protobuf, schemaProps, stored, written: { ...written, make: as.write } });
  const object = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind,
    metadata: { name: 'zs.zz.example' },
    spec: { ...common, versions: [version('v1', { schema })] },
  } as unknown as KubeObject;
  expect(binary.reread?.(object, '7')).toBeUndefined();
  expect(binary.slices && finish(binary.slices.reread(object, '7', ALWAYS))).toBeUndefined();
  expect(binary.slices && finish(binary.slices.encode(object, ALWAYS)).equals(binary.encode(object))).toBe(
    true,
  );
});
