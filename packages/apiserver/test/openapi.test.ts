/**
 * The OpenAPI documents: version 2 against the published document of 1.36, part by part; version 3 against the rules by
 * which the original makes it of the same; protobuf against the JSON; and how they are served.
 */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '@keelson/base';

import type { Handler } from '../src/api/exchange.ts';
import type { JsonObject } from '../src/api/json.ts';
import { withAccessResources } from '../src/bootstrap/access-resources.ts';
import { ProtobufReader } from '../src/codec/protobuf-wire.ts';
import { openApiHandlers, type OpenApiHandlers } from '../src/handlers/openapi.ts';
import { definitionName, NAMED } from '../src/openapi/definition-names.ts';
import { Definitions, nameOf, type CustomDefinitions } from '../src/openapi/definitions.ts';
import { pathItemV2 } from '../src/openapi/paths.ts';
import { PROSE } from '../src/openapi/prose/tables.ts';
import { ProseTable } from '../src/openapi/prose.ts';
import { basePath, resourceRoutes, type ResourceSource } from '../src/openapi/routes.ts';
import { versionSources } from '../src/openapi/sources.ts';
import { builtInResources } from '../src/registry/kinds/built-in.ts';
import type { ResourceDefinition } from '../src/registry/resource.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { ApiServer } from '../src/server.ts';
import { MemoryBackend } from '../src/storage/memory-storage.ts';
import { CONFIG_MAPS } from './small-server.ts';

type Tree = null | boolean | number | string | readonly Tree[] | { readonly [name: string]: Tree };
type Branch = { readonly [name: string]: Tree };

const PUBLISHED = path.join(import.meta.dirname, '../../../../shared/kubernetes/openapi-v2-1.36.json');
const published = existsSync(PUBLISHED)
  ? (JSON.parse(readFileSync(PUBLISHED, 'utf8')) as Record<'definitions' | 'parameters' | 'paths', Branch> &
      Branch)
  : undefined;

/** Without the texts for people: of the schema or operation itself, not a property that is called so. */
function bare(value: Tree, names = false): Tree {
  if (Array.isArray(value)) return value.map((item: Tree) => bare(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, inner]) => names || name !== 'description' || typeof inner !== 'string')
      .map(([name, inner]) => [name, bare(inner, name === 'properties' || name === 'definitions')]),
  );
}

/** Nobody is asked: the documents tell of the reviews, they do not answer them. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
const ACCESS = {
  access: { authorizer: {} },
  issuer: {},
} as unknown as Parameters<typeof withAccessResources>[1];

/** A server with the documents; the resources may change later. */
class Documented {
  readonly server: ApiServer;

  constructor(custom?: CustomDefinitions) {
    let serial = 0;
    let handlers: OpenApiHandlers | undefined;
    const later =
      (pick: (made: OpenApiHandlers) => Handler | undefined): Handler =>
      (request) =>
        pick((handlers ??= this.handlers(custom)))?.(request) ?? Promise.reject(new Error('no such handler'));
    this.server = new ApiServer({
      backend: new MemoryBackend({ clock: systemClock }),
      clock: systemClock,
      logger: silentLogger,
      uuid: () => `00000000-0000-4000-8000-${String((serial += 1)).padStart(12, '0')}`,
      random: (limit) => serial % limit,
      resources: (types) => withAccessResources(builtInResources(types), ACCESS),
      paths: new Map(
        ['/openapi/v2', '/openapi/v3'].map((name) => [name, later(({ paths }) => paths.get(name))]),
      ),
      prefixes: new Map([['/openapi/v3/', later(({ prefixes }) => prefixes.get('/openapi/v3/'))]]),
    });
  }

  private handlers(custom?: CustomDefinitions): OpenApiHandlers {
    const { scheme } = this.server;
    return openApiHandlers({ scheme, clock: systemClock, ...(custom === undefined ? {} : { custom }) });
  }

