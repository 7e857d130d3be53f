/** Server-side apply in slices gives what it gives in one go, to the byte and in the same order, and is put down all the time. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { applyOptions } from './apply-arbitraries.ts';
import { caseFiles, readCases, Runner, type Outcome } from './apply-cases.ts';
import { goldenNames, HAS_GOLDEN, readGolden } from './golden.ts';
import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import { finish, LOOK_EVERY, type Pace, type Sliced } from '../src/api/sliced.ts';
import { ApiError } from '../src/api/status.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { writeJson } from '../src/codec/json-writer.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { equalJson, equalJsonInSlices } from '../src/patch/field-path.ts';
import { FieldSet } from '../src/patch/field-set.ts';
import {
  differenceOf,
  intersectionOf,
  pathsOf,
  readFieldSet,
  unionOf,
  writeFieldSet,
} from '../src/patch/field-set-slices.ts';
import { applyPatch, applyPatchInSlices, trackUpdate } from '../src/patch/server-side-apply.ts';
import { compareTyped, compareTypedInSlices } from '../src/patch/typed-merge-compare.ts';
import {
  fieldsOf,
  fieldsOfInSlices,
  reconcileFields,
  reconcileFieldsInSlices,
  withNamedFields,
  withNamedFieldsInSlices,
} from '../src/patch/typed-merge-fields.ts';
import { removeFields, removeFieldsInSlices } from '../src/patch/typed-merge-remove.ts';
import { mergeTyped, mergeTypedInSlices } from '../src/patch/typed-merge.ts';
import { validateTyped, validateTypedInSlices } from '../src/patch/typed-merge-validate.ts';

const ALWAYS: Pace = { due: () => true };
const SEED = 20_261_122;

const inSlices: typeof applyPatch = (live, patch, manager, force, options) =>
  finish(applyPatchInSlices(live, patch, manager, force, options, ALWAYS));

/** What it gives, as text, or what it is refused with. */
function outcome(act: () => unknown): unknown {
  try {
    return { given: textOf(act()) };
  } catch (error) {
    return { refused: String(error), status: error instanceof ApiError ? error.status : undefined };
  }
}

function textOf(value: unknown): unknown {
  if (value instanceof FieldSet) return writeJson(value.toJson());
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is compared here is JSON else
  return value === undefined ? undefined : writeJson(value as Json);
}

/** How often it was put down. */
function stepsOf(work: Sliced<unknown>): number {
  for (let steps = 1; ; steps += 1) if (work.next().done === true) return steps;
}

const runner = new Runner();

describe('the cases of server-side apply', () => {
  const text = ({ object, managed, errors }: Outcome): unknown => [
    writeJson(object),
    writeJson(managed),
    errors,
  ];

  test.each(caseFiles())('%s', (file) => {
    for (const given of readCases(file)) {
      expect([given.name, text(runner.run(given, inSlices))]).toEqual([given.name, text(runner.run(given))]);
    }
  });
});

const apiVersion = 'example.dev/v1';

const word = fc.constantFrom('a', 'b', 'c', '7', '__proto__', 'constructor');
const words = fc.array(word, { maxLength: 4 });
const map = fc.dictionary(word, word, { maxKeys: 3 });
const item = fc.record({ name: word, value: word, tags: words, attrs: map }, { requiredKeys: [] });
const list = fc.array(item, { maxLength: 4 });
const spec = fc.record(
  {
    string: fc.oneof(word, fc.constant(null), fc.integer()),
    integer: fc.integer({ min: 0, max: 3 }),
    set: words,
    list,
    map,
    atomicList: words,
    atomicMap: map,
    mapOfSets: fc.dictionary(word, words, { maxKeys: 2 }),
    mapOfLists: fc.dictionary(word, list, { maxKeys: 2 }),
    mapOfMaps: fc.dictionary(word, map, { maxKeys: 2 }),
    free: fc.jsonValue({ maxDepth: 4 }),
  },
  { requiredKeys: [] },
);

