/**
 * Versions of a custom resource that a webhook converts into each other: objects, lists in one call, watches, writes in
 * either version, an old stored version, metadata that stays, and what is told when the webhook fails.
 */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { Json, JsonObject } from '../src/api/json.ts';
import type { KubeObject } from '../src/api/meta.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { writeJson } from '../src/codec/json-writer.ts';
import { answered, customServer, member, type SmallServer } from './small-server.ts';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const at = (version: string, rest = ''): string =>
  `/apis/stable.example.com/${version}/namespaces/default/crontabs${rest}`;

/** v1 says `cron`, v2 says `schedule: {text}`. */
function convert(object: JsonObject, to: string): JsonObject {
  const spec = object['spec'] as JsonObject | undefined;
  if (spec === undefined) return { ...object, apiVersion: `stable.example.com/${to}` };
  const text = (to === 'v2' ? spec['cron'] : (spec['schedule'] as JsonObject)['text']) ?? '';
  const metadata = object['metadata'] as JsonObject;
  return {
    ...object,
    apiVersion: `stable.example.com/${to}`,
    metadata: { ...metadata, annotations: { converted: to } },
    spec: to === 'v2' ? { schedule: { text } } : { cron: text },
  };
}

interface Asked {
  readonly url: string;
  readonly count: number;
  readonly to: string;
}

let small: SmallServer;
let asked: Asked[];
/** What the webhook does instead of converting. */
let answer: ((review: JsonObject) => { readonly code: number; readonly body: Json }) | undefined;

function definition(storage: string): JsonObject {
  const text: JsonObject = { type: 'string' };
  const version = (name: string, selectable: string, spec: JsonObject): JsonObject => ({
    name,
    served: true,
    storage: name === storage,
    selectableFields: [{ jsonPath: selectable }],
    schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
  });
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'crontabs.stable.example.com' },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'crontabs', kind: 'CronTab' },
      versions: [
        version('v1', '.spec.cron', { type: 'object', properties: { cron: text } }),
        version('v2', '.spec.schedule.text', {
          type: 'object',
          properties: {
            schedule: {
              type: 'object',
              properties: { text: { ...text, maxLength: 5 }, zone: { ...text, default: 'UTC' } },
            },
          },
        }),
      ],
      conversion: {
        strategy: 'Webhook',
        webhook: {
          conversionReviewVersions: ['v1'],
          clientConfig: { service: { namespace: 'hooks', name: 'converter', path: '/convert' } },
        },
      },
    },
  };
}

beforeEach(async () => {
  asked = [];
  answer = undefined;
  small = await customServer({
    conversionCalls: {
      uuid: () => 'the-uid',
      caller: {
        post({ url }, body) {
          const review = readJson(body.toString('utf8')) as JsonObject;
          const request = review['request'] as JsonObject;
          const objects = request['objects'] as JsonObject[];
          const to = (request['desiredAPIVersion'] as string).split('/')[1];
          asked.push({ url, count: objects.length, to });
          const made = answer?.(review) ?? {
            code: 200,
            body: {
              ...review,
              response: {
                uid: request['uid'],
                result: { status: 'Success' },
                convertedObjects: objects.map((object) => convert(object, to)),
              },
            },
          };
          return Promise.resolve({ code: made.code, body: Buffer.from(writeJson(made.body)) });
        },
      },
    },
  });
  expect((await small.ask('POST', DEFINITIONS, definition('v1'))).code).toBe(201);
  await answered(
    () => small.ask('GET', at('v1')),
    ({ code }) => code === 200,
  );
});

afterEach(async () => {
  await small.stop();
});

function cronTab(version: string, name: string, spec: Json): JsonObject {
  return { apiVersion: `stable.example.com/${version}`, kind: 'CronTab', metadata: { name }, spec };
}

