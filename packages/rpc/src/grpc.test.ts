import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  MessageReader,
  eachHeader,
  formatTimeout,
  isGrpcContentType,
  metadataFrom,
  parseTimeout,
  percentDecode,
  percentEncode,
} from './grpc.ts';
import { Metadata } from './metadata.ts';

test.each<[string, number | string]>([
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3000],
  ['5000m', 5000],
  ['1500u', 1.5],
  ['1000000n', 1],
  ['0S', 0],
  ['99999999H', 359_999_996_400_000],
  ['S', 'transport: timeout string is too short: "S"'],
  ['123456789S', 'transport: timeout string is too long: "123456789S"'],
  ['5x', 'transport: timeout unit is not recognized: "5x"'],
  ['-5S', 'strconv.ParseUint: parsing "-5": invalid syntax'],
])('timeout %s', (text, want) => {
  expect(parseTimeout(text)).toBe(want);
});

test.each([
  [0, '0m'],
  [0.2, '1m'],
  [5000, '5000m'],
  [99_999_999, '99999999m'],
  [100_000_000, '100000S'],
  [Number.MAX_SAFE_INTEGER, '99999999H'],
])('%d ms as timeout', (ms, want) => {
  expect(formatTimeout(ms)).toBe(want);
});

test('a timeout is never shortened on its way', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e14, noNaN: true }), (ms) => {
      expect(parseTimeout(formatTimeout(ms))).toBeGreaterThanOrEqual(ms);
    }),
  );
});

describe('status messages', () => {
  test.each([
    ['plain text, 50 %', 'plain text, 50 %25'],
    ['étcd\n', '%C3%A9tcd%0A'],
    ['\uD800', '%EF%BF%BD'],
  ])('%j', (text, encoded) => {
    expect(percentEncode(text)).toBe(encoded);
  });

  test('decode undoes encode; what is no escape stays', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(percentDecode(percentEncode(text))).toBe(Buffer.from(text, 'utf8').toString('utf8'));
      }),
    );
    expect(percentDecode('100% %zz %4')).toBe('100% %zz %4');
  });
});

test.each([
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['Application/GRPC;charset=x', true],
  ['application/grpcx', false],
  ['application/json', false],
  ['', false],
])('content type %j', (type, want) => {
  expect(isGrpcContentType(type)).toBe(want);
});

test('metadata goes through headers and comes back', () => {
  const metadata = Metadata.of({ token: 'a', 'x-bin': Buffer.from([0, 255, 1]) });
  metadata.add('token', 'b');
  const pairs: string[] = [];
  eachHeader(metadata, (name, value) => pairs.push(name, value));
  expect(pairs).toEqual(['token', 'a', 'token', 'b', 'x-bin', 'AP8B']);
  expect([...metadataFrom(pairs).entries()]).toEqual([...metadata.entries()]);
  expect(metadataFrom(['y-bin', 'AA==,AQ']).all('y-bin')).toEqual([Buffer.from([0]), Buffer.from([1])]);
});

test('messages come out of any pieces; memory follows what came', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1 }),
      (messages, sizes) => {
        const stream = Buffer.concat(
          messages.flatMap((message) => {
            const head = Buffer.alloc(5);
            head.writeUInt32BE(message.length, 1);
            return [head, message];
          }),
        );
        const reader = new MessageReader();
        const got: Buffer[] = [];
        let piece = 0;
        for (let at = 0; at < stream.length;) {
          at += reader.feed(stream, at, Math.min(stream.length, at + (sizes[piece++ % sizes.length] ?? 1)));
          if (reader.complete) got.push(reader.take());
        }
        expect(got.map((message) => [...message])).toEqual(messages.map((message) => [...message]));
        expect(reader.empty).toBe(true);
      },
    ),
  );
});
