import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RangeCache, overlap } from './range-cache.ts';

const answer = (text: string): Buffer => Buffer.from(text);

describe('the cache of ranges', () => {
  test('what is used least is forgotten first, by entries and by bytes', () => {
    const cache = new RangeCache(2, 1_000_000);
    for (const key of ['a', 'b']) cache.add(key, key, '', 0, answer(key), cache.mark());
    expect(cache.get('a', 0)?.toString()).toBe('a');
    cache.add('c', 'c', '', 0, answer('c'), cache.mark());
    expect(['a', 'b', 'c'].map((id) => cache.get(id, 0)?.toString())).toEqual(['a', undefined, 'c']);
    expect(cache.size).toBe(2);
    const small = new RangeCache(100, 10);
    for (const key of ['a', 'b', 'c']) small.add(key, key, '', 0, answer('1234'), small.mark());
    expect([small.size, small.bytes]).toEqual([2, 10]);
  });

  test.each<[string, [string, string], [string, string], boolean]>([
    ['the key itself', ['b', ''], ['b', ''], true],
    ['another key', ['b', ''], ['a', ''], false],
    ['a key inside', ['a', 'c'], ['b', ''], true],
    ['the end is outside', ['a', 'c'], ['c', ''], false],
    ['ranges that meet', ['a', 'c'], ['b', 'd'], true],
    ['ranges that touch', ['a', 'c'], ['c', 'd'], false],
    ['from a key on', ['b', '\0'], ['z', ''], true],
    ['before a key', ['b', '\0'], ['a', ''], false],
    ['everything', ['\0', '\0'], ['x', 'y'], true],
  ])('a write takes out what it touches: %s', (_name, [key, end], [writeKey, writeEnd], out) => {
    const cache = new RangeCache();
    cache.add('id', key, end, 0, answer('x'), cache.mark());
    cache.invalidate(writeKey, writeEnd);
    expect(cache.get('id', 0) === undefined).toBe(out);
    expect(cache.size).toBe(out ? 0 : 1);
    // While it is fetched as well.
    const mark = cache.mark();
    cache.invalidate(writeKey, writeEnd);
    cache.add('id', key, end, 0, answer('x'), mark);
    expect(cache.get('id', 0) === undefined).toBe(out);
  });

  test('an answer of a revision is not touched by writes, and is gone once it is compacted', () => {
    const cache = new RangeCache();
    cache.add('at 5', 'a', '', 5, answer('five'), cache.mark());
    cache.invalidate('a', '');
    expect(cache.get('at 5', 5)?.toString()).toBe('five');
    cache.compact(5);
    expect(cache.get('at 5', 5)?.toString()).toBe('five');
    cache.compact(6);
    expect([cache.get('at 5', 5), cache.size]).toEqual(['compacted', 0]);
    cache.add('at 6', 'a', '', 6, answer('six'), cache.mark());
    expect(cache.size).toBe(0);
  });

  test('a fetch that took longer than the writes remembered is not kept; nor one across a clearing', () => {
    const cache = new RangeCache();
    let mark = cache.mark();
    for (let i = 0; i < 257; i++) cache.invalidate('other', '');
    cache.add('a', 'a', '', 0, answer('x'), mark);
    expect(cache.size).toBe(0);
    mark = cache.mark();
    cache.clear();
    cache.add('a', 'a', '', 0, answer('x'), mark);
    expect(cache.size).toBe(0);
  });

  test('as a list that is searched from one end to the other', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const end = fc.constantFrom('', '\0', 'b', 'c', 'e');
    const step = fc.record({ add: fc.boolean(), key, end });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const cache = new RangeCache();
        let plain: { id: string; key: string; end: string }[] = [];
        for (const { add, ...range } of steps) {
          const id = `${range.key} ${range.end}`;
          plain = plain.filter((each) =>
            add ? each.id !== id : !overlap(each.key, each.end, range.key, range.end),
          );
          if (add) plain.push({ id, ...range });
          if (add) cache.add(id, range.key, range.end, 0, answer('x'), cache.mark());
          else cache.invalidate(range.key, range.end);
          expect(cache.size).toBe(plain.length);
          for (const each of plain) expect(cache.get(each.id, 0)).toBeDefined();
        }
      }),
    );
  });
});