describe('an object', () => {
  test('is read in another version, with the defaults of that one and its own metadata', async () => {
    const made = await small.ask('POST', at('v1'), cronTab('v1', 'a', { cron: 'x' }));
    expect(made.code).toBe(201);
    expect(asked).toEqual([]);
    const read = await small.ask('GET', at('v2', '/a'));
    expect(read.json).toMatchObject({
      apiVersion: 'stable.example.com/v2',
      spec: { schedule: { text: 'x', zone: 'UTC' } },
      metadata: { name: 'a', uid: member(made.json, 'metadata', 'uid'), annotations: { converted: 'v2' } },
    });
    expect(asked).toEqual([
      { url: 'https://converter.hooks.svc:443/convert?timeout=30s', count: 1, to: 'v2' },
    ]);
  });

  test('is written in either version', async () => {
    const made = await small.ask('POST', at('v2'), cronTab('v2', 'a', { schedule: { text: 'x' } }));
    expect([made.code, made.json['message']]).toEqual([201, undefined]);
    expect(made.json).toMatchObject({
      apiVersion: 'stable.example.com/v2',
      spec: { schedule: { text: 'x' } },
    });
    expect((await small.ask('GET', at('v1', '/a'))).json['spec']).toEqual({ cron: 'x' });
    const patched = await small.ask('PATCH', at('v2', '/a'), { spec: { schedule: { text: 'y' } } });
    expect([patched.code, patched.json['spec']]).toEqual([200, { schedule: { text: 'y', zone: 'UTC' } }]);
    const first = await small.ask('GET', at('v1', '/a'));
    expect(first.json['spec']).toEqual({ cron: 'y' });
    const put = await small.ask('PUT', at('v2', '/a'), {
      ...(await small.ask('GET', at('v2', '/a'))).json,
      spec: { schedule: { text: 'z' } },
    });
    expect(put.code).toBe(200);
    expect((await small.ask('GET', at('v1', '/a'))).json['spec']).toEqual({ cron: 'z' });
    expect(member((await small.ask('GET', at('v1', '/a'))).json, 'metadata', 'generation')).toBe(3);
  });

  test('is checked in the version that it is written in', async () => {
    const message =
      'CronTab.stable.example.com "a" is invalid: spec.schedule.text: Too long: may not be more than 5 bytes';
    const wrong = await small.ask('POST', at('v2'), cronTab('v2', 'a', { schedule: { text: 'too long' } }));
    expect([wrong.code, wrong.json['message']]).toEqual([422, message]);
    // The other version has no such bound.
    expect((await small.ask('POST', at('v1'), cronTab('v1', 'a', { cron: 'x' }))).code).toBe(201);
    const patched = await small.ask('PATCH', at('v2', '/a'), { spec: { schedule: { text: 'too long' } } });
    expect([patched.code, patched.json['message']]).toEqual([422, message]);
    expect((await small.ask('PATCH', at('v1', '/a'), { spec: { cron: 'not too long' } })).code).toBe(200);
    const drawn = { ...cronTab('v2', '', { schedule: { text: 'y' } }), metadata: { generateName: 'a-' } };
    const made = await small.ask('POST', at('v2'), drawn);
    expect([made.code, String(member(made.json, 'metadata', 'name')).slice(0, 2)]).toEqual([201, 'a-']);
  });

  test('is applied in one version and then in the other', async () => {
    const apply = async (version: string, spec: Json): Promise<readonly [number, unknown]> => {
      const type = { 'content-type': 'application/apply-patch+yaml' };
      const target = `${at(version, '/a')}?fieldManager=f`;
      const { code, json } = await small.ask('PATCH', target, cronTab(version, 'a', spec), type);
      return [code, json['spec'] ?? json['message']];
    };
    expect(await apply('v2', { schedule: { text: 'x' } })).toEqual([
      201,
      { schedule: { text: 'x', zone: 'UTC' } },
    ]);
    expect(await apply('v1', { cron: 'y' })).toEqual([200, { cron: 'y' }]);
  });

  test('that lies there in a version of before is converted when it is read', async () => {
    await small.ask('POST', at('v1'), cronTab('v1', 'a', { cron: 'x' }));
    const { spec } = definition('v2');
    await small.ask('PATCH', `${DEFINITIONS}/crontabs.stable.example.com`, {
      spec: { versions: (spec as JsonObject)['versions'] },
    });
    await answered(
      () => small.ask('GET', `${DEFINITIONS}/crontabs.stable.example.com`),
      ({ json }) => (member(json, 'status', 'storedVersions') as string[]).length === 2,
    );
    const read = await answered(
      () => small.ask('GET', at('v2', '/a')),
      ({ code }) => code === 200,
    );
    expect(read.json['spec']).toEqual({ schedule: { text: 'x', zone: 'UTC' } });
    const patched = await small.ask('PATCH', at('v1', '/a'), { spec: { cron: 'y' } });
    expect([patched.code, patched.json['spec']]).toEqual([200, { cron: 'y' }]);
  });
});

