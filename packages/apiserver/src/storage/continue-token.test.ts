import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { decodeContinue, encodeContinue, NEWEST } from './continue-token.ts';

test('the form that servers exchange', () => {
  const text = encodeContinue('/registry/pods/ns/a\0', '/registry/pods/', 42);
  expect(Buffer.from(text, 'base64url').toString()).toBe(
    String.raw`{"v":"meta.k8s.io/v1","rv":42,"start":"ns/a\u0000"}`,
  );
  expect(text).not.toContain('=');
});

test('a key of another list has no token', () => {
  for (const prefix of ['/registry/pods/ns/', '']) {
    expect(() => encodeContinue('/registry/pods/other/a\0', prefix, 1)).toThrow(
      'the key and key prefix do not match',
    );
  }
});

test('what was encoded comes back, and stays below the prefix', () => {
  const segment = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => !text.includes('/') && text !== '.' && text !== '..');
  fc.assert(
    fc.property(
      fc.array(segment, { minLength: 1, maxLength: 3 }),
      fc.oneof(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), fc.constant(NEWEST)),
      (segments, revision) => {
        const start = `/registry/pods/${segments.join('/')}\0`;
        expect(decodeContinue(encodeContinue(start, '/registry/pods/', revision), '/registry/pods/')).toEqual(
          {
            start,
            revision,
          },
        );
      },
    ),
  );
});

test('whatever is sent, a start is below the prefix or refused', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', '.', '..', '', '/', '\0'), { maxLength: 6 }), (parts) => {
      const token = Buffer.from(
        JSON.stringify({ v: 'meta.k8s.io/v1', rv: 1, start: parts.join('/') }),
      ).toString('base64url');
      let start: string;
      try {
        ({ start } = decodeContinue(token, '/registry/pods/'));
      } catch (error) {
        expect(error).toMatchObject({ code: 400 });
        return;
      }
      expect(start.startsWith('/registry/pods/')).toBe(true);
      expect(start.split('/').slice(1)).not.toContain('..');
    }),
  );
});
