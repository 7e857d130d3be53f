import { expect, test } from '@jest/globals';

import { negotiate, parseAccept } from '../api/accept.ts';
import { JsonFloat } from '../api/json.ts';
import { ApiError } from '../api/status.ts';
import { readEnvelope } from '../codec/envelope.ts';
import { ObjectCodec, typeName } from '../codec/object-codec.ts';
import { readYaml, writeYaml, YamlError } from '../codec/yaml.ts';
import { Health, PING } from '../handlers/health.ts';
import { discoveryCatalog, requestOf } from '../../test/http-fixtures.ts';
import {
  groupDiscoveryList,
  groupList,
  resourceList,
  storageVersionHash,
} from '../handlers/discovery-documents.ts';
import { TypeTable } from '../schema/type-table.ts';
import { decodeBody, type FieldValidation } from './decode-body.ts';
import { answerForm, bodyForm, isForPeople } from './negotiate.ts';
import { WatchFrames } from './watch-frames.ts';

const codec = new ObjectCodec(new TypeTable());
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';

test.each<[string, string, string[]]>([
  ['by quality', 'a/b;q=0.1, c/d, e/f;q=0.5', ['c/d', 'e/f', 'a/b']],
  [
    'stars last among equals',
    '*/*, application/*, application/json',
    ['application/json', 'application/*', '*/*'],
  ],
  ['the order given among equals', 'b/b, a/a', ['b/b', 'a/a']],
  ['what is no range is left out', 'nonsense, a/b/c, *, x/y', ['x/y', '*/*']],
])('Accept: %s', (_name, text, want) => {
  expect(parseAccept(text).map(({ type, subtype }) => `${type}/${subtype}`)).toEqual(want);
});

test.each<[string, string | undefined, { watch?: boolean; table?: boolean; protobuf?: boolean }, string]>([
  ['nothing said', undefined, {}, 'json object '],
  ['kubectl get', `${TABLE},application/json`, { table: true }, 'json Table v1'],
  ['kubectl get of what has no table', `${TABLE},application/json`, {}, 'json object '],
  ['client-go', 'application/vnd.kubernetes.protobuf,application/json', {}, 'protobuf object '],
  [
    'client-go on a custom resource',
    'application/vnd.kubernetes.protobuf,application/json',
    { protobuf: false },
    'json object ',
  ],
  [
    'metadata of a custom resource',
    'application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    { protobuf: false, table: true },
    'protobuf PartialObjectMetadataList v1',
  ],
  [
    'no table in protobuf',
    'application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/yaml',
    { table: true },
    'yaml object ',
  ],
  ['anything', '*/*', {}, 'json object '],
  ['a watch', 'application/vnd.kubernetes.protobuf;stream=watch', { watch: true }, 'protobuf object '],
])('form: %s', (_name, accept, offer, want) => {
  const form = answerForm(requestOf(accept === undefined ? {} : { accept }), {
    watch: false,
    table: false,
    ...offer,
  });
  expect(`${form.media} ${form.as} ${form.version}`).toBe(want);
});

test('what is not served is refused with what is', () => {
  const refused = (accept: string, watch: boolean) => {
    try {
      answerForm(requestOf({ accept }), { watch, table: false });
      return '';
    } catch (error) {
      return error instanceof ApiError ? `${error.code} ${error.message}` : String(error);
    }
  };
  expect(refused('text/html', false)).toBe(
    '406 only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf',
  );
  expect(refused('application/yaml', true)).toBe(
    '406 only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch',
  );
  expect(() => bodyForm(new Map([['content-type', ['text/plain']]]))).toThrow(
    'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
  );
  expect(bodyForm(new Map([['content-type', ['application/yaml; charset=utf-8']]]))).toBe('yaml');
  expect(negotiate('a/b', ['a/b'], () => false)).toBeUndefined();
});

