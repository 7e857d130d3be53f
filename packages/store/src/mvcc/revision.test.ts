import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { encodeRevision, encodeTombstone, isTombstone, revisionMain, revisionSub } from './revision.ts';

test.each<[string, number, number, string]>([
  ['first', 1, 0, '00000000000000015f0000000000000000'],
  ['sub', 2, 258, '00000000000000025f0000000000000102'],
  ['beyond 32 bits', 2 ** 40 + 3, 2 ** 33, '00000100000000035f0000000200000000'],
  ['largest', Number.MAX_SAFE_INTEGER, 0, '001fffffffffffff5f0000000000000000'],
])('the bytes of etcd: %s', (_name, main, sub, hex) => {
  expect(Buffer.from(encodeRevision(main, sub), 'latin1').toString('hex')).toBe(hex);
  expect(Buffer.from(encodeTombstone(main, sub), 'latin1').toString('hex')).toBe(`${hex}74`);
});

test('reads what it writes; string order is the order of changes', () => {
  const revision = fc.tuple(fc.maxSafeNat(), fc.oneof(fc.nat(3), fc.maxSafeNat()));
  fc.assert(
    fc.property(revision, revision, ([main, sub], [otherMain, otherSub]) => {
      const key = encodeRevision(main, sub);
      expect([revisionMain(key), revisionSub(key), isTombstone(key)]).toEqual([main, sub, false]);
      const raw = `k${encodeTombstone(main, sub)}`;
      expect([revisionMain(raw, 1), revisionSub(raw, 1), isTombstone(raw, 1)]).toEqual([main, sub, true]);
      const other = encodeRevision(otherMain, otherSub);
      expect(key < other).toBe(main < otherMain || (main === otherMain && sub < otherSub));
      if (key < other) expect(raw.slice(1) < other).toBe(true);
    }),
  );
});
