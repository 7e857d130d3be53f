import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from '@jest/globals';

import { factsModule } from '../../generate/facts.ts';
import { TypeTable } from './type-table.ts';
import type { FieldSchema, TypeSchema } from './type-schema.ts';

const table = new TypeTable();

function field(type: string, name: string): FieldSchema {
  const found = table.struct(type).fields.get(name);
  if (found === undefined) throw new Error(`${type} has no ${name}`);
  return found;
}

function describeType(type: TypeSchema): string {
  switch (type.kind) {
    case 'scalar':
      return type.scalar;
    case 'list':
      return `[${type.listType === 'atomic' ? '' : `${type.listType}${type.keys.join('+')} `}${describeType(type.element)}]`;
    case 'map':
      return `{${type.atomic ? 'atomic ' : ''}${describeType(type.value)}}`;
    case 'struct':
      return type.name;
    case 'untyped':
      return type.form;
  }
}

test.each<[string, string, string]>([
  ['core.v1.PodSpec', 'containers', '[mapname core.v1.Container]'],
  ['core.v1.PodSpec', 'nodeSelector', '{atomic string}'],
  ['core.v1.Container', 'ports', '[mapcontainerPort+protocol core.v1.ContainerPort]'],
  ['core.v1.ResourceRequirements', 'limits', '{quantity}'],
  ['core.v1.Secret', 'data', '{bytes}'],
  ['core.v1.Service', 'spec', 'core.v1.ServiceSpec'],
  ['core.v1.ServicePort', 'targetPort', 'intOrString'],
  ['core.v1.Volume', 'emptyDir', 'core.v1.EmptyDirVolumeSource'],
  ['meta.v1.ObjectMeta', 'finalizers', '[set string]'],
  ['meta.v1.ObjectMeta', 'creationTimestamp', 'time'],
  ['coordination.v1.LeaseSpec', 'renewTime', 'microTime'],
  ['authentication.v1.UserInfo', 'extra', '{[string]}'],
  ['apps.v1.ControllerRevision', 'data', 'raw'],
  ['apiextensions.v1.JSONSchemaProps', 'items', 'schemaOrArray'],
  ['apiextensions.v1.JSONSchemaProps', 'properties', '{apiextensions.v1.JSONSchemaProps}'],
  ['apiextensions.v1.JSONSchemaProps', 'maximum', 'float64'],
])('%s.%s is %s', (type, name, want) => {
  expect(describeType(field(type, name).type)).toBe(want);
});

test('marks of patches, pointers and defaults', () => {
  expect(field('core.v1.PodSpec', 'volumes')).toMatchObject({
    patchStrategy: 'merge',
    retainKeys: true,
    patchMergeKey: 'name',
  });
  expect(field('core.v1.Container', 'ports')).toMatchObject({ patchMergeKey: 'containerPort' });
  expect(field('apps.v1.DeploymentSpec', 'strategy')).toMatchObject({
    patchStrategy: 'replace',
    retainKeys: true,
  });
  expect(field('apps.v1.DeploymentSpec', 'replicas')).toMatchObject({ pointer: true, omitEmpty: true });
  expect(field('core.v1.ServicePort', 'protocol').default).toBe('TCP');
  expect(field('core.v1.AzureDiskVolumeSource', 'cachingMode').default).toBe('ReadWrite');
  expect(field('core.v1.ServicePort', 'port')).toMatchObject({ required: true, pointer: false, number: 3 });
  expect(table.struct('meta.v1.LabelSelector').atomic).toBe(true);
});

test('an inlined struct lies at its place in JSON and under its number in protobuf', () => {
  const volume = table.struct('core.v1.Volume');
  expect([...volume.fields.keys()].slice(0, 3)).toEqual(['name', 'hostPath', 'emptyDir']);
  expect(volume.own.map(({ name }) => name)).toEqual(['name']);
  expect(volume.inlined.map(({ number, type }) => [number, type.name])).toEqual([
    [2, 'core.v1.VolumeSource'],
  ]);
});

test('a type that holds itself is one node', () => {
  const schema = table.struct('apiextensions.v1.JSONSchemaProps');
  expect(field(schema.name, 'not').type).toBe(schema);
});

test('every type of the table can be taken apart', () => {
  let count = 0;
  for (const name of table.names()) {
    for (const each of table.struct(name).fields.values()) {
      expect(each.type.kind).toBeDefined();
      count += 1;
    }
  }
  expect(count).toBeGreaterThan(4_500);
});

const folder = path.join(import.meta.dirname, '../../../../../shared/kubernetes');

(existsSync(folder) ? test : test.skip)(
  'the table is what the generator makes of the published descriptions (needs ../shared/kubernetes)',
  () => {
    const read = (name: string): string => readFileSync(path.join(folder, name), 'utf8');
    const text = factsModule(
      read('go-fields-1.36.json'),
      read('protobuf-fields-1.36.json'),
      read('openapi-v2-1.36.json'),
    );
    expect(readFileSync(path.join(import.meta.dirname, 'gen/facts.ts'), 'utf8')).toBe(text);
  },
);