  async get(target: string, headers: Record<string, string> = {}) {
    const answer = await this.server.call(target, { headers });
    return { code: answer.code, headers: answer.headers, bytes: await answer.bytes() };
  }

  async json(target: string): Promise<Branch> {
    return JSON.parse((await this.get(target)).bytes.toString('utf8')) as Branch;
  }
}

const PROTOBUF_V2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const PROTOBUF_V3 = 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf';

let documented: Documented;
let v2: Record<'definitions' | 'parameters' | 'paths', Branch> & Branch;

beforeAll(async () => {
  documented = new Documented();
  v2 = (await documented.json('/openapi/v2')) as typeof v2;
});

afterAll(async () => {
  await documented.server.stop(1_000);
});

const besidePublished = published === undefined ? describe.skip : describe;

besidePublished('version 2 beside the published document (needs ../shared/kubernetes)', () => {
  const document = published ?? ({} as NonNullable<typeof published>);

  test('paths, operations, parameters and marks are the same', () => {
    const want = Object.fromEntries(Object.keys(v2.paths).map((name) => [name, bare(document.paths[name])]));
    const got = Object.fromEntries(Object.entries(v2.paths).map(([name, item]) => [name, bare(item)]));
    expect(got).toEqual(want);
  });

  test('no path of a resource that is served is missing', () => {
    const served = versionSources(documented.server.scheme.served()).flatMap((source) =>
      source.resources.flatMap(({ resource, subresources }) => [
        { base: basePath(source), resource, sub: '' },
        ...subresources.map(({ name }) => ({ base: basePath(source), resource, sub: name })),
      ]),
    );
    const names = new Set(served.map(({ base, resource, sub }) => `${base} ${resource} ${sub}`));
    const missing = Object.keys(document.paths).filter((name) => {
      const match =
        /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)(?:\/watch)?(?:\/namespaces\/\{namespace\})?\/(\w+)(?:\/\{name\})?(?:\/(\w+))?(?:\/\{path\})?$/.exec(
          name,
        );
      if (match === null) return false;
      const [, base, resource, sub = ''] = match;
      return names.has(`${base} ${resource} ${sub}`) && !(name in v2.paths);
    });
    expect(missing).toEqual([]);
    expect(Object.keys(v2.paths).length).toBeGreaterThan(370);
  });

  test('definitions are the same, those and no others that the paths lead to', () => {
    const names = new Set<string>();
    const open: Tree[] = [v2.paths, v2.parameters].map((part) => part);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (typeof at !== 'object' || at === null) continue;
      const reference = (at as Branch)['$ref'];
      const name = typeof reference === 'string' ? /^#\/definitions\/(.*)$/.exec(reference)?.[1] : undefined;
      if (name !== undefined && !names.has(name)) {
        names.add(name);
        open.push(document.definitions[name]);
      }
      open.push(...Object.values(at));
    }
    const sorted = [...names].toSorted();
    expect(Object.keys(v2.definitions).toSorted()).toEqual(sorted);
    const want = Object.fromEntries(sorted.map((name) => [name, bare(document.definitions[name])]));
    expect(bare(v2.definitions, true)).toEqual(want);
  });

  test('every definition of the document can be made, of types that are not served as well', () => {
    const types = new TypeTable();
    const definitions = new Definitions(types, new ProseTable([]), 'v2');
    const keys = new Map([...types.names(), ...Object.values(NAMED)].map((key) => [nameOf(key), key]));
    const made = Object.keys(document.definitions).map((name) => {
      const { schema } = definitions.define(keys.get(name) ?? name);
      return [name, bare(schema as Tree)];
    });
    expect(Object.fromEntries(made)).toEqual(bare(document.definitions, true));
  });

  test('the rest is the same', () => {
    const { paths: _paths, definitions: _definitions, parameters, ...rest } = v2;
    const { paths: _p, definitions: _d, parameters: known, ...want } = document;
    expect(bare(rest)).toEqual(bare(want));
    const shared = Object.fromEntries(Object.keys(parameters).map((name) => [name, bare(known[name])]));
    expect(bare(parameters, true)).toEqual(shared);
  });

  // Resources that are talked to or look things up, as the original serves them.
  const foreign: readonly (readonly [
    string,
    Partial<ResourceSource> & Pick<ResourceSource, 'kind' | 'resource'>,
    readonly string[],
  ])[] = [
    [
      'pods',
      { kind: 'Pod', resource: 'pods', namespaced: true },
      ['attach', 'exec', 'log', 'portforward', 'proxy'],
    ],
    ['services', { kind: 'Service', resource: 'services', namespaced: true }, ['proxy']],
    ['nodes', { kind: 'Node', resource: 'nodes', namespaced: false }, ['proxy']],
    [
      'component statuses',
      { kind: 'ComponentStatus', resource: 'componentstatuses', namespaced: false, verbs: ['get', 'list'] },
      [],
    ],
  ];

  test.each(foreign)('what nodes answer is described alike: %s', (_name, source, subresources) => {
    const definitions = new Definitions(new TypeTable(), new ProseTable([]), 'v2');
    const own = { group: '', version: 'v1', kind: source.kind };
    const routes = resourceRoutes({
      ...own,
      namespaced: true,
      verbs: [],
      content: `core.v1.${source.kind}`,
      listContent: `core.v1.${source.kind}List`,
      returnsDeletedObject: false,
      subresources: subresources.map((name) => ({ name, verbs: ['get'], kind: own, content: 'core.v1.Pod' })),
      custom: false,
      ...source,
    });
    const items = [...routes].map((route): [string, Tree] => [
      route.path,
      bare(pathItemV2(route, definitions) as Tree),
    ]);
    expect(items.length).toBeGreaterThan(1);
    const got = Object.fromEntries(items);
    const want = Object.fromEntries(items.map(([name]) => [name, bare(document.paths[name])]));
    expect(got).toEqual(want);
  });
});

