/**
 * What a Secret says as text: it lies over the bytes, before anything else looks at the object, and is not kept. That is
 * the original's conversion of version 1.
 */

import type { JsonObject } from '../api/json.ts';
import { textMap, withField } from '../validation/value.ts';

/** stringData is a way to write only: it lies over data and is not kept. */
export function withStringData(object: JsonObject): JsonObject {
  const plain = object['stringData'];
  if (plain === undefined) return object;
  const told = Object.entries(textMap(object, 'stringData')).map(([key, value]) => [key, toBase64(value)]);
  if (told.length === 0) return withField(object, 'stringData', undefined);
  // Spread, so that `__proto__` is a key as any other.
  const data: JsonObject = { ...textMap(object, 'data'), ...Object.fromEntries(told) };
  return withField(withField(object, 'data', data), 'stringData', undefined);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function toBase64(value: string): string {
  const bytes = new TextEncoder().encode(value);
  let encoded = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const group = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const kept = Math.min(3, bytes.length - at) + 1;
    for (let index = 0; index < 4; index += 1) {
      encoded += index < kept ? ALPHABET[(group >> (18 - 6 * index)) & 63] : '=';
    }
  }
  return encoded;
}
