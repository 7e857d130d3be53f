import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { KeyHistory } from './key-index.ts';
import { KeyValue } from './key-value.ts';
import { ValueCache } from './value-cache.ts';

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key, size: fc.constantFrom(0, 10, 900) }),
  fc.record({ kind: fc.constantFrom('get' as const, 'delete' as const), key, size: fc.constant(0) }),
);

test('holds the newest version or nothing, within its bound', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.constantFrom(0, 5_000, 8_000, 100_000),
      (steps, bytesMax) => {
        const cache = new ValueCache(bytesMax);
        const newest = new Map<string, KeyValue>();
        let modRevision = 1;
        for (const { kind, key: name, size } of steps) {
          if (kind === 'set') {
            const kv = KeyValue.write(name, 1, ++modRevision, 1, Buffer.alloc(size, modRevision), 0n);
            newest.set(name, kv);
            cache.set(name, kv);
          } else if (kind === 'delete') {
            newest.delete(name);
            cache.delete(name);
          } else {
            for (const found of [cache.peek(name), cache.get(name)]) {
              if (found !== undefined) expect(found.encoded).toEqual(newest.get(name)?.encoded);
            }
          }
          expect(cache.size * 400).toBeLessThanOrEqual(bytesMax);
        }
      },
    ),
  );
});

test('what is read stays, what is not goes', () => {
  const cache = new ValueCache(8_000);
  const kv = (name: string): KeyValue => KeyValue.write(name, 1, 1, 1, Buffer.alloc(50), 0n);
  cache.set('hot', kv('hot'));
  for (let i = 0; i < 100; i++) {
    cache.set(`k${i}`, kv(`k${i}`));
    expect(cache.get('hot')).toBeDefined();
  }
  expect(cache.get('k0')).toBeUndefined();
  expect(cache.get('k99')).toBeDefined();
});

test('writing a key again keeps its entry, and what the index has of it', () => {
  const cache = new ValueCache(8_000);
  const kv = (revision: number): KeyValue => KeyValue.write('a', 1, revision, 1, Buffer.alloc(50), 0n);
  const history = new KeyHistory(1, 1, 0, 1);
  cache.replace(undefined, 'a', kv(1), history);
  const entry = cache.find('a');
  cache.replace(entry, 'a', kv(2), history);
  expect(cache.find('a')).toBe(entry);
  expect(cache.get('a')?.modRevision).toBe(2);
  // What only read the newest version leaves the rest as it is.
  cache.set('a', kv(3));
  expect(cache.find('a')).toMatchObject({ history, kv: { modRevision: 3 } });
  // An entry of the generation before is not written to any more.
  for (let i = 0; i < 12; i++) cache.set(`k${i}`, kv(1));
  expect(cache.find('a')).toBe(entry);
  cache.replace(entry, 'a', kv(4), history);
  expect(cache.find('a')).not.toBe(entry);
  expect(cache.find('a')).toMatchObject({ history, kv: { modRevision: 4 } });
});