describe('version 3', () => {
  /** Version 3 of a schema or operation, by the rules, told back in the words of version 2. */
  function asV2(value: Tree, key = ''): Tree {
    if (typeof value === 'string') return value.replace('#/components/schemas/', '#/definitions/');
    if (Array.isArray(value)) return value.map((item: Tree) => asV2(item));
    if (typeof value !== 'object' || value === null) return value;
    const { allOf, default: _default, enum: _enum, ...rest } = value as Branch;
    const names = key === 'properties';
    const own = names ? (value as Branch) : rest;
    const wrapped = names ? undefined : (allOf as readonly Branch[] | undefined);
    expect(wrapped?.length ?? 1).toBe(1);
    return Object.fromEntries(
      Object.entries({ ...own, ...wrapped?.[0] }).map(([name, inner]) => [
        name,
        asV2(inner, names ? '' : name),
      ]),
    );
  }

  test('has a document for each group version, group and server document', async () => {
    const { paths } = (await documented.json('/openapi/v3')) as { paths: Branch };
    const names = Object.keys(paths);
    expect(names).toEqual(
      expect.arrayContaining(['api', 'api/v1', 'apis', 'apis/apps', 'apis/apps/v1', 'version']),
    );
    expect(names).toEqual(names.toSorted());
    for (const name of names) {
      const { serverRelativeURL } = paths[name] as { serverRelativeURL: string };
      expect(serverRelativeURL).toMatch(new RegExp(`^/openapi/v3/${name}\\?hash=[0-9A-F]{128}$`));
    }
  });

  test('says what version 2 says, definition by definition and operation by operation', async () => {
    const { paths } = (await documented.json('/openapi/v3')) as { paths: Branch };
    const differs = new Set<string>([NAMED.quantity, NAMED.intOrString]);
    const seenPaths = new Set<string>();
    const seenSchemas = new Set<string>();
    for (const name of Object.keys(paths)) {
      const document = (await documented.json(`/openapi/v3/${name}`)) as {
        components: { schemas: Branch };
        paths: Branch;
      };
      for (const [definition, schema] of Object.entries(document.components.schemas)) {
        seenSchemas.add(definition);
        if (differs.has(definition)) continue;
        expect([definition, asV2(schema)]).toEqual([definition, v2.definitions[definition]]);
      }
      for (const [route, item] of Object.entries(document.paths)) {
        seenPaths.add(route);
        const { parameters: common = [], ...operations } = v2.paths[route] as {
          parameters?: readonly Branch[];
        } & Branch;
        const { parameters: ours = [], ...own } = item as { parameters?: readonly Branch[] } & Branch;
        const named = (list: readonly Branch[]) => list.map((one) => one['name'] ?? nameOfShared(one));
        expect(named(ours)).toEqual(named(common));
        expect(Object.keys(own)).toEqual(Object.keys(operations));
        for (const [method, operation] of Object.entries(own)) {
          const want = operations[method] as Branch;
          const got = operation as Branch;
          for (const member of [
            'operationId',
            'tags',
            'x-kubernetes-action',
            'x-kubernetes-group-version-kind',
          ]) {
            expect(got[member]).toEqual(want[member]);
          }
          expect(Object.keys(got['responses'] as Branch)).toEqual(Object.keys(want['responses'] as Branch));
          const [answer] = Object.values(got['responses'] as Branch) as readonly { content?: Branch }[];
          expect(Object.keys(answer.content ?? {})).toEqual([...(want['produces'] as string[])].toSorted());
          const body = got['requestBody'] as { content: Branch } | undefined;
          const names = named((want['parameters'] as readonly Branch[] | undefined) ?? []);
          expect(body !== undefined).toBe(names.includes('body'));
          if (body !== undefined) {
            expect(Object.keys(body.content)).toEqual([...(want['consumes'] as string[])].toSorted());
          }
          expect(named((got['parameters'] as readonly Branch[] | undefined) ?? [])).toEqual(
            names.filter((one) => one !== 'body'),
          );
        }
      }
    }
    expect([...seenPaths].toSorted()).toEqual(Object.keys(v2.paths).toSorted());
    expect([...seenSchemas].toSorted()).toEqual(Object.keys(v2.definitions).toSorted());
  });

  function nameOfShared(parameter: Branch): Tree {
    const reference = parameter['$ref'];
    const name = typeof reference === 'string' ? reference.slice('#/parameters/'.length) : '';
    return (v2.parameters[name] as Branch)['name'];
  }

  test.each<[string, string, string, Branch]>([
    [
      'a struct',
      'apps.v1.Deployment',
      'spec',
      { allOf: [{ $ref: ref('apps.v1.DeploymentSpec') }], default: {} },
    ],
    [
      'a pointer to a struct',
      'apps.v1.DeploymentSpec',
      'selector',
      { allOf: [{ $ref: ref('meta.v1.LabelSelector') }] },
    ],
    ['a text that is always written', 'core.v1.Container', 'name', { type: 'string', default: '' }],
    [
      'a default of the API',
      'core.v1.ContainerPort',
      'protocol',
      { default: 'TCP', enum: ['SCTP', 'TCP', 'UDP'] },
    ],
    [
      'a number that is always written',
      'core.v1.ContainerPort',
      'containerPort',
      { default: 0, format: 'int32' },
    ],
    [
      'values of a list',
      'core.v1.PersistentVolumeClaimSpec',
      'accessModes',
      {
        items: {
          type: 'string',
          default: '',
          enum: ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'],
        },
      },
    ],
    [
      'items of a list',
      'core.v1.PodSpec',
      'containers',
      {
        items: { allOf: [{ $ref: ref('core.v1.Container') }], default: {} },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        'x-kubernetes-patch-merge-key': 'name',
        'x-kubernetes-patch-strategy': 'merge',
      },
    ],
    [
      'a map of texts',
      'core.v1.ConfigMap',
      'data',
      { additionalProperties: { type: 'string', default: '' } },
    ],
    [
      'a map of quantities',
      'core.v1.ResourceRequirements',
      'limits',
      {
        additionalProperties: { $ref: `#/components/schemas/${NAMED.quantity}` },
      },
    ],
    [
      'a time, which has no default',
      'meta.v1.ObjectMeta',
      'creationTimestamp',
      {
        allOf: [{ $ref: `#/components/schemas/${NAMED.time}` }],
      },
    ],
    ['two strategies', 'core.v1.PodSpec', 'volumes', { 'x-kubernetes-patch-strategy': 'merge,retainKeys' }],
  ])('%s', (_name, type, field, want) => {
    const { schema } = new Definitions(new TypeTable(), new ProseTable(PROSE), 'v3').define(type);
    const properties = (schema as Branch)['properties'] as Branch;
    const got = properties[field] as Branch;
    expect(got).toMatchObject(want);
    if (!('default' in want)) expect(got).not.toHaveProperty('default');
  });

  function ref(type: string): string {
    return `#/components/schemas/${definitionName(type)}`;
  }

  test('unions of scalars', () => {
    const definitions = new Definitions(new TypeTable(), new ProseTable([]), 'v3');
    expect(definitions.define(NAMED.intOrString).schema).toEqual({
      format: 'int-or-string',
      oneOf: [{ type: 'integer' }, { type: 'string' }],
    });
    expect(definitions.define(NAMED.quantity).schema).toEqual({
      oneOf: [{ type: 'string' }, { type: 'number' }],
    });
  });
});

