/** Rules over defaults cost together what those of an object may. */

import { expect, test } from '@jest/globals';

import { finish, WITHOUT_PAUSE } from '../api/sliced.ts';
import { RegexCache } from '../cel/regex.ts';
import { Structural } from '../schema/structural.ts';
import { TypeTable } from '../schema/type-table.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { CelRules } from './cel-rules.ts';
import { checkDefaults, type DefaultCheck } from './default-errors.ts';

const objectMeta = new TypeTable().struct('meta.v1.ObjectMeta');
const ROOT = FieldPath.of('schema');

function schemaOf(count: number): Structural {
  const node = { type: 'integer', default: 1, 'x-kubernetes-validations': [{ rule: 'self > 0' }] };
  return new Structural({
    type: 'object',
    properties: Object.fromEntries(Array.from({ length: count }, (_none, at) => [`p${at}`, node])),
  });
}

test('what one default leaves is all that the next one has', () => {
  const left: (number | undefined)[] = [];
  const check: DefaultCheck = {
    patterns: new RegexCache(),
    objectMeta,
    // oxlint-disable-next-line require-yield -- it is never put down
    *evaluate({ old, budget }) {
      left.push(budget?.left);
      if (budget !== undefined) budget.left -= old === undefined ? 4_000_000 : 1_000_000;
      return [];
    },
  };
  const errors = new FieldErrors();
  checkDefaults(errors, schemaOf(5), ROOT, check);
  expect(left).toEqual([10_000_000, 10_000_000, 6_000_000, 6_000_000, 2_000_000, 2_000_000]);
  expect(errors.list).toEqual([]);
});

test('rules are ended by the budget they are given', () => {
  const budget = { left: 1 };
  const old = undefined;
  const errors = finish(
    new CelRules().evaluate(
      { schema: schemaOf(3), value: { p0: 1, p1: 1, p2: 1 }, old, budget },
      WITHOUT_PAUSE,
    ),
  );
  expect(errors.map(({ body }) => body)).toEqual([
    expect.stringContaining('validation failed due to running out of cost budget'),
  ]);
  expect(budget.left).toBeLessThanOrEqual(0);
});
