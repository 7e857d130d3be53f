/**
 * Owners of fields that a client wants to be forgotten: `metadata.managedFields` as an empty list, or as a list of one empty
 * entry, in each kind of write. Modelled on kubernetes' test/integration/apiserver/apply TestClearManagedFields….
 */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { Json } from '../src/api/json.ts';
import { answered, smallServer, type Answer, type SmallServer } from './small-server.ts';

const AT = '/api/v1/namespaces/default/configmaps';
const CUSTOM = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'notes.example.com' },
  spec: {
    group: 'example.com',
    names: { kind: 'Note', plural: 'notes' },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

let small: SmallServer;

beforeEach(() => {
  small = smallServer({ resources: 'built-in' });
});

afterEach(() => small.stop());

function owners({ code, json }: Answer): unknown {
  return [code, json.metadata.managedFields?.map(({ manager }) => manager)];
}

function configMap(data: Json, managedFields?: Json): object {
  const fields = managedFields === undefined ? {} : { managedFields };
  return { metadata: { name: 'a', ...fields }, data };
}

function patched(value: Json, type: string): Promise<Answer> {
  const body =
    type === 'json-patch+json'
      ? [{ op: 'replace', path: '/metadata/managedFields', value }]
      : { metadata: { managedFields: value } };
  return small.ask('PATCH', `${AT}/a`, body, { 'content-type': `application/${type}` });
}

describe.each<[string, Json]>([
  ['an empty list', []],
  ['an empty entry', [{}]],
])('%s', (_name, value) => {
  test('of a new object says nothing', async () => {
    expect(owners(await small.ask('POST', AT, configMap({ x: '1' }, value)))).toEqual([201, ['test']]);
  });

  test.each<[string, Json]>([
    ['the same', { x: '1' }],
    ['changed', { x: '2' }],
  ])(
    'in an update of an object that is %s forgets them, and later updates name none',
    async (_name2, data) => {
      await small.ask('POST', AT, configMap({ x: '1' }));
      expect(owners(await small.ask('PUT', `${AT}/a`, configMap(data, value)))).toEqual([200, undefined]);
      expect(owners(await small.ask('PUT', `${AT}/a`, configMap({ x: '3' })))).toEqual([200, undefined]);
      expect(owners(await small.ask('GET', `${AT}/a`))).toEqual([200, undefined]);
    },
  );

  test.each(['merge-patch+json', 'json-patch+json', 'strategic-merge-patch+json'])(
    'in a %s forgets them',
    async (type) => {
      await small.ask('POST', AT, configMap({ x: '1' }));
      expect(owners(await patched(value, type))).toEqual([200, undefined]);
    },
  );

  test('in YAML forgets them', async () => {
    await small.ask('POST', AT, configMap({ x: '1' }));
    const yaml = `metadata:\n  name: a\n  managedFields: ${JSON.stringify(value)}\ndata:\n  x: "2"\n`;
    const headers = { 'content-type': 'application/yaml', 'content-length': String(yaml.length) };
    expect(owners(await small.ask('PUT', `${AT}/a`, yaml, headers))).toEqual([200, undefined]);
  });

  test('is not looked at in a subresource', async () => {
    const at = '/api/v1/namespaces/default';
    await small.ask('POST', '/api/v1/namespaces', { metadata: { name: 'default' } });
    const status = { metadata: { name: 'default', managedFields: value }, status: { phase: 'Active' } };
    const { code, json } = await small.ask('PUT', `${at}/status`, status);
    expect([code, json.metadata.managedFields?.length]).toEqual([200, 1]);
  });

  test('of a custom object forgets them', async () => {
    const notes = '/apis/example.com/v1/namespaces/default/notes';
    small.server.customResources?.start();
    const defined = await small.ask(
      'POST',
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
      CUSTOM,
    );
    expect([defined.code, defined.json['message']]).toEqual([201, undefined]);
    const note = { apiVersion: 'example.com/v1', kind: 'Note', metadata: { name: 'n' }, text: 'a' };
    const made = await answered(
      () => small.ask('POST', notes, note),
      ({ code }) => code !== 404,
    );
    expect(owners(made)).toEqual([201, ['test']]);
    const { resourceVersion = '' } = made.json.metadata;
    const metadata = { name: 'n', resourceVersion, managedFields: value };
    expect(owners(await small.ask('PUT', `${notes}/n`, { ...note, metadata }))).toEqual([200, undefined]);
  });
});

test('two empty entries forget nobody', async () => {
  await small.ask('POST', AT, configMap({ x: '1' }));
  expect(owners(await small.ask('PUT', `${AT}/a`, configMap({ x: '1' }, [{}, {}])))).toEqual([200, ['test']]);
});
