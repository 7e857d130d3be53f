import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import { namesOf } from '../src/api/member-names.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE } from '../src/api/sliced.ts';
import { ApiError } from '../src/api/status.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { PATCHERS } from '../src/handlers/patch-kinds.ts';
import type { PatchKind } from '../src/handlers/patchers.ts';
import { canonicalJson } from '../src/patch/field-path.ts';
import { jsonPatch, JsonPatchError } from '../src/patch/json-patch.ts';
import { mergePatch } from '../src/patch/merge-patch.ts';
import { strategicMergePatch } from '../src/patch/strategic-merge.ts';
import { member, smallServer } from './small-server.ts';
import { frozen, outcomeOf, readPatchCases, typeOf, type PatchCase } from './patch-cases.ts';

type Patch = (given: PatchCase) => Json;

/** By folder: what it tests, and what its cases cover; a rule without a case, or an unknown one, is a mistake. */
const FOLDERS: readonly [string, Patch, string][] = [
  [
    'strategic-merge',
    ({ object, patch, type }) => strategicMergePatch(object, asObject(patch), typeOf(type ?? '')),
    `atomic-list bad-directive delete-format delete-item delete-map delete-scalars error keyless list-of-lists
     list-order map-type merge-list merge-map merge-scalars missing-key mixed names null order order-check
     remove-directives replace-list replace-map replace-strategy retain retain-check server-only type-change unknown`,
  ],
  [
    'json-patch',
    ({ object, patch }) => jsonPatch(object, patch as readonly Json[]),
    `add all-or-none array builtin copy copy-limit end error escape form liberty missing move names null remove replace
     root test unknown-member`,
  ],
  [
    'merge-patch',
    ({ object, patch }) => mergePatch(object, asObject(patch)),
    'appendix builtin nested null replace',
  ],
];

function asObject(value: Json): JsonObject {
  if (!isJsonObject(value)) throw new Error('no object');
  return value;
}

describe.each(FOLDERS)('%s', (folder, apply, rules) => {
  const cases = readPatchCases(folder);

  test.each(cases.map((one): [string, PatchCase] => [one.name, one]))('%s', (_name, given) => {
    frozen(given.object);
    frozen(given.patch);
    const outcome = outcomeOf(() => apply(given));
    if (given.error === undefined) expect(outcome).toEqual({ result: given.result });
    else expect(outcome).toEqual({ error: given.error });
  });

  test('every rule has a case, every case a rule', () => {
    expect([...new Set(cases.flatMap((one) => one.rules))].toSorted()).toEqual(rules.split(/\s+/).toSorted());
    expect(new Set(cases.map((one) => one.name)).size).toBe(cases.length);
  });
});

const POD: JsonObject = frozen({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', finalizers: ['a/b'] },
  spec: { containers: [{ name: 'a' }] },
});

function patched(kind: PatchKind, body: string): { object?: JsonObject; error?: ApiError; strict: string[] } {
  const strict: string[] = [];
  try {
    const input = {
      kind,
      body: Buffer.from(body),
      current: POD,
      schema: typeOf('core.v1.Pod'),
      strict: (problem: string) => strict.push(problem),
    };
    const object = finish(PATCHERS.patchInSlices(input, WITHOUT_PAUSE));
    return { object, strict };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { error, strict };
  }
}

const GENERIC = 'the server rejected our request due to an error in our request';