test.each<[string, Record<string, string>, string, boolean]>([
  ['curl', { 'user-agent': 'curl/8.5.0' }, '', true],
  ['curl that does not want it', { 'user-agent': 'curl/8.5.0' }, 'pretty=false', false],
  ['a browser', { 'user-agent': 'Mozilla/5.0 (X11)' }, '', true],
  ['kubectl', { 'user-agent': 'kubectl/v1.33.1' }, '', false],
  ['kubectl that wants it', { 'user-agent': 'kubectl/v1.33.1' }, 'pretty=true', true],
])('line breaks for people: %s', (_name, headers, query, want) => {
  expect(isForPeople(requestOf(headers, query))).toBe(want);
});

test.each<[string, string, unknown]>([
  ['words of YAML 1.1', 'a: yes\nb: off\nc: ~\nd: "yes"', { a: true, b: false, c: null, d: 'yes' }],
  ['numbers', 'a: 0777\nb: 0x1F\nc: 1.0\nd: 1e3\ne: -5', { a: 511, b: 31, c: 1, d: 1000, e: -5 }],
  ['64 bits', 'a: 9007199254740993', { a: 9007199254740993n }],
  ['times and base 60 stay text', 'a: 2001-01-01\nb: 12:30:45', { a: '2001-01-01', b: '12:30:45' }],
  ['keys become text', '1: a\ntrue: b', { '1': 'a', true: 'b' }],
  ['merges', 'x: &x {a: 1, b: 2}\nz:\n  <<: *x\n  b: 3', { x: { a: 1, b: 2 }, z: { a: 1, b: 3 } }],
  ['the first document', 'a: 1\n---\nb: 2', { a: 1 }],
  ['blocks', 'a: |\n  b\n  c\n', { a: 'b\nc\n' }],
  ['JSON', '{"a":1.0}', { a: new JsonFloat(1) }],
])('YAML: %s', (_name, text, want) => {
  expect(readYaml(text)).toEqual(want);
});

test('YAML: a repeated key is told with its line, the last one counts', () => {
  let told = '';
  expect(readYaml('a: 1\nb:\n  c: 2\n  c: 3\na: 4\n', { duplicates: (text) => (told = text) })).toEqual({
    a: 4,
    b: { c: 3 },
  });
  expect(told).toBe(
    'yaml: unmarshal errors:\n  line 4: key "c" already set in map\n  line 5: key "a" already set in map',
  );
});

test.each<[string, string, string]>([
  ['aliases of aliases', bomb(), 'yaml: document contains excessive aliasing'],
  ['an alias of itself', 'a: &a\n  b: *a\n', 'yaml: exceeded max depth'],
  ['depth', '['.repeat(50_000), 'yaml: exceeded max depth'],
  ['lists on one line', '- '.repeat(50_000), 'yaml: exceeded max depth'],
  ['infinity', 'a: .inf', 'json: unsupported value: +Inf'],
  ['a map as a key', '? {a: 1}\n: 2\n', 'yaml: unsupported map key'],
])('YAML that is refused: %s', (_name, text, want) => {
  expect(() => readYaml(text)).toThrow(new YamlError(want));
});

function bomb(): string {
  const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let index = 1; index < 12; index += 1) {
    lines.push(
      `a${index}: &a${index} [${Array(10)
        .fill(`*a${index - 1}`)
        .join(',')}]`,
    );
  }
  return lines.join('\n');
}

test('YAML is written with sorted keys, and what would be read as another thing in quotes', () => {
  expect(
    writeYaml({ b: [{ y: 'true', x: 1 }], a: 'on', n: '123', s: 'one\ntwo\n', e: '', l: [], m: {} }),
  ).toBe('a: "on"\nb:\n- x: 1\n  "y": "true"\ne: ""\nl: []\nm: {}\n"n": "123"\ns: |\n  one\n  two\n');
});

const DEPLOYMENT = { group: 'apps', version: 'v1', kind: 'Deployment' };