describe('protobuf', () => {
  /** Fields of a message by number, nested ones as their bytes. */
  function fieldsOf(bytes: Buffer): Map<number, Buffer[]> {
    const fields = new Map<number, Buffer[]>();
    const reader = new ProtobufReader(bytes);
    while (!reader.done) {
      const tag = reader.varint();
      const number = Math.floor(tag / 8);
      let value: Buffer;
      if (tag % 8 === 2) {
        const length = reader.varint();
        value = reader.bytes.subarray(reader.at, reader.at + length);
        reader.at += length;
      } else if (tag % 8 === 1) {
        value = reader.bytes.subarray(reader.at, reader.at + 8);
        reader.at += 8;
      } else {
        value = Buffer.from([reader.varint()]);
      }
      fields.set(number, [...(fields.get(number) ?? []), value]);
    }
    return fields;
  }

  function named(bytes: Buffer, field: number): Map<string, Buffer> {
    return new Map(
      (fieldsOf(bytes).get(field) ?? []).map((entry) => {
        const parts = fieldsOf(entry);
        return [parts.get(1)?.[0].toString('utf8') ?? '', parts.get(2)?.[0] ?? Buffer.alloc(0)];
      }),
    );
  }

  test('version 2 has the paths and definitions of the JSON', async () => {
    const { bytes, headers } = await documented.get('/openapi/v2', { accept: PROTOBUF_V2 });
    expect(headers.get('content-type')).toEqual([PROTOBUF_V2]);
    const document = fieldsOf(bytes);
    expect(document.get(1)?.[0].toString()).toBe('2.0');
    expect([...named(document.get(8)?.[0] ?? Buffer.alloc(0), 2).keys()].toSorted()).toEqual(
      Object.keys(v2.paths).toSorted(),
    );
    const schemas = named(document.get(9)?.[0] ?? Buffer.alloc(0), 1);
    expect([...schemas.keys()].toSorted()).toEqual(Object.keys(v2.definitions).toSorted());
    const podSpec = fieldsOf(schemas.get(definitionName('core.v1.PodSpec')) ?? Buffer.alloc(0));
    expect(podSpec.get(19)?.map(String)).toEqual(['containers']);
    const containers = fieldsOf(
      named(podSpec.get(25)?.[0] ?? Buffer.alloc(0), 1).get('containers') ?? Buffer.alloc(0),
    );
    const extensions = (containers.get(31) ?? []).map((entry) => {
      const parts = fieldsOf(entry);
      return [String(parts.get(1)?.[0]), String(fieldsOf(parts.get(2)?.[0] ?? Buffer.alloc(0)).get(2)?.[0])];
    });
    expect(Object.fromEntries(extensions)).toEqual({
      'x-kubernetes-list-map-keys': '["name"]\n',
      'x-kubernetes-list-type': '"map"\n',
      'x-kubernetes-patch-merge-key': '"name"\n',
      'x-kubernetes-patch-strategy': '"merge"\n',
    });
  });

  test('version 3 has them too, under the hash of the JSON', async () => {
    const json = await documented.get('/openapi/v3/apis/apps/v1');
    const { bytes, headers } = await documented.get('/openapi/v3/apis/apps/v1', {
      accept: 'application/com.github.proto-openapi.spec.v3@v1.0+protobuf',
    });
    expect(headers.get('content-type')).toEqual([PROTOBUF_V3]);
    expect(headers.get('etag')).toEqual(json.headers.get('etag'));
    const { paths, components } = JSON.parse(json.bytes.toString('utf8')) as {
      paths: Branch;
      components: { schemas: Branch };
    };
    const document = fieldsOf(bytes);
    expect(document.get(1)?.[0].toString()).toBe('3.0.0');
    expect([...named(document.get(4)?.[0] ?? Buffer.alloc(0), 1).keys()]).toEqual(Object.keys(paths));
    const [schemas] = fieldsOf(document.get(5)?.[0] ?? Buffer.alloc(0)).get(1) ?? [Buffer.alloc(0)];
    expect([...named(schemas, 1).keys()]).toEqual(Object.keys(components.schemas));
  });
});

