import { expect, test } from '@jest/globals';

import { isJsonObject } from '../api/json.ts';
import { readJson } from '../codec/json-reader.ts';
import { withStringData } from './secret-data.ts';

test('what is said as text lies over the bytes, under whichever key', () => {
  const secret = readJson('{"data":{"a":"YQ==","b":"Yg=="},"stringData":{"a":"x","__proto__":"yz"}}');
  expect(JSON.stringify(isJsonObject(secret) && withStringData(secret))).toBe(
    '{"data":{"a":"eA==","b":"Yg==","__proto__":"eXo="}}',
  );
});

test('where nothing is said as text, there is no data either', () => {
  expect(withStringData({ stringData: {}, type: 'Opaque' })).toEqual({ type: 'Opaque' });
});
