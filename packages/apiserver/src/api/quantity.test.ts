import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { canonicalQuantity, Quantity, QuantityError } from './quantity.ts';

describe('canonical form', () => {
  test.each<[string, string]>([
    ['0', '0'],
    ['0n', '0'],
    ['0Ki', '0'],
    ['-0', '0'],
    ['1', '1'],
    ['+1', '1'],
    ['001', '1'],
    ['100m', '100m'],
    ['1000m', '1'],
    ['0.1', '100m'],
    ['.5', '500m'],
    ['1.', '1'],
    ['1.5', '1500m'],
    ['1500', '1500'],
    ['1000', '1k'],
    ['1000k', '1M'],
    ['1e3', '1e3'],
    ['1E3', '1e3'],
    ['1E', '1E'],
    ['12e7', '120e6'],
    ['1e-3', '1e-3'],
    ['1e0', '1'],
    ['1Ki', '1Ki'],
    ['1024Ki', '1Mi'],
    ['1.5Gi', '1536Mi'],
    ['0.5Gi', '512Mi'],
    ['1.5Ki', '1536'],
    ['0.1Ki', '102400m'],
    ['100Ki', '100Ki'],
    ['1023', '1023'],
    ['1Ei', '1Ei'],
    ['1E18', '1e18'],
    ['0.0000000001', '1n'],
    ['-0.0000000001', '-1n'],
    ['1.0000000001', '1000000001n'],
    ['100000000000000000000', '9223372036854775807'],
    ['-9E999', '-9223372036854775807'],
    ['1e-400', '1e-9'],
    ['-1Ki', '-1Ki'],
    ['250u', '250u'],
    ['2000n', '2u'],
  ])('%s is %s', (text, want) => {
    expect(canonicalQuantity(text)).toBe(want);
  });

  test.each([
    '',
    ' 1',
    '1 ',
    '1i',
    '1KiB',
    'Ki',
    '+',
    '-',
    '.',
    '1ki',
    '1e',
    '1e+',
    '1.1.1',
    '0x10',
    '1,5',
    'e3',
    'NaN',
  ])('%j is refused', (text) => {
    expect(() => canonicalQuantity(text)).toThrow(QuantityError);
  });

  test('the texts of refusals', () => {
    expect(() => Quantity.parse('')).toThrow(
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
    expect(() => Quantity.parse('1Kii')).toThrow("unable to parse quantity's suffix");
    expect(() => Quantity.parse('1.1.1')).toThrow('unable to parse numeric part of quantity');
  });
});

const amount = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.nat(),
    fc.nat(9999),
    fc.constantFrom('', 'm', 'k', 'M', 'Ki', 'Mi', 'Gi', 'e3', 'e-3'),
  )
  .map(([sign, whole, fraction, suffix]) => `${sign}${whole}.${fraction}${suffix}`);

test('what is written reads as the same amount, and is canonical already', () => {
  fc.assert(
    fc.property(amount, (text) => {
      const quantity = Quantity.parse(text);
      const written = quantity.toString();
      // A binary amount without a suffix reads as a decimal one: `1.953125Ki` is written `2000`, which reads as `2k`.
      if (!text.endsWith('i') || written.endsWith('i')) expect(canonicalQuantity(written)).toBe(written);
      // A binary amount is written in whole units.
      if (!text.endsWith('i')) expect(Quantity.parse(written).compare(quantity)).toBe(0);
    }),
  );
});

test('sums, differences and order', () => {
  const half = Quantity.parse('500m');
  const gibi = Quantity.parse('1Gi');
  expect(half.add(half).toString()).toBe('1');
  expect(gibi.subtract(Quantity.parse('512Mi')).toString()).toBe('512Mi');
  expect(Quantity.of(0).add(gibi).toString()).toBe('1Gi');
  expect(half.compare(gibi)).toBe(-1);
  expect(gibi.compare(gibi)).toBe(0);
  expect(half.units()).toBe(1n);
  expect(Quantity.parse('-1500u').millis()).toBe(-2n);
});

test('a plain amount is read as it is with a sign, which takes the long way', () => {
  const digits = fc.integer({ min: 0, max: 10 ** 10 }).map(String);
  const suffix = fc.constantFrom(
    '',
    'n',
    'u',
    'm',
    'k',
    'M',
    'G',
    'T',
    'P',
    'E',
    'Ki',
    'Mi',
    'Gi',
    'Ti',
    'Pi',
    'Ei',
  );
  fc.assert(
    fc.property(fc.tuple(fc.constantFrom('', '0', '00'), digits, suffix), ([zeros, whole, unit]) => {
      const plain = Quantity.parse(zeros + whole + unit);
      expect(plain).toEqual(Quantity.parse(`+${zeros}${whole}${unit}`));
    }),
    { seed: 36, numRuns: 400 },
  );
});