function decoded(text: string, form: 'json' | 'yaml', validation: FieldValidation): string {
  const warnings: string[] = [];
  try {
    const expected = { kind: DEPLOYMENT, schema: codec.typeOf(DEPLOYMENT) };
    const object = decodeBody(codec, Buffer.from(text), form, expected, validation, (told) =>
      warnings.push(told),
    );
    return [`${object.apiVersion} ${object.kind} ${object.metadata.name ?? ''}`, ...warnings].join(' | ');
  } catch (error) {
    return error instanceof ApiError ? `${error.code} ${error.message}` : String(error);
  }
}

test.each<[string, string, 'json' | 'yaml', FieldValidation, string]>([
  ['kind and version left out', '{"metadata":{"name":"a"}}', 'json', 'Strict', 'apps/v1 Deployment a'],
  ['YAML', 'metadata:\n  name: a\n', 'yaml', 'Strict', 'apps/v1 Deployment a'],
  [
    'unknown and repeated fields, strict',
    '{"metadata":{"name":"a"},"spec":{"foo":1,"replicas":1,"replicas":2}}',
    'json',
    'Strict',
    '400 Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.foo", duplicate field "spec.replicas"',
  ],
  [
    'unknown fields, warned of in the order of the text',
    '{"zzz":1,"metadata":{"name":"a"},"spec":{"foo":1},"aaa":1}',
    'json',
    'Warn',
    'apps/v1 Deployment a | unknown field "zzz" | unknown field "spec.foo" | unknown field "aaa"',
  ],
  [
    'unknown fields, ignored',
    '{"metadata":{"name":"a"},"foo":1,"foo":2}',
    'json',
    'Ignore',
    'apps/v1 Deployment a',
  ],
  [
    'a repeated key of YAML',
    'metadata:\n  name: a\n  name: b\n',
    'yaml',
    'Strict',
    '400 Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: yaml: unmarshal errors:\n  line 3: key "name" already set in map',
  ],
  [
    'another version',
    '{"apiVersion":"apps/v1beta1","kind":"Deployment"}',
    'json',
    'Warn',
    '400 the API version in the data (apps/v1beta1) does not match the expected API version (apps/v1)',
  ],
  [
    'a kind nobody knows',
    '{"apiVersion":"apps/v1","kind":"Foo"}',
    'json',
    'Warn',
    '400 Foo in version "v1" cannot be handled as a Deployment: no kind "Foo" is registered for version "apps/v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
  ],
  [
    'another type',
    '{"spec":{"replicas":"3"}}',
    'json',
    'Warn',
    '400 Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
  ],
  [
    'no JSON',
    '{"spec":',
    'json',
    'Warn',
    '400 the object provided is unrecognized (must be of type Deployment): couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"spec":)',
  ],
  [
    'nothing at all',
    '',
    'json',
    'Warn',
    "400 the object provided is unrecognized (must be of type Deployment): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
  ],
])('body: %s', (_name, text, form, validation, want) => {
  expect(decoded(text, form, validation)).toBe(want);
});

test('body: protobuf in its envelope', () => {
  const kind = { group: '', version: 'v1', kind: 'ConfigMap' };
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { k: 'v' } };
  const bytes = codec.envelope(object);
  if (bytes === undefined) throw new Error('a ConfigMap has a protobuf form');
  const expected = { kind, schema: codec.typeOf(kind) };
  const read = decodeBody(codec, bytes, 'protobuf', expected, 'Strict', () => {});
  expect(read).toEqual(object);
  expect(() => decodeBody(codec, Buffer.from('{}'), 'protobuf', expected, 'Warn', () => {})).toThrow(
    'the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({})',
  );
});

test('a custom group that begins like a built-in one has no type of it', () => {
  expect(
    codec.table.has(typeName({ group: 'policy.networking.k8s.io', version: 'v1', kind: 'Eviction' })),
  ).toBe(false);
  expect(typeName({ group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'Role' })).toBe('rbac.v1.Role');
});

