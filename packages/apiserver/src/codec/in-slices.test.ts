/** What is done in slices gives what is given in one go, to the byte and in the same order, and is put down all the time. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { goldenNames, HAS_GOLDEN, readGolden } from '../../test/golden.ts';
import { JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { finish, LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { sortedInSlices } from '../api/sorted.ts';
import { TypeTable } from '../schema/type-table.ts';
import { readJson, readJsonInSlices } from './json-reader.ts';
import { writeJson, writeJsonInSlices } from './json-writer.ts';
import { ProtobufCodec } from './protobuf.ts';
import { RoundTrip } from './round-trip.ts';
import { conform, conformInSlices } from './typed.ts';

const ALWAYS: Pace = { due: () => true };

/** What it gives, or the text it is refused with. */
function outcome(act: () => unknown): unknown {
  try {
    return { given: act() };
  } catch (error) {
    return { refused: String(error) };
  }
}

/** How often it was put down. */
function stepsOf(work: Sliced<unknown>): number {
  for (let steps = 1; ; steps += 1) if (work.next().done === true) return steps;
}

function manyMembers(count: number): string {
  const members = Array.from({ length: count }, (_, at) => `"key-${at.toString(36)}":{"a":${at},"b":[]}`);
  return `{${members.join(',')}}`;
}

describe('JSON', () => {
  const TEXTS = [
    '',
    '{',
    '{}',
    '[]',
    ' [ ] ',
    '{"a":1,"a":2,"b":{"a":1,"a":[{"c":1,"c":2}]}}',
    '[1,2,{"x":[]}',
    '[1,]',
    '{"a":1,}',
    '{"a" 1}',
    '{"a":1} x',
    '{"__proto__":{"a":1},"z":1.0,"y":-0,"x":12345678901234567890}',
    '{"2":1,"1":2,"b":3,"a":4}',
    `${'['.repeat(1_000)}${']'.repeat(1_000)}`,
    '['.repeat(1_001),
    '{"a":"\\ud800","b":"\\u0041\\n"}',
    'nul',
    manyMembers(3_000),
  ];

  test.each(TEXTS.map((text) => [text.length > 60 ? `${text.slice(0, 60)}…` : text, text] as const))(
    'reads %s',
    (_name, text) => {
      for (const told of [true, false]) {
        const repeated: string[][] = [[], []];
        const options = repeated.map((list) =>
          told ? { duplicate: (path: string) => list.push(path) } : {},
        );
        const whole = outcome(() => writeJson(readJson(text, options[0])));
        expect(outcome(() => writeJson(finish(readJsonInSlices(text, options[1], ALWAYS))))).toEqual(whole);
        expect(repeated[1]).toEqual(repeated[0]);
      }
    },
  );

  test('reads and writes what anybody wrote', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = JSON.stringify(value);
        const read = readJson(text);
        expect(finish(readJsonInSlices(text, {}, ALWAYS))).toEqual(read);
        expect(finish(writeJsonInSlices(read, '\n', ALWAYS)).toString('utf8')).toBe(`${writeJson(read)}\n`);
      }),
      { seed: 20_261_122, numRuns: 300 },
    );
  });

  test('writes what no JSON of others has', () => {
    const value: Json = {
      a: new JsonFloat(3),
      b: 2n ** 62n,
      c: '<&>\u2028"\u0001',
      d: [null, true, [], {}],
      é: 'ü',
    };
    expect(finish(writeJsonInSlices(value, '', ALWAYS)).toString('utf8')).toBe(writeJson(value));
  });

  test('is put down after so many members', () => {
    const text = manyMembers(10_000);
    // Each member is an object with two values in it, of which one is a list.
    expect(stepsOf(readJsonInSlices(text, {}, ALWAYS))).toBeGreaterThan(30_000 / LOOK_EVERY);
    expect(stepsOf(writeJsonInSlices(readJson(text), '', ALWAYS))).toBeGreaterThan(30_000 / LOOK_EVERY);
  });

  test('names of many members are kept in their order, and seen by nobody', () => {
    const text = manyMembers(3_000);
    const object = finish(readJsonInSlices(text, {}, ALWAYS)) as JsonObject;
    expect(namesOf(object)).toEqual(Object.keys(object));
    expect({ ...object }).toEqual(object);
    expect(JSON.stringify(object)).toBe(text);
    // Numbers come first, wherever they were written.
    const numbers = `{"x":1,${Array.from({ length: 2_000 }, (_, at) => `"${2_000 - at}":1`).join(',')}}`;
    const numbered = finish(readJsonInSlices(numbers, {}, ALWAYS)) as JsonObject;
    expect(namesOf(numbered)).toEqual(Object.keys(numbered));
    const twice = `{${Array.from({ length: 4_000 }, (_, at) => `"k${at % 2_000}":1`).join(',')}}`;
    const once = finish(readJsonInSlices(twice, {}, ALWAYS)) as JsonObject;
    expect(namesOf(once)).toEqual(Object.keys(once));
  });
});

test('sorting: the order of a sort that is stable', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat()), { maxLength: 3_000, size: 'max' }), (items) => {
      const compare = (a: readonly number[], b: readonly number[]): number => a[0] - b[0];
      expect(finish(sortedInSlices([...items], compare, ALWAYS))).toEqual(items.toSorted(compare));
    }),
    { seed: 20_261_122, numRuns: 40 },
  );
});

if (!HAS_GOLDEN) {
  test.skip('the golden objects (needs ../shared/kubernetes/golden)', () => undefined);
} else {
  const table = new TypeTable();
  const schemaProps = table.struct('apiextensions.v1.JSONSchemaProps');
  const codec = new ProtobufCodec(schemaProps);
  const roundTrip = new RoundTrip();

  describe('golden objects', () => {
    test.each(goldenNames())('%s', (name) => {
      const { type, json, kind, apiVersion } = readGolden(name, table);
      const struct = table.struct(type);
      const text = (value: JsonObject | undefined): string | undefined => value && writeJson(value);

      const unknown: string[][] = [[], []];
      const [first, second] = unknown.map((list) => ({
        schemaProps,
        unknown: (path: string) => void list.push(path),
      }));
      const odd: JsonObject = { ...json, nobody: 1, metadata: { name: 'x', none: { a: 1 } } };
      for (const value of [json, odd]) {
        const whole = outcome(() => writeJson(conform(struct, value, first)));
        const sliced = outcome(() => writeJson(finish(conformInSlices(struct, value, second, ALWAYS))));
        expect(sliced).toEqual(whole);
      }
      expect(unknown[1]).toEqual(unknown[0]);

      const bytes = codec.encode(struct, json);
      expect(finish(codec.encodeInSlices(struct, json, ALWAYS)).equals(bytes)).toBe(true);
      const read = codec.decode(struct, bytes);
      expect(text(finish(codec.decodeInSlices(struct, bytes, ALWAYS)))).toBe(text(read));
      for (const cut of [bytes.length >> 1, bytes.length - 1]) {
        const part = bytes.subarray(0, cut);
        expect(outcome(() => finish(codec.decodeInSlices(struct, part, ALWAYS)))).toEqual(
          outcome(() => codec.decode(struct, part)),
        );
      }

      for (const value of [read, json]) {
        const whole = roundTrip.object(struct, { ...value, kind, apiVersion });
        const sliced = finish(roundTrip.objectInSlices(struct, { ...value, kind, apiVersion }, ALWAYS));
        expect(text(sliced)).toBe(text(whole));
      }
    });
  });
}
