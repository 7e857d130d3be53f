import { expect, test } from '@jest/globals';

import { readJson } from '../codec/json-reader.ts';
import { Structural } from '../schema/structural.ts';
import { TypeTable } from '../schema/type-table.ts';
import { readEmbedded } from './embedded.ts';

const objectMeta = new TypeTable().struct('meta.v1.ObjectMeta');

test('a member called __proto__ is kept, and is none of the others', () => {
  const schema = new Structural({
    type: 'object',
    'x-kubernetes-embedded-resource': true,
    'x-kubernetes-preserve-unknown-fields': true,
  });
  const text = '{"__proto__":{"kind":5,"metadata":7},"apiVersion":"v1","metadata":{"name":"a"}}';
  expect(JSON.stringify(readEmbedded(schema, readJson(text), '', { objectMeta }))).toBe(text);
});
