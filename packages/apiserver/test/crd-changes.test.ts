/**
 * What counts as a change of a custom object, and what clients are told of versions and subresources that they should
 * not ask for: as kube-apiserver 1.36 answers the same requests.
 */

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { until } from '../../base/test/until.ts';
import type { Json, JsonObject } from '../src/api/json.ts';
import { answered, customServer, member, type SmallServer } from './small-server.ts';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const PATCH = { 'content-type': 'application/json-patch+json' };
const OPEN: JsonObject = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

let small: SmallServer;

beforeEach(async () => {
  small = await customServer();
});

afterEach(() => small.stop());

async function define(versions: readonly JsonObject[]): Promise<void> {
  const names = { plural: 'boxes', kind: 'Box' };
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'boxes.stable.example.com' },
    spec: { group: 'stable.example.com', scope: 'Namespaced', names, versions: [...versions] },
  };
  expect((await small.ask('POST', DEFINITIONS, crd)).code).toBe(201);
  await answered(
    () => small.ask('GET', boxes('v1')),
    ({ code }) => code === 200,
  );
}

function version(name: string, more: JsonObject = {}): JsonObject {
  const openAPIV3Schema = { type: 'object', properties: { spec: OPEN } };
  return { name, served: true, storage: name === 'v1', schema: { openAPIV3Schema }, ...more };
}

function boxes(name: string): string {
  return `/apis/stable.example.com/${name}/namespaces/default/boxes`;
}

function box(apiVersion: string, spec: Json): JsonObject {
  return { apiVersion: `stable.example.com/${apiVersion}`, kind: 'Box', metadata: { name: 'a' }, spec };
}

test.each<[string, Json, Json, number]>([
  ['an empty list that goes', { l: [] }, {}, 2],
  ['an empty list that comes', {}, { l: [] }, 2],
  ['an empty list that becomes null', { l: [] }, { l: null }, 2],
  ['an empty object that becomes null', { o: {} }, { o: null }, 2],
  ['a null that goes', { n: null }, {}, 2],
  ['another order of members', { a: 1, b: { c: [], d: null } }, { b: { d: null, c: [] }, a: 1 }, 1],
  ['another order of items', { l: [1, 2] }, { l: [2, 1] }, 2],
])('the generation after %s', async (_name, before, after, generation) => {
  await define([version('v1')]);
  expect((await small.ask('POST', boxes('v1'), box('v1', before))).code).toBe(201);
  const changes = [
    { op: 'replace', path: '/spec', value: after },
    { op: 'add', path: '/metadata/labels', value: { changed: 'yes' } },
  ];
  const patched = await small.ask('PATCH', `${boxes('v1')}/a`, changes, PATCH);
  expect([patched.code, member(patched.json, 'metadata', 'generation')]).toEqual([200, generation]);
});

test('whoever uses a deprecated version is told which to use', async () => {
  await define([
    version('v1alpha1', { deprecated: true }),
    version('v1beta1', { deprecated: true }),
    version('v1beta2'),
    version('v1'),
    version('v2', { served: false }),
    version('v3', { deprecated: true }),
    version('v4', { deprecated: true, deprecationWarning: 'Boxes are out' }),
  ]);
  const told = async (name: string): Promise<readonly string[]> =>
    (await small.ask('GET', boxes(name))).warnings;
  const use = '; use stable.example.com/v1 Box';
  expect(await told('v1alpha1')).toEqual([`299 - "stable.example.com/v1alpha1 Box is deprecated${use}"`]);
  expect(await told('v1beta1')).toEqual([`299 - "stable.example.com/v1beta1 Box is deprecated${use}"`]);
  expect(await told('v3')).toEqual(['299 - "stable.example.com/v3 Box is deprecated"']);
  expect(await told('v4')).toEqual(['299 - "Boxes are out"']);
});

test('a subresource that the definition does not have is as an object that is not there', async () => {
  await define([version('v1')]);
  const answer = await small.ask('GET', `${boxes('v1')}/a/status`);
  expect([answer.code, answer.json['message'], answer.json['details']]).toEqual([
    404,
    'boxes.stable.example.com "a" not found',
    { name: 'a', group: 'stable.example.com', kind: 'boxes' },
  ]);
});

test('version 2 of OpenAPI asks for no member that may be null, and keeps the type of a number or text that has one', async () => {
  const spec = {
    type: 'object',
    required: ['a', 'b'],
    properties: {
      a: { type: 'string', nullable: true },
      b: { type: 'string' },
      c: { type: 'object', required: ['d'], properties: { d: { type: 'string', nullable: true } } },
      e: { type: 'string', 'x-kubernetes-int-or-string': true },
    },
  };
  await define([version('v1', { schema: { openAPIV3Schema: { type: 'object', properties: { spec } } } })]);
  const told = async (): Promise<unknown> =>
    member(
      (await small.ask('GET', '/openapi/v2')).json,
      'definitions',
      'com.example.stable.v1.Box',
      'properties',
      'spec',
    );
  await until(async () => (await told()) !== undefined);
  expect(await told()).toEqual({
    type: 'object',
    required: ['b'],
    properties: {
      a: {},
      b: { type: 'string' },
      c: { type: 'object', properties: { d: {} } },
      e: { type: 'string', 'x-kubernetes-int-or-string': true },
    },
  });
});
