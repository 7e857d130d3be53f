import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import { ApiError } from '../src/api/status.ts';
import { FieldSet } from '../src/patch/field-set.ts';
import { decodeManagedFields, managedFieldsOf, withManagedFields } from '../src/patch/managed-fields.ts';
import { applyPatch, trackUpdate, type FieldOptions } from '../src/patch/server-side-apply.ts';
import { compareTyped } from '../src/patch/typed-merge-compare.ts';
import { applyOptions } from './apply-arbitraries.ts';
import { Runner } from './apply-cases.ts';

const runner = new Runner();
const type = runner.typeOf('test.All');
const apiVersion = 'example.dev/v1';

const at = (second: number, more: Partial<FieldOptions> = {}): FieldOptions =>
  applyOptions(type, second, more);

/** Frozen all through, so that a change in place throws. */
function frozen<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) frozen(member);
    Object.freeze(value);
  }
  return value;
}

function objectOf(spec: JsonObject): JsonObject {
  return frozen({ apiVersion, kind: 'Test', metadata: { name: 'it', uid: 'u' }, spec });
}

const word = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor');
const words = fc.uniqueArray(word, { minLength: 1, maxLength: 4 });
const map = fc.dictionary(word, word, { minKeys: 1, maxKeys: 3 });
const item = fc.record(
  { value: word, count: fc.integer({ min: 0, max: 2 }), tags: words, attrs: map },
  { requiredKeys: ['value'] },
);
const list = fc
  .uniqueArray(word, { minLength: 1, maxLength: 4 })
  .chain((names) => fc.tuple(...names.map((name) => item.map((rest): JsonObject => ({ name, ...rest })))));

/** What one writer says: no two of the halves share a field. */
const firstHalf = fc.record(
  { string: word, set: words, list, map, atomicList: words },
  { requiredKeys: ['string'] },
);
const secondHalf = fc.record(
  {
    integer: fc.integer({ min: 0, max: 3 }),
    mapOfSets: fc.dictionary(word, words, { minKeys: 1, maxKeys: 2 }),
    mapOfLists: fc.dictionary(word, list, { minKeys: 1, maxKeys: 2 }),
    mapOfMaps: fc.dictionary(word, map, { minKeys: 1, maxKeys: 2 }),
    atomicMap: map,
    free: fc.dictionary(word, fc.oneof(word, words, map), { minKeys: 1, maxKeys: 3 }),
  },
  { requiredKeys: [] },
);
const spec = fc.tuple(firstHalf, secondHalf).map(([a, b]): JsonObject => ({ ...a, ...b }));

function ownersOf(object: JsonObject): Map<string, FieldSet> {
  const owners = new Map<string, FieldSet>();
  for (const { name, fields } of decodeManagedFields(managedFieldsOf(object) ?? []).values())
    owners.set(name, (owners.get(name) ?? FieldSet.EMPTY).union(fields));
  return owners;
}

test('applying twice is applying once', () => {
  fc.assert(
    fc.property(spec, spec, spec, (before, other, applied) => {
      const live = trackUpdate(undefined, objectOf(before), 'ctl', at(1));
      const shared = applyPatch(frozen(live), objectOf(other), 'other', true, at(2));
      const once = applyPatch(frozen(shared), objectOf(applied), 'me', true, at(3));
      const twice = applyPatch(frozen(once), objectOf(applied), 'me', false, at(4));
      expect(twice).toEqual(once);
    }),
    { numRuns: 60 },
  );
});

test('applying nothing takes back what only the applier owned', () => {
  fc.assert(
    fc.property(firstHalf, secondHalf, (before, applied) => {
      const live = trackUpdate(undefined, objectOf(before), 'ctl', at(1));
      const with_ = applyPatch(frozen(live), objectOf(applied), 'me', false, at(2));
      const nothing = frozen({ apiVersion, kind: 'Test', metadata: { name: 'it' } });
      const without = applyPatch(frozen(with_), nothing, 'me', false, at(3));
      expect(without).toEqual(live);
    }),
    { numRuns: 60 },
  );
});

