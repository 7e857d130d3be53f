/** Pruning and defaults in slices give what they give in one go, in the same order, and tell the same. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { JsonObject } from '../api/json.ts';
import { finish, type Pace } from '../api/sliced.ts';
import { withDefaults, withDefaultsInSlices } from './default.ts';
import { prune, pruneInSlices } from './prune.ts';
import { Structural } from './structural.ts';

const ALWAYS: Pace = { due: () => true };

const INNER = {
  type: 'object',
  properties: {
    a: { type: 'integer', default: 3 },
    b: { type: 'string', nullable: true },
    c: { type: 'object', default: {}, properties: { a: { type: 'string', default: 'x' } } },
  },
};

const SCHEMA = new Structural({
  type: 'object',
  properties: {
    a: { type: 'object', additionalProperties: INNER },
    b: { type: 'array', items: INNER },
    c: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { a: INNER } },
    d: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { a: INNER } },
    e: { type: 'string', default: 'e' },
    f: { type: 'object', additionalProperties: true, properties: { ['__proto__']: INNER } },
  },
});

test('the same value, and the same paths are told', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'metadata', 'kind', '__proto__', '1');
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, 1, 'x', true),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(name, tie('value'), { maxKeys: 6 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 8 }), (given) => {
      const object = given as JsonObject;
      const told: string[][] = [[], []];
      const pruned = prune(SCHEMA, object, true, (path) => told[0].push(path));
      const sliced = finish(pruneInSlices(SCHEMA, object, ALWAYS, (path) => told[1].push(path)));
      expect(JSON.stringify(sliced)).toBe(JSON.stringify(pruned));
      expect(told[1]).toEqual(told[0]);
      expect(sliced === object).toBe(pruned === object);
      const filled = withDefaults(SCHEMA, pruned);
      const filledInSlices = finish(withDefaultsInSlices(SCHEMA, pruned, ALWAYS));
      expect(JSON.stringify(filledInSlices)).toBe(JSON.stringify(filled));
      expect(filledInSlices === pruned).toBe(filled === pruned);
    }),
    { seed: 20_261_122, numRuns: 1_000 },
  );
});
