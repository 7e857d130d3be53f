import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { JsonFloat, type Json } from '../api/json.ts';
import { JsonSyntaxError, readJson } from './json-reader.ts';
import { writeJson } from './json-writer.ts';

describe('reading', () => {
  test.each<[string, Json]>([
    ['1', 1],
    ['-0', 0],
    ['9007199254740991', 9007199254740991],
    ['9007199254740993', 9007199254740993n],
    ['-9223372036854775808', -9223372036854775808n],
    ['18446744073709551615', 18446744073709551615n],
    ['1.5', 1.5],
    ['1.0', new JsonFloat(1)],
    ['2e3', new JsonFloat(2000)],
    ['1e-7', 1e-7],
    ['18446744073709551616', new JsonFloat(18446744073709551616)],
    [String.raw`"a\"\\\/\b\f\n\r\té😀"`, 'a"\\/\b\f\n\r\té😀'],
    [String.raw`"\ud83d\ude00"`, '😀'],
    [String.raw`"x\ud83dy"`, 'x�y'],
    [' [ 1 , {"a" : null} , true, false ] ', [1, { a: null }, true, false]],
    ['{}', {}],
    ['[]', []],
  ])('%s', (text, want) => {
    expect(readJson(text)).toEqual(want);
  });

  test('a member called __proto__ is a member', () => {
    const object = readJson('{"__proto__":{"polluted":true},"constructor":1}') as Record<string, Json>;
    expect(Object.keys(object)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('repeated members are told once each, and the last one counts', () => {
    const told: string[] = [];
    const value = readJson('{"a":1,"a":2,"a":3,"b":[{"c":1},{"c":1,"c":{"d":0,"d":1}}]}', {
      duplicate: (path) => told.push(path),
    });
    expect(told).toEqual(['a', 'b[1].c', 'b[1].c.d']);
    expect(value).toEqual({ a: 3, b: [{ c: 1 }, { c: { d: 1 } }] });
  });

  test.each<[string, string]>([
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a"', 'unexpected end of JSON input'],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
    ['[1 2]', "invalid character '2' after array element"],
    ['[1]x', "invalid character 'x' after top-level value"],
    ['trup', "invalid character 'p' in literal true (expecting 'e')"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['01', "invalid character '1' after top-level value"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ['"a\nb"', "invalid character '\\n' in string literal"],
    ['"a\u0001b"', "invalid character '\\x01' in string literal"],
    ["'a'", String.raw`invalid character '\'' looking for beginning of value`],
    ['\ufeff{}', "invalid character '\ufeff' looking for beginning of value"],
    ['1e400', 'json: cannot unmarshal number 1e400 into Go value of type float64'],
  ])('%j is refused as Go refuses it', (text, message) => {
    expect(() => readJson(text)).toThrow(new JsonSyntaxError(message));
  });

  test('nesting is bounded', () => {
    expect(readJson('['.repeat(1_000) + ']'.repeat(1_000))).toHaveLength(1);
    expect(() => readJson('['.repeat(1_001))).toThrow('exceeded max depth');
    expect(() => readJson('{"a":'.repeat(1_001))).toThrow('exceeded max depth');
  });

  test('what JSON.parse reads is read the same', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const plain = JSON.parse(text) as unknown;
        expect(JSON.parse(writeJson(readJson(text)))).toEqual(JSON.parse(JSON.stringify(plain)));
      }),
    );
  });

  test('what JSON.parse refuses is refused', () => {
    const almost = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '{', '}', '[', ',', ':', '0', '.', '\\', ' '))
      .map(([text, at, char]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + char + text.slice(place + 1);
      });
    fc.assert(
      fc.property(almost, (text) => {
        // What is larger than a float64 holds is infinite to JSON.parse, and refused here as Go refuses it.
        fc.pre(!/\d[eE]\+?\d{3}/.test(text));
        let parses = true;
        try {
          JSON.parse(text);
        } catch {
          parses = false;
        }
        if (parses) readJson(text);
        else expect(() => readJson(text)).toThrow(JsonSyntaxError);
      }),
    );
  });
});

test.each<[Json, string]>([
  [9007199254740993n, '9007199254740993'],
  [{ a: [18446744073709551615n, 1], b: '<a>' }, '{"a":[18446744073709551615,1],"b":"\\u003ca\\u003e"}'],
  [new JsonFloat(1), '1'],
  [1e21, '1e+21'],
  [1e-7, '1e-7'],
  ['a<b>&c\u2028\u2029', String.raw`"a\u003cb\u003e\u0026c\u2028\u2029"`],
  [{ b: 1, a: null }, '{"b":1,"a":null}'],
])('%j is written as Go writes it', (value, want) => {
  expect(writeJson(value)).toBe(want);
});

test('for people there are two spaces', () => {
  expect(writeJson({ a: [1] }, { pretty: true })).toBe('{\n  "a": [\n    1\n  ]\n}');
});