function objectOf(spec_: unknown): JsonObject {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made of JSON above
  return { apiVersion, kind: 'Test', metadata: { name: 'it', uid: 'u' }, spec: spec_ as Json };
}

const type = runner.typeOf('test.All');

test('what several writers do to one object', () => {
  const step = fc.tuple(fc.constantFrom('one', 'two', 'update'), fc.boolean(), spec);
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), (steps) => {
      let live: JsonObject | undefined;
      for (let at = 0; at < steps.length; at += 1) {
        const [manager, force, given] = steps[at];
        const options = applyOptions(type, at);
        const object = objectOf(given);
        if (manager === 'update') {
          live = trackUpdate(live, object, 'ctl', options);
          continue;
        }
        const before = live;
        const whole = outcome(() => applyPatch(before, object, manager, force, options));
        expect(outcome(() => inSlices(before, object, manager, force, options))).toEqual(whole);
        try {
          live = applyPatch(before, object, manager, force, options);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
        }
      }
    }),
    { seed: SEED, numRuns: 400 },
  );
});

test('each step of it', () => {
  fc.assert(
    fc.property(spec, spec, fc.boolean(), (first, second, duplicates) => {
      const [a, b] = [objectOf(first), objectOf(second)];
      const pairs: [() => unknown, () => Sliced<unknown>][] = [
        [() => validateTyped(a, type, duplicates), () => validateTypedInSlices(a, type, duplicates, ALWAYS)],
        [() => mergeTyped(a, b, type), () => mergeTypedInSlices(a, b, type, ALWAYS)],
        [() => fieldsOf(a, type), () => fieldsOfInSlices(a, type, ALWAYS)],
        [() => equalJson(a, b), () => equalJsonInSlices(a, b, ALWAYS)],
        [() => equalJson(a, structuredClone(a)), () => equalJsonInSlices(a, structuredClone(a), ALWAYS)],
      ];
      for (const kind of ['removed', 'modified', 'added'] as const) {
        pairs.push([
          () => compareTyped(a, b, type)[kind],
          function* compared() {
            return (yield* compareTypedInSlices(a, b, type, ALWAYS))[kind];
          },
        ]);
      }
      const fields = fieldsOf(b, type);
      pairs.push(
        [() => removeFields(a, fields, type), () => removeFieldsInSlices(a, fields, type, ALWAYS)],
        [() => withNamedFields(fields, type), () => withNamedFieldsInSlices(fields, type, ALWAYS)],
      );
      for (const [whole, sliced] of pairs) expect(outcome(() => finish(sliced()))).toEqual(outcome(whole));
    }),
    { seed: SEED, numRuns: 400 },
  );
});

test('sets of fields', () => {
  const node = fc.letrec<{ node: JsonObject }>((tie) => ({
    node: fc.dictionary(
      fc.constantFrom(
        '.',
        'f:a',
        'f:b',
        'f:é',
        'k:{"name":"x"}',
        'k:{"name":"a"}',
        'v:1',
        'v:"a"',
        'i:0',
        'x:1',
      ),
      fc.oneof({ maxDepth: 4 }, fc.constant({}), tie('node')),
      { maxKeys: 5 },
    ),
  })).node;
  fc.assert(
    fc.property(node, node, (left, right) => {
      const [a, b] = [FieldSet.fromJson(left), FieldSet.fromJson(right)];
      const order = (set: FieldSet): unknown => [[...set.nodes.keys()], writeJson(set.toJson())];
      expect(order(finish(readFieldSet(left, ALWAYS)))).toEqual(order(a));
      expect(writeJson(finish(writeFieldSet(a, ALWAYS)))).toBe(writeJson(a.toJson()));
      expect(finish(pathsOf(a, ALWAYS))).toEqual(a.paths());
      expect(order(finish(unionOf(a, b, ALWAYS)))).toEqual(order(a.union(b)));
      expect(order(finish(intersectionOf(a, b, ALWAYS)))).toEqual(order(a.intersection(b)));
      expect(order(finish(differenceOf(a, b, ALWAYS)))).toEqual(order(a.difference(b)));
      for (const name of ['test.All', 'deduced']) {
        const under = runner.typeOf(name);
        expect(order(finish(reconcileFieldsInSlices(a, under, ALWAYS)))).toEqual(
          order(reconcileFields(a, under)),
        );
      }
    }),
    { seed: SEED, numRuns: 400 },
  );
  for (const odd of [null, 1, [], { f: {} }, { 'f:a': 1 }, { 'f:a': null }, { 'v:{': {} }]) {
    expect(outcome(() => finish(readFieldSet(odd, ALWAYS)))).toEqual(outcome(() => FieldSet.fromJson(odd)));
  }
});

