import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  labelSelectorText,
  labelValueErrors,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  requirementsOf,
  SelectorError,
} from './selectors.ts';

describe('labels', () => {
  test.each<[string, string]>([
    ['', ''],
    ['a', 'a'],
    ['!a', '!a'],
    [' ! a ', '!a'],
    ['a=b', 'a=b'],
    ['a==b', 'a==b'],
    ['a!=b', 'a!=b'],
    ['a=', 'a='],
    ['a=,b', 'a=,b'],
    ['b=2,a=1', 'a=1,b=2'],
    ['a in (c, b)', 'a in (b,c)'],
    ['a in (b,b)', 'a in (b)'],
    ['a in (,b)', 'a in (,b)'],
    ['a in ()', 'a in ()'],
    ['a notin (b)', 'a notin (b)'],
    ['in in (in)', 'in in (in)'],
    ['a>1', 'a>1'],
    ['a < 10', 'a<10'],
    ['example.com/a=b', 'example.com/a=b'],
  ])('%j is read as %j', (text, want) => {
    expect(labelSelectorText(parseLabelSelector(text))).toBe(want);
  });

  test.each<[string, string]>([
    ['a,', "found '', expected: identifier after ','"],
    [',a', "found ',', expected: !, identifier, or 'end of string'"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['a in b', "unable to parse requirement: found 'b' expected: '('"],
    ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['a in (b,', "unable to parse requirement: found '', expected: ',', or identifier"],
    ['a in (', "unable to parse requirement: found '', expected: ',', ')' or identifier"],
    ['a=b c', "found 'c', expected: ',' or 'end of string'"],
    ['!', "unable to parse requirement: found '', expected: identifier"],
    [
      'a>x',
      `unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer`,
    ],
  ])('%j is refused', (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(new SelectorError(message));
  });

  test.each([
    ['a=-b', 'values[0][a]: Invalid value: "-b": a valid label must be'],
    ['-a=b', '<nil>: Invalid value: "-a": name part must consist of'],
    ['a/b/c=d', '<nil>: Invalid value: "a/b/c": a valid label key must consist of'],
    ['A.b/c=d', 'prefix part a lowercase RFC 1123 subdomain must consist of'],
    ['/c=d', 'prefix part must be non-empty'],
    ['a/=d', 'name part must be non-empty; name part must consist of'],
    [`a=${'b'.repeat(64)}`, 'must be no more than 63 bytes'],
  ])('%j is refused with the rule it breaks', (text, part) => {
    expect(() => parseLabelSelector(text)).toThrow(part);
  });

  test.each<[string, Record<string, string> | undefined, boolean]>([
    ['', undefined, true],
    ['a', undefined, false],
    ['a', { a: '' }, true],
    ['!a', undefined, true],
    ['!a', { a: '' }, false],
    ['a=b', { a: 'b' }, true],
    ['a=', { a: '' }, true],
    ['a=', {}, false],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a notin (b)', undefined, true],
    ['a notin (b)', { a: 'c' }, true],
    ['a in (b,c)', { a: 'c' }, true],
    ['a in (b,c)', { a: 'd' }, false],
    ['a>1', { a: '2' }, true],
    ['a>1', { a: '1' }, false],
    ['a<10', { a: '9' }, true],
    ['a<10', { a: 'nine' }, false],
    ['a>9007199254740993', { a: '9007199254740994' }, true],
    ['a,b=c', { a: '1', b: 'd' }, false],
    ['constructor', {}, false],
  ])('%j over %j: %s', (text, labels, want) => {
    expect(matchesLabels(parseLabelSelector(text), labels)).toBe(want);
  });

  test('an object says the same as text', () => {
    const selector = {
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['b', 'a'] },
        { key: 'old', operator: 'DoesNotExist' },
        { key: 'env', operator: 'NotIn', values: ['dev'] },
        { key: 'zone', operator: 'Exists' },
      ],
    };
    expect(labelSelectorText(requirementsOf(selector))).toBe(
      'app=web,env notin (dev),!old,tier in (a,b),zone',
    );
    expect(requirementsOf({})).toEqual([]);
    expect(() => requirementsOf({ matchExpressions: [{ key: 'a', operator: 'Near' }] })).toThrow(
      '"Near" is not a valid label selector operator',
    );
  });

  test('what is written can be read again', () => {
    const word = fc.stringMatching(/^[a-z]([-a-z0-9]{0,5}[a-z0-9])?$/);
    const requirement = fc.oneof(
      word,
      word.map((key) => `!${key}`),
      fc.tuple(word, fc.constantFrom('=', '==', '!='), word).map((parts) => parts.join('')),
      fc
        .tuple(word, fc.constantFrom('in', 'notin'), fc.array(word, { minLength: 1 }))
        .map(([key, operator, values]) => `${key} ${operator} (${values.join(', ')})`),
    );
    fc.assert(
      fc.property(fc.array(requirement), (parts) => {
        const read = parseLabelSelector(parts.join(' , '));
        expect(parseLabelSelector(labelSelectorText(read))).toEqual(read);
      }),
    );
  });

  test('the longest value', () => {
    expect(labelValueErrors('b'.repeat(63))).toEqual([]);
  });
});

describe('fields', () => {
  test.each<[string, string]>([
    ['', '[]'],
    ['a=b', '[["a","=","b"]]'],
    ['a==b,c!=d', '[["a","=","b"],["c","!=","d"]]'],
    ['a=', '[["a","=",""]]'],
    [',a=b,', '[["a","=","b"]]'],
    ['a=b\\,c', '[["a","=","b,c"]]'],
    ['a=b\\=c\\\\', '[["a","=","b=c\\\\"]]'],
  ])('%j is read as %s', (text, want) => {
    const got = parseFieldSelector(text).map(({ field, operator, value }) => [field, operator, value]);
    expect(JSON.stringify(got)).toBe(want);
  });

  test.each<[string, string]>([
    ['a', "invalid selector: 'a'; can't understand 'a'"],
    ['a=b=c', 'invalid field selector: unescaped character in value: ='],
    ['a=\\x', 'invalid field selector: invalid escape sequence: \\x'],
  ])('%j is refused', (text, message) => {
    expect(() => parseFieldSelector(text)).toThrow(new SelectorError(message));
  });

  test('a field that is absent counts as empty', () => {
    expect(matchesFields(parseFieldSelector('spec.nodeName='), {})).toBe(true);
    expect(matchesFields(parseFieldSelector('spec.nodeName!='), {})).toBe(false);
    expect(matchesFields(parseFieldSelector('a=1,b!=2'), { a: '1', b: '3' })).toBe(true);
    expect(matchesFields(parseFieldSelector('a=1,b!=2'), { a: '1', b: '2' })).toBe(false);
  });
});
