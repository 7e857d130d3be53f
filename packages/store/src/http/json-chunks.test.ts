import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { JsonChunks } from './json-chunks.ts';

function feed(text: string, sizes: readonly number[]): { values: string[]; rest: string | undefined } {
  const chunks = new JsonChunks(1 << 20);
  const bytes = Buffer.from(text, 'utf8');
  const values: string[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : sizes[i % sizes.length];
    values.push(...chunks.push(bytes.subarray(at, at + size)));
    at += size;
  }
  return { values, rest: chunks.rest() };
}

test('values are found wherever the bytes are cut and whatever stands between them', () => {
  const value = fc
    .oneof(fc.object({ maxDepth: 2 }), fc.array(fc.string()), fc.string())
    .map((v) => JSON.stringify(v));
  const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 5 });
  fc.assert(
    fc.property(
      fc.array(value, { maxLength: 5 }),
      fc.constantFrom('', ' ', '\n', '\r\n\t'),
      sizes,
      (all, blank, cut) => {
        expect(feed(all.join(blank), cut)).toEqual({ values: all, rest: undefined });
      },
    ),
  );
});

test.each<[string, string[], string | undefined]>([
  ['{"a":"}{\\""}{', ['{"a":"}{\\""}'], '{'],
  ['true 12 {}', ['true', '12', '{}'], undefined],
  ['{} x', ['{}'], 'x'],
  ['}{}', ['}', '{}'], undefined],
  [' \n ', [], undefined],
])('%s', (text, values, rest) => {
  expect(feed(text, [])).toEqual({ values, rest });
});

test('a value of more bytes than allowed is refused with the text gRPC has for it', () => {
  const chunks = new JsonChunks(8);
  expect(chunks.push(Buffer.from('{"a":1}'))).toEqual(['{"a":1}']);
  expect(() => chunks.push(Buffer.from('{"a":123'))).not.toThrow();
  expect(() => chunks.push(Buffer.from('4'))).toThrow('grpc: received message larger than max (9 vs. 8)');
});