describe('what a client is told', () => {
  test.each<[string, PatchKind, string, number, string, string]>([
    ['no JSON', 'json', '[', 400, 'BadRequest', 'error decoding patch: unexpected end of JSON input'],
    [
      'no list',
      'json',
      '{}',
      400,
      'BadRequest',
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    ],
    [
      'no operation',
      'json',
      '[1]',
      400,
      'BadRequest',
      'error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp',
    ],
    [
      'a path that is no text',
      'json',
      '[{"op":"add","path":7}]',
      400,
      'BadRequest',
      'error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string',
    ],
    ['a failed test', 'json', '[{"op":"test","path":"/kind","value":"x"}]', 422, 'Invalid', GENERIC],
    ['an operation that is null', 'json', '[null]', 422, 'Invalid', GENERIC],
    [
      'too many operations',
      'json',
      `[${'{},'.repeat(10_000)}{}]`,
      413,
      'RequestEntityTooLarge',
      'Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001',
    ],
    [
      'a list in place of the object',
      'json',
      '[{"op":"replace","path":"","value":[]}]',
      422,
      'Invalid',
      String.raw` "" is invalid: patch: Invalid value: "[]": couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`,
    ],
    ['no JSON', 'merge', '{', 400, 'BadRequest', 'error decoding patch: unexpected end of JSON input'],
    [
      'a list',
      'merge',
      '[]',
      400,
      'BadRequest',
      'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
    ],
    ['null', 'merge', 'null', 400, 'BadRequest', 'Invalid JSON Patch'],
    ['nothing', 'strategic', '', 400, 'BadRequest', 'unexpected end of JSON input'],
    [
      'a text',
      'strategic',
      '"x"',
      400,
      'BadRequest',
      'json: cannot unmarshal string into Go value of type map[string]interface {}',
    ],
    [
      'a directive of the wrong form',
      'strategic',
      '{"$retainKeys":1}',
      400,
      'BadRequest',
      'invalid patch format of retainKeys',
    ],
    [
      'a list of lists',
      'strategic',
      '{"metadata":{"$deleteFromPrimitiveList/finalizers":[[1]]}}',
      500,
      '',
      '',
    ],
    [
      'a container without a name',
      'strategic',
      '{"spec":{"containers":[{"image":"x"}]}}',
      500,
      '',
      'map: map[image:x] does not contain declared merge key: name',
    ],
  ])('%s (%s)', (_name, kind, body, code, reason, message) => {
    const { error } = patched(kind, body);
    expect([error?.code, error?.reason]).toEqual([code, reason]);
    if (message !== '') expect(error?.message).toBe(message);
  });

  test.each<[PatchKind, string, string[]]>([
    [
      'json',
      '[{"op":"test","op":"add","path":"/x","value":{"a":1,"a":2},"more":1}]',
      [
        'json patch duplicate field "[0].op"',
        'json patch duplicate field "[0].value.a"',
        'json patch unknown field "[0].more"',
      ],
    ],
    ['merge', '{"metadata":{"name":"x","name":"p"}}', ['duplicate field "metadata.name"']],
    ['strategic', '{"metadata":{"name":"x","name":"p"}}', ['duplicate field "metadata.name"']],
  ])('a strict reader of a %s patch complains', (kind, body, problems) => {
    expect(patched(kind, body).strict).toEqual(problems);
  });

  test('null changes nothing strategically', () => {
    expect(patched('strategic', 'null').object).toBe(POD);
  });
});

const key = fc.constantFrom('a', 'b', 'name', '__proto__', 'constructor', '$patch', 'x/y', '0');
const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<Json>(null, true, 0, 1, 'x', 'replace', 'delete'),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.array(fc.tuple(key, tie('tree')), { maxLength: 4 }).map((members) => objectOf(members)),
  ),
}));
const tree2 = fc.array(fc.tuple(key, tree), { maxLength: 4 }).map((members) => objectOf(members));

/** An object with members of any name, as the reader makes it. */
function objectOf(members: readonly (readonly [string, Json])[]): JsonObject {
  const text = members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',');
  return asObject(readJson(`{${text}}`));
}

const item = (depth: number): fc.Arbitrary<JsonObject> => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const list = depth === 0 ? fc.constant<Json>([]) : fc.array(item(depth - 1), { maxLength: 4 });
  const numbers = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
  const order = fc.array(fc.record({ name }), { maxLength: 4 });
  return fc.record<Record<string, Json>>(
    {
      name,
      value: fc.constantFrom('1', '2', null),
      mergingList: list,
      nonMergingList: list,
      mergingIntList: numbers,
      '$deleteFromPrimitiveList/mergingIntList': numbers,
      '$setElementOrder/mergingIntList': numbers,
      '$setElementOrder/mergingList': order,
      $retainKeys: fc.subarray(['name', 'mergingList', 'mergingIntList', 'value']),
      $patch: fc.constantFrom('delete', 'replace', 'merge'),
      sub: depth === 0 ? fc.constant<Json>(null) : item(depth - 1),
    },
    { requiredKeys: ['name'] },
  );
};