/** The first events of a watch, however long they take; then it is left. */
async function watched(
  target: string,
  count: number,
): Promise<readonly { readonly type: string; readonly object: KubeObject }[]> {
  const { chunks } = await small.server.call(target);
  let text = '';
  for await (const chunk of chunks) {
    text += chunk.toString('utf8');
    if (text.split('\n').length > count) break;
  }
  const lines = text.split('\n').slice(0, count);
  return lines.map((line) => readJson(line) as { type: string; object: KubeObject });
}

test('a list is converted in one call, and a watch as it goes', async () => {
  for (const name of ['a', 'b', 'c']) await small.ask('POST', at('v1'), cronTab('v1', name, { cron: name }));
  const list = await small.ask('GET', at('v2'));
  expect((member(list.json, 'items') as JsonObject[]).map((item) => item['spec'])).toEqual(
    ['a', 'b', 'c'].map((text) => ({ schedule: { text, zone: 'UTC' } })),
  );
  expect(asked.map(({ count }) => count)).toEqual([3]);
  const events = await watched(`${at('v2')}?watch=true&resourceVersion=0`, 3);
  expect(events.map(({ type, object }) => [type, object.apiVersion])).toEqual(
    ['a', 'b', 'c'].map(() => ['ADDED', 'stable.example.com/v2']),
  );
});

test('a watch that begins with much goes on where its conversions were forgotten meanwhile', async () => {
  const names = Array.from({ length: 20 }, (_, at) => `big-${String(at).padStart(2, '0')}`);
  const cron = 'x'.repeat(900_000);
  for (const name of names) await small.ask('POST', at('v1'), cronTab('v1', name, { cron }));
  const { chunks } = await small.server.call(`${at('v2')}?watch=true&resourceVersion=0`);
  const told: unknown[] = [];
  let rest = '';
  for await (const chunk of chunks) {
    const lines = `${rest}${chunk.toString('utf8')}`.split('\n');
    rest = lines.pop() ?? '';
    // Somebody else's conversion, for which all others are forgotten: they are too long to be remembered.
    if (told.length === 0 && lines.length > 0) {
      const made = await small.ask('POST', at('v2'), cronTab('v2', 'small', { schedule: { text: 'x' } }));
      expect(made.code).toBe(201);
    }
    for (const line of lines) {
      const { type, object } = readJson(line) as { type: string; object: KubeObject };
      told.push(type === 'ADDED' ? object.metadata.name : object);
    }
    if (told.length >= names.length) break;
  }
  expect(told.slice(0, names.length)).toEqual(names);
});