test('frames of a watch are made once for an object', () => {
  const frames = new WatchFrames(codec);
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } };
  const event = { type: 'ADDED', object } as const;
  expect(frames.line(event).toString()).toBe(
    '{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}}\n',
  );
  expect(frames.line(event)).toBe(frames.line(event));
  const given = { ...event, object: { ...object }, json: Buffer.from('{"x":1}\n') };
  expect(frames.line(given).toString()).toBe('{"type":"ADDED","object":{"x":1}}\n');
  const frame = frames.frame(event);
  expect(frame.readUInt32BE(0)).toBe(frame.length - 4);
  const start = frame.indexOf('k8s\0', 0, 'latin1');
  expect(readEnvelope(frame.subarray(start))).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
});

test('hashes of how things are stored are those Kubernetes says', () => {
  expect(storageVersionHash({ group: '', version: 'v1', kind: 'Pod' })).toBe('xPOwRZ+Yhw8=');
  expect(storageVersionHash({ group: 'apps', version: 'v1', kind: 'Deployment' })).toBe('8aSe+NMegvE=');
});

test('discovery, older and aggregated', () => {
  const groups = discoveryCatalog.groups();
  expect(groupList(groups)).toEqual({
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [
      {
        name: 'apps',
        versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
        preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
      },
      {
        name: 'example.com',
        versions: [{ groupVersion: 'example.com/v2', version: 'v2' }],
        preferredVersion: { groupVersion: 'example.com/v2', version: 'v2' },
      },
    ],
  });
  const core = groups.find(({ name }) => name === '');
  if (core === undefined) throw new Error('no core group');
  const list = resourceList('', core.versions[0]);
  expect(list['apiVersion']).toBeUndefined();
  expect(list['resources']).toMatchObject([
    {
      name: 'configmaps',
      singularName: 'configmap',
      namespaced: true,
      kind: 'ConfigMap',
      shortNames: ['cm'],
    },
    { name: 'pods', kind: 'Pod', categories: ['all'], storageVersionHash: 'xPOwRZ+Yhw8=' },
    {
      name: 'pods/eviction',
      singularName: '',
      group: 'policy',
      version: 'v1',
      kind: 'Eviction',
      verbs: ['create'],
    },
    { name: 'pods/status', kind: 'Pod', verbs: ['get', 'patch', 'update'] },
  ]);
  expect(groupDiscoveryList('v2', [core])).toMatchObject({
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    items: [
      {
        metadata: {},
        versions: [
          {
            version: 'v1',
            freshness: 'Current',
            resources: [
              {
                resource: 'configmaps',
                scope: 'Namespaced',
                responseKind: { group: '', version: '', kind: 'ConfigMap' },
              },
              {
                resource: 'pods',
                subresources: [
                  {
                    subresource: 'eviction',
                    responseKind: { group: 'policy', version: 'v1', kind: 'Eviction' },
                  },
                  { subresource: 'status', responseKind: { group: '', version: '', kind: 'Pod' } },
                ],
              },
            ],
          },
        ],
      },
    ],
  });
});

test.each<[string, string, string, number, string]>([
  ['all is well', '/livez', '', 200, 'ok'],
  ['all is well, at length', '/livez', 'verbose', 200, '[+]ping ok\nlivez check passed\n'],
  ['one failed', '/readyz', '', 500, '[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n'],
  [
    'the one that failed is left out',
    '/readyz',
    'exclude=etcd&exclude=foo&verbose',
    200,
    '[+]ping ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for "foo"\nreadyz check passed\n',
  ],
  ['one alone', '/readyz/etcd', '', 500, 'internal server error: no leader\n'],
])('health: %s', async (_name, path, query, code, want) => {
  const health = new Health([
    PING,
    { name: 'etcd', endpoints: ['readyz'], check: () => Promise.resolve('no leader') },
  ]);
  const handler = health.handlerOf(path);
  if (handler === undefined) throw new Error('no such path');
  const response = await handler(requestOf({}, query));
  expect(response).toMatchObject({ kind: 'bytes', code });
  expect(response.kind === 'bytes' ? String(response.body) : '').toBe(want);
});
