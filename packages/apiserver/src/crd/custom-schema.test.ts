/** Schemas that are in use are compiled once; those that are used no more go. */
import { expect, test } from '@jest/globals';

import type { JsonObject } from '../api/json.ts';
import { CompiledSchemas, CustomSchema } from './custom-schema.ts';

const SOURCE: JsonObject = { type: 'object', properties: { size: { type: 'integer' } } };

test('a schema is compiled once as long as it is in use', () => {
  const schema = new CustomSchema(SOURCE, new CompiledSchemas());
  expect(schema.source()).toEqual(SOURCE);
  expect(schema.structural()).toBe(schema.structural());
  expect(schema.structural().properties.get('size')?.type).toBe('integer');
});

test('one of a definition that went is kept no more', () => {
  const compiled = new CompiledSchemas();
  const schema = new CustomSchema(SOURCE, compiled);
  const first = schema.structural();
  compiled.forget(schema);
  compiled.forget(schema);
  const again = schema.structural();
  expect(again).not.toBe(first);
  expect(schema.structural()).toBe(again);
});

test('those that were used longest ago make room', () => {
  const compiled = new CompiledSchemas();
  const long = (name: string): CustomSchema =>
    new CustomSchema({ type: 'object', description: name.repeat(1_500_000) }, compiled);
  const [a, b, c] = ['a', 'b', 'c'].map(long);
  const [ofA, ofB] = [a.structural(), b.structural()];
  expect(a.structural()).toBe(ofA);
  c.structural();
  expect(a.structural()).toBe(ofA);
  expect(b.structural()).not.toBe(ofB);
});