describe('how they are served', () => {
  test('a tag that is known is answered with nothing else', async () => {
    const first = await documented.get('/openapi/v2');
    const [etag] = first.headers.get('etag') ?? [];
    expect(etag).toMatch(/^"[0-9A-F]{128}"$/);
    const again = await documented.get('/openapi/v2', { 'if-none-match': `"other", W/${etag}` });
    expect([again.code, again.bytes.length, again.headers.get('etag')]).toEqual([304, 0, [etag]]);
    const other = await documented.get('/openapi/v2', { 'if-none-match': '"other"' });
    expect(other.code).toBe(200);
  });

  test('compressed for whoever takes that', async () => {
    const plain = await documented.get('/openapi/v2', { 'accept-encoding': 'br' });
    const packed = await documented.get('/openapi/v2', { 'accept-encoding': 'br, gzip' });
    expect(plain.headers.has('content-encoding')).toBe(false);
    expect(packed.headers.get('content-encoding')).toEqual(['gzip']);
    expect(packed.headers.get('vary')).toEqual(['Accept', 'Accept-Encoding']);
    expect(gunzipSync(packed.bytes).equals(plain.bytes)).toBe(true);
    expect(packed.bytes.length * 5).toBeLessThan(plain.bytes.length);
  });

  test.each<[string, string, number, string]>([
    ['nothing said', '', 200, 'application/json'],
    ['anything', '*/*', 200, 'application/json'],
    ['the older spelling', 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf', 200, PROTOBUF_V2],
    ['the better of two', `application/json;q=0.8, ${PROTOBUF_V2}`, 200, PROTOBUF_V2],
    ['a picture', 'image/png', 406, 'text/plain; charset=utf-8'],
  ])('accepts %s', async (_name, accept, code, contentType) => {
    const answer = await documented.get('/openapi/v2', accept === '' ? {} : { accept });
    expect([answer.code, answer.headers.get('content-type')]).toEqual([code, [contentType]]);
  });

  test('with its hash a document may be kept for good; an old hash leads to the new one', async () => {
    const { paths } = (await documented.json('/openapi/v3')) as { paths: Branch };
    const { serverRelativeURL } = paths['apis/apps/v1'] as { serverRelativeURL: string };
    const kept = await documented.get(serverRelativeURL);
    expect(kept.headers.get('cache-control')).toEqual(['public, immutable']);
    const [expires] = kept.headers.get('expires') ?? [''];
    expect(Date.parse(expires) - Date.now()).toBeGreaterThan(364 * 86_400_000);
    const old = await documented.get('/openapi/v3/apis/apps/v1?hash=00');
    expect([old.code, old.headers.get('location')]).toEqual([301, [serverRelativeURL]]);
    const without = await documented.get('/openapi/v3/apis/apps/v1');
    expect(without.headers.get('cache-control')).toEqual(['no-cache, private']);
    expect((await documented.get('/openapi/v3/apis/none/v1')).code).toBe(404);
  });

  test('a change of one group version changes its document and version 2, and no other', async () => {
    const revisions = new Map([['com.example.stable.v1.CronTab', '1']]);
    const custom: CustomDefinitions = {
      define: (name) =>
        name === 'com.example.stable.v1.CronTab'
          ? {
              schema: {
                type: 'object',
                properties: { revision: { type: 'string', title: String(revisions.get(name)) } },
              },
              references: [],
            }
          : undefined,
      revision: (name) => revisions.get(name) ?? '',
    };
    const own = new Documented(custom);
    const { scheme } = own.server;
    const hashes = async (): Promise<Branch> => (await own.json('/openapi/v3'))['paths'] as Branch;
    const before = await hashes();
    const v2Before = (await own.get('/openapi/v2')).headers.get('etag');

    const definition: ResourceDefinition = {
      ...CONFIG_MAPS,
      group: 'stable.example.com',
      resource: 'crontabs',
      singular: 'crontab',
      kind: 'CronTab',
      shortNames: [],
      versions: [{ version: 'v1', typeName: '', schema: scheme.types.struct('core.v1.ConfigMap') }],
      backing: {
        kind: 'stored',
        keyPrefix: 'crontabs',
        version: { group: 'stable.example.com', version: 'v1' },
      },
    };
    scheme.add(definition);
    const {
      'apis/stable.example.com': group,
      'apis/stable.example.com/v1': first,
      ...others
    } = await hashes();
    expect(others).toEqual(before);
    expect(group).toBeDefined();
    const document = await own.json('/openapi/v3/apis/stable.example.com/v1');
    const paths = document['paths'] as Branch;
    expect(Object.keys(paths)).toEqual([
      '/apis/stable.example.com/v1/',
      '/apis/stable.example.com/v1/crontabs',
      '/apis/stable.example.com/v1/namespaces/{namespace}/crontabs',
      '/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}',
    ]);
    const { patch } = paths['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}'] as {
      patch: { operationId: string; requestBody: { content: JsonObject } };
    };
    expect(patch.operationId).toBe('patchStableExampleComV1NamespacedCronTab');
    expect(Object.keys(patch.requestBody.content)).not.toContain('application/strategic-merge-patch+json');
    const v2After = await own.get('/openapi/v2');
    expect(v2After.headers.get('etag')).not.toEqual(v2Before);
    expect(v2After.bytes.toString('utf8')).toContain('"com.example.stable.v1.CronTab":{');

    revisions.set('com.example.stable.v1.CronTab', '2');
    scheme.add(definition);
    const { 'apis/stable.example.com/v1': second, 'apis/stable.example.com': same, ...rest } = await hashes();
    expect(second).not.toEqual(first);
    expect([same, rest]).toEqual([group, before]);

    scheme.remove(definition);
    expect(await hashes()).toEqual(before);
    expect((await own.get('/openapi/v2')).headers.get('etag')).toEqual(v2Before);
    await own.server.stop(1_000);
  });
});
