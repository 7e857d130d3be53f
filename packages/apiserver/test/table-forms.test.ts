/** Tables and metadata as clients ask for them over the wire: which object stands behind a row, pages, refusals. */

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { member, smallServer, type SmallServer } from './small-server.ts';

const CM = '/api/v1/namespaces/default/configmaps';
const ONE_NAMED = `${CM}/a`;

function as(kind: string, version = 'v1'): Record<string, string> {
  return { accept: `application/json;as=${kind};v=${version};g=meta.k8s.io` };
}

let small: SmallServer;

beforeEach(async () => {
  small = smallServer({ resources: 'built-in' });
  for (const name of ['a', 'b', 'c']) {
    await small.ask('POST', CM, { metadata: { name, labels: { x: name } }, data: { k: 'v' } });
  }
});

afterEach(() => small.stop());

test.each([
  ['', 'PartialObjectMetadata'],
  ['?includeObject=Metadata', 'PartialObjectMetadata'],
  ['?includeObject=Object', 'ConfigMap'],
])('one object as a table%s', async (query, kind) => {
  const { json } = await small.ask('GET', `${ONE_NAMED}${query}`, undefined, as('Table'));
  expect(json.kind).toBe('Table');
  expect(json.metadata.resourceVersion).toMatch(/^\d+$/);
  expect(member(json, 'rows', '0', 'object', 'kind')).toBe(kind);
  expect(member(json, 'rows', '0', 'cells', '1')).toBe(1);
});

test('rows without their objects', async () => {
  const { json } = await small.ask('GET', `${CM}?includeObject=None`, undefined, as('Table'));
  expect(member(json, 'rows', '2', 'cells', '0')).toBe('c');
  expect(member(json, 'rows', '2', 'object')).toBeNull();
});

test('an includeObject nobody knows', async () => {
  const { code, json } = await small.ask('GET', `${CM}?includeObject=All`, undefined, as('Table'));
  expect([code, json['message']]).toEqual([
    400,
    `Unable to convert to Table as requested: includeObject: Invalid value: "All": must be 'Metadata', 'Object', 'None', or empty`,
  ]);
});

test('pages of a table', async () => {
  const first = await small.ask('GET', `${CM}?limit=2`, undefined, as('Table', 'v1beta1'));
  expect(first.json.apiVersion).toBe('meta.k8s.io/v1beta1');
  expect(member(first.json, 'rows', 'length')).toBe(2);
  expect(member(first.json, 'metadata', 'remainingItemCount')).toBe(1);
  const token = String(member(first.json, 'metadata', 'continue'));
  const rest = await small.ask('GET', `${CM}?limit=2&continue=${token}`, undefined, as('Table'));
  expect(member(rest.json, 'rows', '0', 'cells', '0')).toBe('c');
  expect(member(rest.json, 'metadata', 'continue')).toBeUndefined();
  expect(rest.json.metadata.resourceVersion).toBe(first.json.metadata.resourceVersion);
});

test('metadata of one, and of a page', async () => {
  const one = await small.ask('GET', ONE_NAMED, undefined, as('PartialObjectMetadata'));
  expect([one.json.kind, one.json.metadata.labels, one.json['data']]).toEqual([
    'PartialObjectMetadata',
    { x: 'a' },
    undefined,
  ]);
  const page = await small.ask('GET', `${CM}?limit=1`, undefined, as('PartialObjectMetadataList'));
  expect(page.json.kind).toBe('PartialObjectMetadataList');
  expect(member(page.json, 'metadata', 'remainingItemCount')).toBe(2);
});

test.each([
  [
    CM,
    'PartialObjectMetadata',
    'you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)',
  ],
  [
    ONE_NAMED,
    'PartialObjectMetadataList',
    'you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)',
  ],
])('%s is not %s', async (target, kind, message) => {
  const { code, json } = await small.ask('GET', target, undefined, as(kind));
  expect([code, json['reason'], json['message']]).toEqual([406, 'NotAcceptable', message]);
});

test.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
  '%s whose answer nobody could read changes nothing',
  async (method) => {
    const before = await small.ask('GET', CM);
    const target = method === 'POST' ? CM : ONE_NAMED;
    const type = method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {};
    const body =
      method === 'DELETE'
        ? undefined
        : { metadata: { name: method === 'POST' ? 'new' : 'a' }, data: { n: '1' } };
    const { code, json } = await small.ask(method, target, body, { accept: 'image/png', ...type });
    expect([code, json['reason']]).toEqual([406, 'NotAcceptable']);
    const after = await small.ask('GET', CM);
    expect(after.json).toEqual(before.json);
  },
);

test('what is refused is a Status, whatever was asked for', async () => {
  const { code, json } = await small.ask('GET', `${CM}/none`, undefined, as('Table'));
  expect([code, json.kind]).toEqual([404, 'Status']);
});

test('a scale has columns of its own, a status those of its parent', async () => {
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  await small.ask('POST', deployments, {
    metadata: { name: 'web' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  const scale = await small.ask('GET', `${deployments}/web/scale`, undefined, as('Table'));
  expect(member(scale.json, 'columnDefinitions', '1', 'name')).toBe('Desired');
  expect(member(scale.json, 'rows', '0', 'cells', '1')).toBe(2);
  const status = await small.ask('GET', `${deployments}/web/status`, undefined, as('Table'));
  expect(member(status.json, 'rows', '0', 'cells', '1')).toBe('0/2');
});