test('applying nothing leaves what others own as it is', () => {
  fc.assert(
    fc.property(spec, spec, (first, second) => {
      const one = applyPatch(undefined, objectOf(first), 'one', false, at(1));
      const two = applyPatch(frozen(one), objectOf(second), 'two', true, at(2));
      const nothing = frozen({ apiVersion, kind: 'Test', metadata: { name: 'it' } });
      const after = applyPatch(frozen(two), nothing, 'one', false, at(3));
      const mine = ownersOf(two).get('two') ?? FieldSet.EMPTY;
      const { removed, modified, added } = compareTyped(bare(two), bare(after), type);
      expect(removed.intersection(mine).paths()).toEqual([]);
      expect([modified.size, added.size]).toEqual([0, 0]);
      expect(ownersOf(after).has('one')).toBe(false);
      expect(ownersOf(after).get('two')?.equals(mine)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('what an update changed belongs to its writer alone', () => {
  fc.assert(
    fc.property(spec, spec, spec, (first, second, next) => {
      const one = applyPatch(undefined, objectOf(first), 'one', false, at(1));
      const two = applyPatch(frozen(one), objectOf(second), 'two', true, at(2));
      const after = trackUpdate(frozen(two), objectOf(next), 'ctl', at(3));
      const { removed, modified, added } = compareTyped(bare(two), bare(after), type);
      const owners = ownersOf(after);
      const changed = modified.union(added);
      for (const name of ['one', 'two']) {
        const fields = owners.get(name) ?? FieldSet.EMPTY;
        expect(fields.intersection(changed.union(removed)).paths()).toEqual([]);
      }
      const mine = owners.get('ctl') ?? FieldSet.EMPTY;
      expect(changed.difference(mine).paths()).toEqual([]);
      expect(bare(after)).toEqual(objectOf(next));
    }),
    { numRuns: 60 },
  );
});

function bare(object: JsonObject): JsonObject {
  return withManagedFields(object, undefined);
}

describe('the edges', () => {
  test('names that JavaScript minds do nothing to it', () => {
    const names: unknown = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    );
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- parsed just above
    const free = names as JsonObject;
    const live = applyPatch(undefined, objectOf({ free }), 'one', false, at(1));
    const next = applyPatch(live, objectOf({ string: 'a' }), 'one', false, at(2));
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(live['spec']).toEqual({ free });
    expect(next['spec']).toEqual({ string: 'a' });
  });

  test('an update that cannot be tracked is stored without owners, and told', () => {
    const told: string[] = [];
    const live = trackUpdate(undefined, objectOf({ string: 'a' }), 'ctl', at(1));
    const next = trackUpdate(
      live,
      objectOf({ nope: 1 }),
      'ctl',
      at(2, { failed: ({ message }) => told.push(message) }),
    );
    expect(managedFieldsOf(next)).toBeUndefined();
    expect(told).toEqual([
      'failed to convert new object (/it; example.dev/v1, Kind=Test) to smd typed: .spec.nope: field not declared in schema',
    ]);
  });

  test('owners are forgotten when the client sent an empty list that the codec dropped', () => {
    const live = trackUpdate(undefined, objectOf({ string: 'a' }), 'ctl', at(1));
    const next = trackUpdate(live, objectOf({ string: 'b' }), 'ctl', at(2, { reset: true }));
    expect(managedFieldsOf(next)).toBeUndefined();
  });

  test('a version that is not served is told, not tracked', () => {
    const options = at(1, { apiVersion: 'example.dev/v9' });
    expect(
      managedFieldsOf(trackUpdate(undefined, objectOf({ string: 'a' }), 'ctl', options)),
    ).toBeUndefined();
    const patch = { ...objectOf({ string: 'a' }), apiVersion: 'example.dev/v9' };
    expect(() => applyPatch(undefined, patch, 'ctl', false, options)).toThrow(
      'no corresponding type for example.dev/v9',
    );
  });

  test('an annotation that would be too large is dropped', () => {
    const name = 'kubectl.kubernetes.io/last-applied-configuration';
    const annotated: JsonObject = {
      ...objectOf({ string: 'a' }),
      metadata: { name: 'it', annotations: { [name]: '{}' } },
    };
    const live = trackUpdate(undefined, annotated, 'kubectl-client-side-apply', at(1));
    const small = applyPatch(live, objectOf({ integer: 1 }), 'kubectl', false, at(2));
    const large = applyPatch(live, objectOf({ map: { a: 'x'.repeat(256 * 1024) } }), 'kubectl', false, at(2));
    expect(annotationsOf(small)[name]).toMatch(/^\{"apiVersion".*\}\n$/);
    expect(annotationsOf(large)).toEqual({});
  });

  test('deep objects are walked, not refused', () => {
    let deep: Json = 1;
    for (let depth = 0; depth < 900; depth += 1) deep = { a: deep };
    const live = applyPatch(undefined, objectOf({ free: { deep } }), 'one', false, at(1));
    const next = applyPatch(live, objectOf({ string: 'a' }), 'one', false, at(2));
    expect(next['spec']).toEqual({ string: 'a' });
    expect(managedFieldsOf(trackUpdate(live, objectOf({ free: { deep: 1 } }), 'ctl', at(3)))).toHaveLength(1);
  });

  test('a conflict is an ApiError with a cause a field', () => {
    const live = applyPatch(undefined, objectOf({ string: 'a', integer: 1 }), 'one', false, at(1));
    let thrown: unknown;
    try {
      applyPatch(live, objectOf({ string: 'b', integer: 2 }), 'two', false, at(2));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ApiError);
    expect(thrown instanceof ApiError ? thrown.status : undefined).toEqual({
      status: 'Failure',
      code: 409,
      reason: 'Conflict',
      message: 'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.integer\n- .spec.string',
      details: {
        causes: ['.spec.integer', '.spec.string'].map((field) => ({
          reason: 'FieldManagerConflict',
          message: 'conflict with "one"',
          field,
        })),
      },
    });
  });
});

function annotationsOf({ metadata }: JsonObject): JsonObject {
  const annotations = isJsonObject(metadata) ? metadata['annotations'] : undefined;
  return isJsonObject(annotations) ? annotations : {};
}
