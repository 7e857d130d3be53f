import { expect, test } from '@jest/globals';

import { JsonFloat, type Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { LOOK_EVERY } from '../api/sliced.ts';
import { withKeptMembers } from './kept-members.ts';

const objectOf = (spec: Json): KubeObject & { readonly spec: Json } => ({
  apiVersion: 'v1',
  kind: 'K',
  metadata: { name: 'n' },
  spec,
});

function kept(object: KubeObject, old: KubeObject): { given: KubeObject; steps: number } {
  const work = withKeptMembers(object, old, { due: () => true });
  for (let steps = 0; ; steps += 1) {
    const step = work.next();
    if (step.done === true) return { given: step.value, steps };
  }
}

const LONG = (): Json => Array.from({ length: 1_000 }, (_none, at) => ({ at, of: [at, 'x'] }));

test.each<[string, () => Json, () => Json, boolean]>([
  ['as before', LONG, LONG, true],
  ['numbers that were fractions', () => [new JsonFloat(1)], () => [new JsonFloat(1)], true],
  ['a fraction and an integer', () => [new JsonFloat(1)], () => [1], false],
  ['zeros of both signs', () => [new JsonFloat(0)], () => [new JsonFloat(-0)], false],
  ['another order', () => ({ a: 1, b: [] }), () => ({ b: [], a: 1 }), false],
  ['null and nothing', () => ({ a: null }), () => ({}), false],
  ['empty and null', () => ({ a: [] }), () => ({ a: null }), false],
  ['a list and an object', () => [], () => ({}), false],
  ['one item more', () => [1, 2], () => [1], false],
])('%s', (_name, next, before, same) => {
  const object = objectOf(next());
  const old = { ...objectOf(before()), status: {} };
  const { given } = kept(object, old);
  expect(given).toStrictEqual(object);
  expect(given['spec'] === old.spec).toBe(same);
  expect(given.metadata).toBe(object.metadata);
});

test('what is long is put down', () => {
  expect(kept(objectOf(LONG()), objectOf(LONG())).steps).toBeGreaterThan(1_000 / LOOK_EVERY);
});