test('is put down after so many members', () => {
  const COUNT = 4_000;
  const table = new TypeTable();
  const configMap = table.struct('core.v1.ConfigMap');
  // In no order: what is written is sorted.
  const names = Array.from({ length: COUNT }, (_, at) => `k${((at * 7_919) % COUNT).toString(36)}`);
  const bodyOf = (value: string): JsonObject => {
    const members = names.map((name) => `"${name}":"${value}"`).join(',');
    const read = readJson(
      `{"apiVersion":"${apiVersion}","kind":"Test","metadata":{"name":"it"},"data":{${members}}}`,
    );
    if (!isJsonObject(read)) throw new Error('not an object');
    return read;
  };
  const first = bodyOf('a');
  const live = applyPatch(undefined, first, 'one', false, applyOptions(configMap, 1));
  const rest = { ...first, data: { kept: 'x' } };
  for (const [patch, manager] of [
    [first, 'one'],
    [bodyOf('b'), 'one'],
    [bodyOf('b'), 'two'],
    [rest, 'one'],
  ] as const) {
    for (const force of [false, true]) {
      const options = applyOptions(configMap, 2);
      expect(outcome(() => inSlices(live, patch, manager, force, options))).toEqual(
        outcome(() => applyPatch(live, patch, manager, force, options)),
      );
    }
  }
  // Read, checked, merged, stated, pruned, compared, written: each step looks so often.
  const again = applyPatchInSlices(live, first, 'one', false, applyOptions(configMap, 2), ALWAYS);
  expect(stepsOf(again)).toBeGreaterThan((15 * COUNT) / LOOK_EVERY);
});

if (!HAS_GOLDEN) {
  test.skip('the golden objects (needs ../shared/kubernetes/golden)', () => undefined);
} else {
  const table = new TypeTable();

  describe('golden objects', () => {
    test.each(goldenNames())('%s', (name) => {
      const { type: typeName, json } = readGolden(name, table);
      const under = table.struct(typeName);
      const { metadata, ...others } = json;
      const named = isJsonObject(metadata) ? metadata : {};
      const { managedFields: _, ...bare } = named;
      const whole: JsonObject = { ...others, metadata: bare, apiVersion, kind: 'Test' };
      const little: JsonObject = { apiVersion, kind: 'Test', metadata: { name: 'it', labels: { a: 'b' } } };
      const writes: readonly (readonly [JsonObject, string])[] = [
        [whole, 'one'],
        [little, 'two'],
        [whole, 'two'],
        [little, 'one'],
      ];
      let live: JsonObject | undefined;
      for (let at = 0; at < writes.length; at += 1) {
        const [patch, manager] = writes[at];
        const before = live;
        const options = applyOptions(under, at);
        const told = outcome(() => applyPatch(before, patch, manager, true, options));
        expect(outcome(() => inSlices(before, patch, manager, true, options))).toEqual(told);
        try {
          live = applyPatch(before, patch, manager, true, options);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
        }
      }
    });
  });
}