describe('whatever comes', () => {
  test('a merge patch leaves what it was given, comes to rest, and lets nothing inherit', () => {
    fc.assert(
      fc.property(tree2, tree2, (object, patch) => {
        frozen(object);
        frozen(patch);
        const once = mergePatch(object, patch);
        // A list that took the place of an object loses the nulls within the second time, as in the original.
        const twice = mergePatch(frozen(once), patch);
        expect(canonicalJson(mergePatch(frozen(twice), patch))).toBe(canonicalJson(twice));
        expect(Object.getPrototypeOf(once)).toBe(Object.prototype);
      }),
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test('JSON patches leave what they were given, and refuse with their own error only', () => {
    const at = fc
      .array(fc.constantFrom('a', 'b', '0', '1', '-', '__proto__', 'constructor', '-1'), { maxLength: 3 })
      .map((names) => names.map((name) => `/${name}`).join(''));
    const operation = fc.record({
      op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test'),
      path: at,
      from: at,
      value: tree,
    });
    fc.assert(
      fc.property(tree2, fc.array(operation, { maxLength: 6 }), (object, operations) => {
        frozen(object);
        frozen(operations);
        const before = canonicalJson(object);
        // As long as they can be carried out; one after the other they come to the same.
        let document: Json = object;
        let done = 0;
        for (; done < operations.length; done += 1) {
          try {
            document = jsonPatch(frozen(document), [operations[done]]);
          } catch (error) {
            if (!(error instanceof JsonPatchError)) throw error;
            break;
          }
        }
        const whole = jsonPatch(object, operations.slice(0, done));
        expect(canonicalJson(whole)).toBe(canonicalJson(document));
        expect(canonicalJson(object)).toBe(before);
      }),
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test('strategic merges leave what they were given, and refuse with an ApiError only', () => {
    fc.assert(
      fc.property(item(2), item(2), (object, patch) => {
        frozen(object);
        frozen(patch);
        try {
          strategicMergePatch(object, patch, typeOf('test.Item'));
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
        }
      }),
    );
  });

  test('a strategic merge of what is of no type at all', () => {
    fc.assert(
      fc.property(tree2, tree2, (object, patch) => {
        frozen(object);
        frozen(patch);
        try {
          strategicMergePatch(object, patch, typeOf('core.v1.Pod'));
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
        }
      }),
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});

test('a server has the patches of Kubernetes unless it is told others', async () => {
  const small = smallServer();
  const all = '/apis/apps/v1/namespaces/default/deployments';
  const one = `${all}/web`;
  const containers = [
    { name: 'a', image: 'x' },
    { name: 'proxy', image: 'p' },
  ];
  const spec = { selector: { matchLabels: { a: 'b' } }, template: { spec: { containers } } };
  const send = (type: string, patch: object): ReturnType<typeof small.ask> =>
    small.ask('PATCH', one, patch, { 'content-type': `application/${type}+json` });
  try {
    expect((await small.ask('POST', all, { metadata: { name: 'web' }, spec })).code).toBe(201);
    const strategic = await send('strategic-merge-patch', {
      spec: { template: { spec: { containers: [{ name: 'a', image: 'y' }] } } },
    });
    expect(strategic.code).toBe(200);
    expect(member(strategic.json, 'spec', 'template', 'spec', 'containers')).toEqual([
      expect.objectContaining({ name: 'a', image: 'y' }),
      expect.objectContaining({ name: 'proxy', image: 'p' }),
    ]);
    const json = await send('json-patch', [
      { op: 'test', path: '/spec/template/spec/containers/1/name', value: 'proxy' },
      { op: 'remove', path: '/spec/template/spec/containers/1', more: 1 },
    ]);
    expect([json.code, json.warnings]).toEqual([200, [expect.stringContaining('json patch unknown field')]]);
    expect(member(json.json, 'spec', 'template', 'spec', 'containers')).toHaveLength(1);
    const failed = await send('json-patch', [{ op: 'remove', path: '/nope' }]);
    expect([failed.code, failed.json['reason'], failed.json['message']]).toEqual([422, 'Invalid', GENERIC]);
    const merge = await send('merge-patch', { metadata: { labels: { a: 'b' } }, spec: { replicas: 3 } });
    expect([merge.code, member(merge.json, 'spec', 'replicas')]).toEqual([200, 3]);
  } finally {
    await small.stop();
  }
});

describe('bounds', () => {
  test('copies beyond 3 MiB are refused', () => {
    const copies = Array.from({ length: 30 }, (_, at) => ({ op: 'copy', from: '/a', path: `/a/${at}` }));
    expect(() => jsonPatch({ a: { x: 'y'.repeat(100) } }, copies)).toThrow(
      /^Unable to complete the copy, the accumulated size increase of copy is \d+, exceeding the limit 3145728$/,
    );
  });

  test('copies that nest too deep are refused', () => {
    const copies: Json[] = [];
    let path = '/a';
    for (let at = 0; at < 12; at += 1) {
      copies.push({ op: 'copy', from: '/a', path: `${path}/a` });
      path += '/a'.repeat(2 ** at);
    }
    expect(() => jsonPatch({ a: {} }, copies)).toThrow('exceeded max depth');
  });

  test('a long list is merged in time that grows with it', () => {
    const names = Array.from({ length: 50_000 }, (_, at) => ({ name: `n${at}` }));
    const patch = { '$setElementOrder/mergingList': names.toReversed(), mergingList: names.toReversed() };
    const merged = strategicMergePatch({ mergingList: names }, patch, typeOf('test.Item'));
    expect(merged['mergingList']).toEqual(names.toReversed());
  });
});

describe('patches of long objects are put down all the time', () => {
  const COUNT = 5_000;
  const members = (value: (at: number) => Json): JsonObject =>
    Object.fromEntries(Array.from({ length: COUNT }, (_, at) => [`k${at.toString(36)}`, value(at)]));
  const OBJECT: JsonObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'm' },
    data: members(() => 'v'),
  };
  const without = (name: string): JsonObject => {
    const { [name]: _, ...rest } = OBJECT['data'] as JsonObject;
    return rest;
  };

  test.each<[string, PatchKind, Json, JsonObject]>([
    ['JSON patch', 'json', [{ op: 'add', path: '/data/x', value: 'y' }], { ...without(''), x: 'y' }],
    [
      'JSON patch that takes away and adds',
      'json',
      [
        { op: 'remove', path: '/data/k1' },
        { op: 'add', path: '/data/k1', value: 'w' },
        { op: 'replace', path: '/data/k2', value: 'w' },
      ],
      { ...without('k1'), k2: 'w', k1: 'w' },
    ],
    ['JSON patch that tests', 'json', [{ op: 'test', path: '/data', value: OBJECT['data'] }], without('')],
    [
      'merge patch',
      'merge',
      { data: { k1: null, k2: 'w', x: 'y', z: null } },
      { ...without('k1'), k2: 'w', x: 'y' },
    ],
    ['merge patch of many', 'merge', { data: members((at) => ({ at, b: null })) }, members((at) => ({ at }))],
    [
      'strategic merge',
      'strategic',
      { data: { k1: null, k2: 'w', x: 'y' } },
      { ...without('k1'), k2: 'w', x: 'y' },
    ],
  ])('%s', (_name, kind, patch, want) => {
    const work = PATCHERS.patchInSlices(
      {
        kind,
        body: Buffer.from(JSON.stringify(patch)),
        current: frozen(OBJECT),
        schema: typeOf('core.v1.ConfigMap'),
        strict: (problem) => expect(problem).toBe(''),
      },
      { due: () => true },
    );
    let steps = 0;
    let last = work.next();
    for (; last.done !== true; steps += 1) last = work.next();
    const data = last.value['data'] as JsonObject;
    expect(JSON.stringify(data)).toBe(JSON.stringify(want));
    expect(namesOf(data)).toEqual(Object.keys(data));
    expect(steps).toBeGreaterThanOrEqual(Math.floor(COUNT / LOOK_EVERY));
  });

  test('what was copied stands alone, and what it was copied from too', () => {
    const add = (path: string, value: Json): Json => ({ op: 'add', path, value });
    const operations = [
      add('/a/b/x', 1),
      { op: 'copy', from: '/a', path: '/c' },
      add('/a/b/y', 2),
      add('/c/b/z', 3),
      { op: 'copy', from: '/c/b', path: '/d' },
      add('/c/b/u', 4),
      add('/d/w', 5),
    ];
    expect(jsonPatch(frozen({ a: { b: {} } }), operations)).toEqual({
      a: { b: { x: 1, y: 2 } },
      c: { b: { x: 1, z: 3, u: 4 } },
      d: { x: 1, z: 3, w: 5 },
    });
  });
});
