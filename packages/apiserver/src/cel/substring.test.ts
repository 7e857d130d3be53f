import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { indexIn, lastIndexIn, splitBy } from './substring.ts';

/** Long enough that the engine's own search is not asked, of few letters so that texts repeat themselves. */
const TEXTS = fc
  .tuple(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 8 }), fc.nat(2_500))
  .map(([piece, at]) => `${piece.repeat(Math.ceil(6_000 / piece.length)).slice(at)}b${piece}`);
const PARTS = fc
  .tuple(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 5 }), fc.boolean())
  .map(([piece, last]) => `${piece.repeat(Math.ceil(400 / piece.length))}${last ? 'b' : ''}`);

describe('the long way finds what the engine finds', () => {
  test('from the left, from the right, and all places', () => {
    fc.assert(
      fc.property(TEXTS, PARTS, fc.nat(6_000), (text, part, from) => {
        expect(text.length * part.length).toBeGreaterThan(1_000_000);
        expect(indexIn(text, part, from)).toBe(text.indexOf(part, from));
        expect(lastIndexIn(text, part, from)).toBe(text.lastIndexOf(part, from));
        expect(splitBy(text, part)).toEqual(text.split(part));
      }),
      { seed: 8, numRuns: 200 },
    );
  });
});

test('texts that repeat themselves take time by their lengths, not by the product', () => {
  const text = 'a'.repeat(1_000_000);
  // The engine takes minutes for each of these.
  expect(indexIn(text, `${'a'.repeat(250_000)}b${'a'.repeat(250_000)}`)).toBe(-1);
  expect(lastIndexIn(text, `${'a'.repeat(500_000)}b`, text.length)).toBe(-1);
  expect(splitBy(text, `${'a'.repeat(300_000)}b`)).toEqual([text]);
});
