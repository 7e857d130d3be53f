/**
 * Lists of many objects are made in parts while they are sent. Whatever the form, the answer is what one list of all
 * objects would be, to the byte; and who takes gzip gets the same compressed.
 */
import { gunzipSync } from 'node:zlib';

import { afterEach, expect, test } from '@jest/globals';

import type { KubeObject } from '../src/api/meta.ts';
import { CONFIG_MAPS, PODS, smallServer, type SmallServer } from './small-server.ts';

/** More than one part, and not a whole number of them. */
const COUNT = 233;
const PROTOBUF = 'application/vnd.kubernetes.protobuf';

const servers: SmallServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function filled(): Promise<SmallServer> {
  const small = smallServer({ resources: [CONFIG_MAPS, PODS] });
  servers.push(small);
  for (let at = 0; at < COUNT; at++) {
    const name = `c-${String(at).padStart(3, '0')}`;
    const { code } = await small.ask('POST', '/api/v1/namespaces/default/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, labels: { parity: at % 2 === 0 ? 'even' : 'odd' } },
      data: { value: '<&>'.repeat(at) },
    });
    expect(code).toBe(201);
  }
  return small;
}

const PATH = '/api/v1/configmaps';
const PATHS = '/api/v1/namespaces/default/configmaps';
const MATCH = '&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
const NAMES = Array.from({ length: COUNT }, (_, at) => `c-${String(at).padStart(3, '0')}`);

function objectOf(bytes: Buffer): KubeObject {
  return JSON.parse(bytes.toString('utf8')) as KubeObject;
}

