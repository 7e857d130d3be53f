import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { JsonFloat, type Json } from '../api/json.ts';
import {
  canonicalJson,
  compareJson,
  comparePathElements,
  equalJson,
  parsePathElement,
  PathElement,
  pathText,
  readPlainJson,
  type FieldPath,
} from './field-path.ts';
import { FieldSet } from './field-set.ts';

const POOL = [
  PathElement.field('a'),
  PathElement.field('b'),
  PathElement.field('.'),
  PathElement.field('__proto__'),
  PathElement.key([{ name: 'name', value: 'x' }]),
  PathElement.key([
    { name: 'protocol', value: 'TCP' },
    { name: 'port', value: 80 },
  ]),
  PathElement.value('v'),
  PathElement.value(1),
  PathElement.index(0),
];

const paths = fc.array(fc.array(fc.constantFrom(...POOL), { minLength: 1, maxLength: 4 }), {
  maxLength: 12,
});

/** The dumb twin: paths as texts, members only. */
function flat(list: readonly FieldPath[]): Set<string> {
  return new Set(list.map(textOf));
}

function textOf(path: FieldPath): string {
  return path.map(({ text }) => text).join('\n');
}

function members(set: FieldSet): string[] {
  return set.paths().map(textOf).toSorted();
}

function isBelow(path: string, parent: string): boolean {
  return path.startsWith(`${parent}\n`);
}

describe('sets against flat sets of paths', () => {
  test('union, intersection, difference, recursive difference, leaves', () => {
    fc.assert(
      fc.property(paths, paths, (left, right) => {
        const a = FieldSet.of(...left);
        const b = FieldSet.of(...right);
        const x = flat(left);
        const y = flat(right);
        expect(members(a.union(b))).toEqual([...new Set([...x, ...y])].toSorted());
        expect(members(a.intersection(b))).toEqual([...x].filter((path) => y.has(path)).toSorted());
        expect(members(a.difference(b))).toEqual([...x].filter((path) => !y.has(path)).toSorted());
        expect(members(a.recursiveDifference(b))).toEqual(
          [...x].filter((path) => !y.has(path) && ![...y].some((parent) => isBelow(path, parent))).toSorted(),
        );
        expect(members(a.leaves())).toEqual(
          [...x].filter((path) => ![...x].some((other) => isBelow(other, path))).toSorted(),
        );
        expect(a.size).toBe(x.size);
        expect(a.isEmpty).toBe(x.size === 0);
        for (const path of [...left, ...right]) expect(a.has(path)).toBe(x.has(textOf(path)));
      }),
    );
  });

  test('laws, and nothing without members is left over', () => {
    fc.assert(
      fc.property(paths, paths, (left, right) => {
        const a = FieldSet.of(...left);
        const b = FieldSet.of(...right);
        expect(a.union(b).equals(b.union(a))).toBe(true);
        expect(a.difference(b).union(a.intersection(b)).equals(a)).toBe(true);
        expect(a.difference(a).equals(FieldSet.EMPTY)).toBe(true);
        expect(a.equals(FieldSet.of(...left.toReversed()))).toBe(true);
        expect(a.equals(b)).toBe(JSON.stringify(members(a)) === JSON.stringify(members(b)));
      }),
    );
  });

  test('FieldsV1 both ways', () => {
    fc.assert(
      fc.property(paths, (list) => {
        const set = FieldSet.of(...list);
        const text = JSON.stringify(set.toJson());
        const back = FieldSet.fromJson(readPlainJson(text));
        expect(back.equals(set)).toBe(true);
        expect(JSON.stringify(back.toJson())).toBe(text);
      }),
    );
  });
});

test('fields come before keys, values and places, each in order', () => {
  const set = FieldSet.of(
    [PathElement.index(10)],
    [PathElement.index(9)],
    [PathElement.value('b')],
    [PathElement.value(10)],
    [PathElement.value(9)],
    [PathElement.value(true)],
    [PathElement.key([{ name: 'name', value: 'b' }])],
    [PathElement.key([{ name: 'name', value: 'a' }]), PathElement.field('x')],
    [PathElement.key([{ name: 'name', value: 'a' }])],
    [PathElement.field('z')],
    [PathElement.field('A')],
  );
  expect(JSON.stringify(set.toJson())).toBe(
    String.raw`{"f:A":{},"f:z":{},"k:{\"name\":\"a\"}":{".":{},"f:x":{}},"k:{\"name\":\"b\"}":{},"v:9":{},"v:10":{},"v:\"b\"":{},"v:true":{},"i:9":{},"i:10":{}}`,
  );
  expect(set.toString().split('\n').slice(0, 4)).toEqual(['.A', '.z', '[name="a"]', '[name="b"]']);
});

test.each<[string, string]>([
  ['f:', '.'],
  ['f:a.b', '.a.b'],
  ['k:{"port":80,"protocol":"TCP"}', '[port=80,protocol="TCP"]'],
  ['k:{"protocol":"TCP","port":80}', '[port=80,protocol="TCP"]'],
  ['v:"x\\u003cy"', '[="x<y"]'],
  ['v:1.5', '[=1.5]'],
  ['v:0.00001', '[=1e-05]'],
  ['v:9007199254740993', '[=9007199254740993]'],
  ['i:3', '[3]'],
])('path element %s shows as %s', (text, shown) => {
  const element = parsePathElement(text);
  expect(element && pathText([element])).toBe(shown);
});

test.each<[string, string]>([
  ['', 'key must be 2 characters long:'],
  ['f', 'key must be 2 characters long:'],
  ['field', 'missing colon: field'],
  ['i:x', 'strconv.Atoi: parsing "x": invalid syntax'],
  ['k:[1]', 'key is not an object: [1]'],
])('%j is no path element', (text, message) => {
  expect(() => parsePathElement(text)).toThrow(message);
});

test('an element of a kind that nobody knows is passed over', () => {
  expect(parsePathElement('x:1')).toBeUndefined();
  expect(
    FieldSet.fromJson({ 'f:a': { 'x:1': {} }, 'x:2': {} })
      .paths()
      .map(pathText),
  ).toEqual(['.a']);
});

test('values: numbers by value, others by kind and text', () => {
  const sorted: Json[] = [
    -1,
    0.5,
    new JsonFloat(1),
    2,
    2n ** 60n,
    '',
    'a',
    '\ue000',
    '😀',
    false,
    true,
    [],
    [1],
    {},
    { a: 1 },
    null,
  ];
  for (let at = 1; at < sorted.length; at += 1) {
    expect(compareJson(sorted[at - 1], sorted[at])).toBeLessThan(0);
    expect(compareJson(sorted[at], sorted[at - 1])).toBeGreaterThan(0);
    expect(equalJson(sorted[at], sorted[at - 1])).toBe(false);
  }
  expect(equalJson({ a: [1, { b: null }], c: 'x' }, { c: 'x', a: [new JsonFloat(1), { b: null }] })).toBe(
    true,
  );
  expect(comparePathElements(PathElement.value(1), PathElement.value(new JsonFloat(1)))).toBe(0);
  expect(canonicalJson({ b: '<&>', a: [1, 2.5, 2n ** 60n, null, true] })).toBe(
    String.raw`{"a":[1,2.5,1152921504606846976,null,true],"b":"\u003c\u0026\u003e"}`,
  );
});