describe('fields of a version that is not stored', () => {
  const x = 'fieldSelector=spec.schedule.text%3Dx';

  function namesOf(answer: Awaited<ReturnType<SmallServer['ask']>>): unknown[] {
    return (member(answer.json, 'items') as KubeObject[]).map((item) => member(item, 'metadata', 'name'));
  }

  test('select in lists, with a limit and in deletions', async () => {
    for (const [name, cron] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'x'],
    ]) {
      await small.ask('POST', at('v1'), cronTab('v1', name, { cron }));
    }
    expect(namesOf(await small.ask('GET', at('v2', `?${x}`)))).toEqual(['a', 'c']);
    expect(namesOf(await small.ask('GET', at('v2', `?${x},metadata.name%3Dc`)))).toEqual(['c']);
    expect(namesOf(await small.ask('GET', at('v1', '?fieldSelector=spec.cron%3Dy')))).toEqual(['b']);
    const page = await small.ask('GET', at('v2', `?${x}&limit=2`));
    const token = String(member(page.json, 'metadata', 'continue'));
    expect([namesOf(page), member(page.json, 'metadata', 'remainingItemCount')]).toEqual([['a'], undefined]);
    expect(namesOf(await small.ask('GET', at('v2', `?${x}&limit=2&continue=${token}`)))).toEqual(['c']);
    expect(namesOf(await small.ask('DELETE', at('v2', `?${x}`)))).toEqual(['a', 'c']);
    expect(namesOf(await small.ask('GET', at('v1')))).toEqual(['b']);
  });

  test('select in watches: what comes to be selected is added, what ceases to be is deleted as it was', async () => {
    const made = await small.ask('POST', at('v1'), cronTab('v1', 'a', { cron: 'x' }));
    const from = String(member(made.json, 'metadata', 'resourceVersion'));
    const patch = async (name: string, cron: string): Promise<unknown> => {
      const type = { 'content-type': 'application/merge-patch+json' };
      const { json } = await small.ask('PATCH', at('v1', `/${name}`), { spec: { cron } }, type);
      return member(json, 'metadata', 'resourceVersion');
    };
    await small.ask('POST', at('v1'), cronTab('v1', 'b', { cron: 'y' }));
    await patch('b', 'x');
    const left = await patch('a', 'y');
    await patch('a', 'z');
    await small.ask('DELETE', at('v1', '/b'));
    const events = await watched(`${at('v2')}?watch=true&resourceVersion=${from}&${x}`, 3);
    expect(
      events.map(({ type, object }) => [
        type,
        member(object, 'metadata', 'name'),
        member(object, 'spec', 'schedule', 'text'),
      ]),
    ).toEqual([
      ['ADDED', 'b', 'x'],
      ['DELETED', 'a', 'x'],
      ['DELETED', 'b', 'x'],
    ]);
    expect(member(events[1].object, 'metadata', 'resourceVersion')).toBe(left);
  });
});