interface Listed {
  readonly code: number;
  readonly bytes: Buffer;
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

async function list(small: SmallServer, query: string, accept: string, encoding = ''): Promise<Listed> {
  const answer = await small.server.call(`${PATH}${query}`, {
    headers: { accept, ...(encoding === '' ? {} : { 'accept-encoding': encoding }) },
  });
  return { code: answer.code, bytes: await answer.bytes(), headers: answer.headers };
}

/** The same list page by page, each short enough to be made in one go: their items in order. */
async function pages(small: SmallServer, accept: string, items: 'items' | 'rows'): Promise<unknown[]> {
  const found: unknown[] = [];
  let token = '';
  do {
    const query = `?limit=8${token === '' ? '' : `&continue=${encodeURIComponent(token)}`}`;
    const { bytes } = await list(small, query, accept);
    const page = JSON.parse(bytes.toString('utf8')) as Record<string, unknown[]> & {
      metadata: { continue?: string };
    };
    found.push(...page[items]);
    token = page.metadata.continue ?? '';
  } while (token !== '');
  return found;
}

test.each<[string, string, 'items' | 'rows', string]>([
  ['objects', 'application/json', 'items', 'ConfigMapList'],
  ['a table', 'application/json;as=Table;v=v1;g=meta.k8s.io', 'rows', 'Table'],
  [
    'metadata alone',
    'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    'items',
    'PartialObjectMetadataList',
  ],
])('JSON, %s: the items of all pages in one list', async (_name, accept, items, kind) => {
  const small = await filled();
  const { code, bytes, headers } = await list(small, '', accept);
  const whole = JSON.parse(bytes.toString('utf8')) as Record<string, unknown> & { kind: string };
  expect([code, whole.kind, headers.get('content-type')]).toEqual([200, kind, ['application/json']]);
  expect(bytes.toString('utf8').endsWith(']}\n')).toBe(true);
  expect(whole['metadata']).toEqual({ resourceVersion: expect.stringMatching(/^\d+$/) });
  const found = whole[items] as unknown[];
  expect(found).toHaveLength(COUNT);
  expect(found).toEqual(await pages(small, accept, items));
});

test.each([
  ['objects', PROTOBUF],
  ['metadata alone', `${PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io`],
  ['metadata alone, v1beta1', `${PROTOBUF};as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io`],
])('protobuf, %s: the bytes of one list of all', async (_name, accept) => {
  const small = await filled();
  const { code, bytes } = await list(small, '', accept);
  expect(code).toBe(200);
  const json = await list(small, '', accept.replace(PROTOBUF, 'application/json'));
  expect(small.server.codec.envelope(objectOf(json.bytes))?.equals(bytes)).toBe(true);
  // Now the length of each item is known, and the list begins with the sum of them.
  await small.ask('PUT', `${PATHS}/c-007`, { metadata: { name: 'c-007' }, data: { value: 'y'.repeat(300) } });
  for (const count of [1, 2]) {
    const again = await list(small, '', accept);
    const now = await list(small, '', accept.replace(PROTOBUF, 'application/json'));
    expect([count, small.server.codec.envelope(objectOf(now.bytes))?.equals(again.bytes)]).toEqual([
      count,
      true,
    ]);
  }
});

test.each([
  ['objects', 'application/json'],
  ['a table', 'application/json;as=Table;v=v1;g=meta.k8s.io'],
  ['metadata alone', 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'],
])('for people, %s: the text of one list of all', async (_name, accept) => {
  const small = await filled();
  for (const query of ['', '?limit=30', '?labelSelector=parity%3Deven', '?limit=9', '?limit=3']) {
    const { bytes, headers } = await list(small, query, accept);
    const more = query === '' ? '?pretty=true' : `${query}&pretty=true`;
    const pretty = await list(small, more, accept);
    expect(pretty.headers.get('content-type')).toEqual(['application/json']);
    const text = pretty.bytes.toString('utf8');
    expect(text).toBe(small.server.codec.json(objectOf(bytes), true).toString('utf8'));
    const yaml = await list(small, query, accept.replace('json', 'yaml'));
    expect(yaml.headers.get('content-type')).toEqual(['application/yaml']);
    expect(yaml.bytes.toString('utf8')).toBe(small.server.codec.yaml(objectOf(bytes)).toString('utf8'));
    // What is short enough has its length said before, in whatever form.
    expect([headers.has('content-length'), pretty.headers.has('content-length')]).toEqual([
      query !== '',
      query !== '',
    ]);
  }
});

test.each([
  ['JSON', 'application/json'],
  ['a table', 'application/json;as=Table;v=v1;g=meta.k8s.io'],
])('a watch that begins with many, as %s: each of them, and the end of it', async (_name, accept) => {
  const small = await filled();
  const gone = new AbortController();
  const answer = await small.server.call(`${PATHS}?watch=1&sendInitialEvents=true${MATCH}`, {
    headers: { accept },
    signal: gone.signal,
  });
  let text = '';
  for await (const chunk of answer.chunks) {
    text += chunk.toString('utf8');
    if (text.includes('k8s.io/initial-events-end')) break;
  }
  gone.abort();
  const events = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; object: { metadata: { name: string } } });
  expect(events.map(({ type }) => type)).toEqual([
    ...Array.from({ length: COUNT }, () => 'ADDED'),
    'BOOKMARK',
  ]);
  if (accept === 'application/json') {
    expect(events.slice(0, COUNT).map(({ object }) => object.metadata.name)).toEqual(NAMES);
  }
});

test('who takes gzip gets the same list compressed', async () => {
  const small = await filled();
  const plain = await list(small, '', 'application/json');
  const { bytes, headers } = await list(small, '', 'application/json', 'gzip');
  expect([headers.get('content-encoding'), headers.get('vary')]).toEqual([['gzip'], ['Accept-Encoding']]);
  expect(gunzipSync(bytes).equals(plain.bytes)).toBe(true);
});

test('what cannot be is refused before anything is sent', async () => {
  const small = await filled();
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const refused = await list(small, '?includeObject=Everything', table);
  expect([refused.code, refused.bytes.toString('utf8')]).toEqual([
    400,
    expect.stringContaining('Unable to convert to Table as requested'),
  ]);
  const single = await list(small, '', 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io');
  expect(single.code).toBe(406);
});

test('a selection of many is made in parts as well', async () => {
  const small = await filled();
  const { bytes } = await list(small, '?labelSelector=parity', 'application/json');
  const { items } = JSON.parse(bytes.toString('utf8')) as { items: { metadata: { name: string } }[] };
  expect(items.map(({ metadata }) => metadata.name)).toEqual(NAMES);
});
