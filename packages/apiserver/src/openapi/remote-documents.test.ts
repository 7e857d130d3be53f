import { describe, expect, test } from '@jest/globals';

import { renamed, specOf } from './remote-documents.ts';

const OWN = '/apis/metrics.example.com/v1';
const reference = (name: string): object => ({ $ref: `#/definitions/${name}` });
const pathTo = (name: string): object => ({ get: { responses: { 200: { schema: reference(name) } } } });

describe('what is taken of a document', () => {
  test('its own paths and what they lead to', () => {
    const spec = specOf(
      {
        paths: {
          [`${OWN}/nodes`]: pathTo('Node'),
          [OWN]: pathTo('List'),
          '/apis/metrics.example.com/v10/nodes': pathTo('Other'),
          '/apis/apps/v1/deployments': pathTo('Other'),
          [`${OWN}/odd`]: 'no object',
        },
        definitions: {
          Node: { properties: { usage: reference('Usage'), self: reference('Node') } },
          Usage: { type: 'object' },
          List: { items: reference('Node') },
          Other: {},
        },
      },
      OWN,
    );
    expect(Object.keys(spec.paths).toSorted()).toEqual([OWN, `${OWN}/nodes`]);
    expect(Object.keys(spec.definitions).toSorted()).toEqual(['List', 'Node', 'Usage']);
  });

  test('parameters that it keeps in one place stand where they are used', () => {
    const pretty = { name: 'pretty', in: 'query', type: 'string' };
    const document = {
      paths: { [OWN]: { parameters: [{ $ref: '#/parameters/p' }], get: {} } },
      parameters: { p: pretty },
    };
    expect(specOf(document, OWN).paths[OWN]).toEqual({ parameters: [pretty], get: {} });
  });

  const deep = (levels: number): object => {
    let value: object = {};
    for (let level = 0; level < levels; level += 1) value = { a: value };
    return value;
  };
  const many = (count: number): Record<string, object> =>
    Object.fromEntries(Array.from({ length: count }, (_none, index) => [`${OWN}/n${index}`, {}]));

  test.each([
    ['no object', [], 'it is no OpenAPI document'],
    ['no paths', { definitions: {} }, 'it is no OpenAPI document'],
    ['definitions of another form', { paths: {}, definitions: [] }, 'it is no OpenAPI document'],
    ['a definition that is none', { paths: { [OWN]: pathTo('A') }, definitions: { A: 7 } }, 'A is no schema'],
    [
      'a parameter that is not there',
      { paths: { [OWN]: { parameters: [{ $ref: '#/parameters/x' }] } } },
      'there is no parameter x',
    ],
    ['nesting without end', { paths: { [OWN]: deep(100_000) } }, 'it is deeper than 200'],
    ['too many paths', { paths: many(5_001) }, 'it has more than 5000 paths'],
  ])('a document is refused for %s', (_name, document, message) => {
    expect(() => specOf(document, OWN)).toThrow(message);
  });

  test('names that mean something to JavaScript mean nothing', () => {
    const document: unknown = JSON.parse(
      `{"paths":{"${OWN}":{"get":{"schema":{"$ref":"#/definitions/__proto__"}}}},"definitions":{"__proto__":{"type":"string"},"constructor":{}}}`,
    );
    const spec = specOf(document, OWN);
    expect(Object.keys(spec.definitions)).toEqual(['__proto__']);
    const { definitions } = renamed(new Map(), [spec]);
    expect(Object.getPrototypeOf(definitions)).toBe(Object.prototype);
    expect(JSON.stringify(definitions)).toBe('{"__proto__":{"type":"string"}}');
  });
});

describe('definitions beside ours', () => {
  const taken = new Map([['Meta', { type: 'object', description: 'ours' }]]);
  const spec = (meta: object): Parameters<typeof renamed>[1][number] =>
    specOf(
      {
        paths: { [OWN]: pathTo('Node') },
        definitions: { Node: { properties: { m: reference('Meta') } }, Meta: meta },
      },
      OWN,
    );

  test('the same under the same name, in whatever order', () => {
    expect(renamed(taken, [spec({ description: 'ours', type: 'object' })]).definitions).toEqual({
      Node: { properties: { m: reference('Meta') } },
    });
  });

  test('another under the next name that is free, and those that lead there follow', () => {
    const { paths, definitions } = renamed(taken, [spec({ type: 'string' }), spec({ type: 'number' })]);
    expect(definitions).toEqual({
      Meta_v2: { type: 'string' },
      Node: { properties: { m: reference('Meta_v2') } },
      Meta_v3: { type: 'number' },
      Node_v2: { properties: { m: reference('Meta_v3') } },
    });
    expect(paths[OWN]).toEqual(pathTo('Node_v2'));
  });
});