describe('a webhook that', () => {
  const of = (review: JsonObject, response: JsonObject): { code: number; body: Json } => ({
    code: 200,
    body: { ...review, response: { uid: 'the-uid', result: { status: 'Success' }, ...response } },
  });
  const given = (review: JsonObject): JsonObject[] =>
    (review['request'] as JsonObject)['objects'] as JsonObject[];
  const KIND = 'conversion webhook for stable.example.com/v1, Kind=CronTab';

  test.each<[string, (review: JsonObject) => { code: number; body: Json }, string]>([
    [
      'refuses',
      (review) => of(review, { result: { status: 'Failed', message: 'no way' } }),
      `${KIND} failed: no way`,
    ],
    [
      'says nothing',
      (review) => of(review, { result: { status: '' } }),
      `${KIND} failed: response.result.status was '', not 'Success'`,
    ],
    [
      'answers another',
      (review) => of(review, { uid: 'x' }),
      `${KIND} failed: expected response.uid="the-uid", got "x"`,
    ],
    [
      'answers too little',
      (review) => of(review, { convertedObjects: [] }),
      `${KIND} returned 0 objects, expected 1`,
    ],
    [
      'has no response',
      (review) => ({ code: 200, body: { apiVersion: review['apiVersion'] ?? '', kind: 'ConversionReview' } }),
      `${KIND} failed: no response provided`,
    ],
    [
      'answers something else',
      () => ({ code: 200, body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' } }),
      `${KIND} failed: no kind "AdmissionReview" is registered for version "admission.k8s.io/v1" in scheme "pkg/runtime/scheme.go:111"`,
    ],
    [
      'answers in the older version',
      (review) => ({ code: 200, body: { ...review, apiVersion: 'apiextensions.k8s.io/v1beta1' } }),
      `${KIND} failed: converting (v1beta1.ConversionReview) to (v1.ConversionReview): unknown conversion`,
    ],
    [
      'does not say what it answers',
      () => ({ code: 200, body: {} }),
      `${KIND} failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /, Kind=`,
    ],
    [
      'answers a list',
      () => ({ code: 200, body: [] }),
      `${KIND} failed: couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string`,
    ],
    [
      'has another text in place of a result',
      (review) => of(review, { result: 'x' }),
      `${KIND} failed: json: cannot unmarshal string into Go struct field ConversionResponse.response.result of type v1.Status`,
    ],
    [
      'has a number as status',
      (review) => of(review, { result: { status: 1 } }),
      `${KIND} failed: json: cannot unmarshal number into Go struct field Status.response.result.status of type string`,
    ],
    [
      'has no list of objects',
      (review) => of(review, { convertedObjects: 'x' }),
      `${KIND} failed: json: cannot unmarshal string into Go struct field ConversionResponse.response.convertedObjects of type []runtime.RawExtension`,
    ],
    [
      'makes a text of an object',
      (review) => of(review, { convertedObjects: ['x'] }),
      'json: cannot unmarshal string into Go value of type map[string]interface {}',
    ],
    [
      'makes nothing of an object',
      (review) => of(review, { convertedObjects: [null] }),
      'unexpected end of JSON input',
    ],
    [
      'does not say the kind of an object',
      (review) => of(review, { convertedObjects: [{ apiVersion: 'stable.example.com/v2' }] }),
      `Object 'Kind' is missing in '{"apiVersion":"stable.example.com/v2"}'`,
    ],
    [
      'makes labels of numbers',
      (review) =>
        of(review, {
          convertedObjects: given(review).map((object) => ({
            ...convert(object, 'v2'),
            metadata: { ...(object['metadata'] as JsonObject), labels: { x: 1 } },
          })),
        }),
      `${KIND} returned invalid metadata: metadata.labels[x] must be a string, but is int64 in converted object`,
    ],
    [
      'makes annotations that are none',
      (review) =>
        of(review, {
          convertedObjects: given(review).map((object) => ({
            ...convert(object, 'v2'),
            metadata: { ...(object['metadata'] as JsonObject), annotations: { 'a b': 'x' } },
          })),
        }),
      `${KIND} returned invalid metadata: metadata.annotation: Invalid value: "a b"`,
    ],
    [
      'fails',
      () => ({ code: 503, body: {} }),
      `${KIND} failed: the server is currently unable to handle the request`,
    ],
    [
      'converts to another version',
      (review) => of(review, { convertedObjects: given(review) }),
      `${KIND} returned invalid object at index 0: invalid groupVersion (expected stable.example.com/v2, received stable.example.com/v1)`,
    ],
    [
      'changes the kind',
      (review) =>
        of(review, {
          convertedObjects: given(review).map((object) => ({ ...convert(object, 'v2'), kind: 'X' })),
        }),
      `${KIND} returned invalid object at index 0: invalid kind (expected CronTab, received X)`,
    ],
    [
      'changes the name',
      (review) =>
        of(review, {
          convertedObjects: given(review).map((object) => ({
            ...convert(object, 'v2'),
            metadata: { ...(object['metadata'] as JsonObject), name: 'b' },
          })),
        }),
      `${KIND} returned invalid object: must have the same name: a != b`,
    ],
    [
      'makes labels that are none',
      (review) =>
        of(review, {
          convertedObjects: given(review).map((object) => ({
            ...convert(object, 'v2'),
            metadata: { ...(object['metadata'] as JsonObject), labels: { x: 'a b' } },
          })),
        }),
      `${KIND} returned invalid metadata: metadata.labels: Invalid value: "a b"`,
    ],
  ])('%s is told of', async (_name, does, message) => {
    await small.ask('POST', at('v1'), cronTab('v1', 'a', { cron: 'x' }));
    answer = does;
    const refused = await small.ask('GET', at('v2', '/a'));
    expect([refused.code, (refused.json['message'] as string).slice(0, message.length)]).toEqual([
      500,
      message,
    ]);
    // The version that is stored needs nobody.
    expect((await small.ask('GET', at('v1', '/a'))).code).toBe(200);
    answer = undefined;
    expect((await small.ask('GET', at('v2', '/a'))).code).toBe(200);
  });
});
