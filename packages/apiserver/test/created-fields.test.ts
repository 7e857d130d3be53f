import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import { finish } from '../src/api/sliced.ts';
import { createdFields, createdFieldsInSlices } from '../src/patch/created-fields.ts';
import { PathElement } from '../src/patch/field-path.ts';
import { FieldSet } from '../src/patch/field-set.ts';
import { compareTyped } from '../src/patch/typed-merge-compare.ts';
import { validateTyped } from '../src/patch/typed-merge-validate.ts';
import { zeroObject } from '../src/patch/typed-merge-zero.ts';
import type { TypeSchema } from '../src/schema/type-schema.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { customSpecs } from './apply-arbitraries.ts';
import { Runner } from './apply-cases.ts';
import { goldenNames, HAS_GOLDEN, readGolden } from './golden.ts';

const types = new TypeTable();
const path = (...names: string[]): PathElement[] => names.map((name) => PathElement.field(name));
const NOTHING = FieldSet.EMPTY;
const STRIPPED = FieldSet.of(
  path('kind'),
  path('metadata'),
  path('metadata', 'name'),
  path('spec', 'nodeName'),
);
const RESET = FieldSet.of(path('status'), path('metadata', 'annotations'), path('spec', 'replicas'));

/** As the general way has it, in the order it is written in; what it refuses as undefined. */
function generally(
  start: JsonObject,
  next: JsonObject,
  type: TypeSchema,
  reset: FieldSet,
  stripped: FieldSet,
): string | undefined {
  try {
    validateTyped(next, type, true);
    const { modified, added } = compareTyped(start, next, type);
    const fields = modified.union(added).recursiveDifference(reset).difference(stripped);
    return JSON.stringify(fields.toJson());
  } catch {
    return undefined;
  }
}

function directly(
  start: JsonObject,
  next: JsonObject,
  type: TypeSchema,
  reset: FieldSet,
  stripped: FieldSet,
): string | undefined {
  const taken = reset.isEmpty ? undefined : reset;
  const fields = createdFields(start, next, type, taken, stripped);
  const inSlices = finish(createdFieldsInSlices(start, next, type, taken, stripped, { due: () => true }));
  expect(inSlices && JSON.stringify(inSlices)).toBe(fields && JSON.stringify(fields));
  return fields && JSON.stringify(fields);
}

const NAMES = goldenNames();
/** Any JSON where there was null: of another form than what was there, which is for the general way. */
const BEGIN_WITH_NULL = new Set([
  'apps.v1beta1.ControllerRevision',
  'apps.v1beta2.ControllerRevision',
  'core.v1.WatchEvent',
]);

describe('objects of all kinds (needs ../shared/kubernetes/golden)', () => {
  (HAS_GOLDEN ? test.each(NAMES) : test.skip.each(['the golden objects are not beside the repository']))(
    '%s',
    (name) => {
      const { type: typeName, json, apiVersion, kind } = readGolden(name, types);
      const type = types.struct(typeName);
      const start = { ...zeroObject(type), apiVersion, kind };
      for (const [reset, stripped] of [
        [NOTHING, NOTHING],
        [NOTHING, STRIPPED],
        [RESET, STRIPPED],
      ]) {
        const got = directly(start, json, type, reset, stripped);
        if (BEGIN_WITH_NULL.has(name)) expect(got).toBeUndefined();
        else expect(got).toBe(generally(start, json, type, reset, stripped));
      }
    },
  );

  (HAS_GOLDEN ? test : test.skip)('with something else in one place: the same, or not known', () => {
    const others: Json[] = [null, '', 'x', 0, 7, true, [], {}, ['x', 'x'], [{ name: 'x' }], { x: null }];
    let known = 0;
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), fc.nat(), fc.constantFrom(...others), (name, place, other) => {
        const { type: typeName, json, apiVersion, kind } = readGolden(name, types);
        const type = types.struct(typeName);
        const start = { ...zeroObject(type), apiVersion, kind };
        const left = { count: place % Math.max(1, sizeOf(json)) };
        const changed = replaced(json, left, other);
        if (!isJsonObject(changed)) return;
        const got = directly(start, changed, type, RESET, STRIPPED);
        if (got === undefined) return;
        known += 1;
        expect(got).toBe(generally(start, changed, type, RESET, STRIPPED));
      }),
      { seed: 20_261_121, numRuns: 1_500 },
    );
    expect(known).toBeGreaterThan(300);
  });
});

test('a type of a custom resource: the same, or not known', () => {
  const type = new Runner().typeOf('test.All');
  const spec = customSpecs();
  const start = { apiVersion: 'example.dev/v1', kind: 'Test' };
  let known = 0;
  fc.assert(
    fc.property(spec, (given) => {
      const next = { ...start, metadata: { name: 'it' }, spec: given as JsonObject };
      const got = directly(start, next, type, NOTHING, STRIPPED);
      if (got === undefined) return;
      known += 1;
      expect(got).toBe(generally(start, next, type, NOTHING, STRIPPED));
    }),
    { seed: 20_261_122, numRuns: 1_000 },
  );
  expect(known).toBeGreaterThan(100);
});

function sizeOf(value: Json): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item: Json) => sum + sizeOf(item), 1);
  if (!isJsonObject(value)) return 1;
  return Object.values(value).reduce((sum: number, member) => sum + sizeOf(member), 1);
}

/** The value with another in one place, counted in the order of the walk. */
function replaced(value: Json, left: { count: number }, by: Json): Json {
  if (left.count < 0) return value;
  left.count -= 1;
  if (left.count < 0) return by;
  if (Array.isArray(value)) return value.map((item: Json) => replaced(item, left, by));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, replaced(member, left, by)]),
  );
}
