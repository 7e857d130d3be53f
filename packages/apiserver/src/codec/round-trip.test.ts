/** What is told of a value without decoding is what decoding tells, member by member and in order. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { goldenNames, HAS_GOLDEN, readGolden } from '../../test/golden.ts';
import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import { TypeTable } from '../schema/type-table.ts';
import { writeJson } from './json-writer.ts';
import { ProtobufCodec } from './protobuf.ts';
import { RoundTrip } from './round-trip.ts';
import { conform } from './typed.ts';

const table = new TypeTable();
const schemaProps = table.struct('apiextensions.v1.JSONSchemaProps');
const codec = new ProtobufCodec(schemaProps);
const roundTrip = new RoundTrip();

function decoded(struct: StructSchema, { kind, apiVersion, ...rest }: JsonObject): JsonObject {
  return { kind, apiVersion, ...codec.decode(struct, codec.encode(struct, rest)) };
}

/** The value with some of its members left out, emptied or elsewhere, as the numbers say. */
function varied(value: Json, draw: () => number): Json {
  if (Array.isArray(value)) {
    if (draw() < 0.1) return [];
    return value.map((item: Json) => varied(item, draw));
  }
  if (isJsonObject(value)) {
    if (draw() < 0.03) return {};
    const members: [string, Json][] = Object.entries(value)
      .filter(() => draw() > 0.15)
      .map(([name, member]) => [name, varied(member, draw)]);
    if (draw() < 0.5) members.sort(() => draw() - 0.5);
    return Object.fromEntries(members);
  }
  if (draw() > 0.1) return value;
  switch (typeof value) {
    case 'string':
      return '';
    case 'number':
      return 0;
    case 'boolean':
      return false;
    default:
      return value;
  }
}

function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

if (!HAS_GOLDEN) {
  test.skip('the golden objects (needs ../shared/kubernetes/golden)', () => undefined);
} else {
  const kinds = goldenNames().flatMap((name) => {
    const golden = readGolden(name, table);
    return golden.kind === '' || !isJsonObject(golden.json['metadata']) ? [] : [golden];
  });

  test.each(kinds.map((golden) => [golden.type, golden] as const))('%s as it is', (_type, { type, json }) => {
    const struct = table.struct(type);
    const known = roundTrip.object(struct, json);
    if (known !== undefined) expect(writeJson(known)).toBe(writeJson(decoded(struct, json)));
  });

  test('whatever is left out, emptied or out of order', () => {
    let told = 0;
    let asked = 0;
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.nat(), (golden, seed) => {
        const struct = table.struct(golden.type);
        const { kind, apiVersion, ...rest } = golden.json;
        const changed = { kind, apiVersion, ...asObject(varied(rest, numbers(seed))) };
        for (const value of [changed, sent(struct, changed)]) {
          if (value === undefined) continue;
          const known = roundTrip.object(struct, value);
          asked += 1;
          if (known === undefined) continue;
          told += 1;
          expect(writeJson(known)).toBe(writeJson(decoded(struct, value)));
        }
      }),
      { seed: 20261121, numRuns: 1_500 },
    );
    expect(told / asked).toBeGreaterThan(0.3);
  });

  describe('what clients send most is known', () => {
    test.each<[string, JsonObject]>([
      [
        'core.v1.ConfigMap',
        { metadata: { namespace: 'default', name: 'a', labels: {} }, data: { b: '1', a: '' } },
      ],
      ['core.v1.Secret', { metadata: { name: 'a' }, data: { a: 'YQ==' }, type: 'Opaque' }],
      [
        'core.v1.Pod',
        {
          metadata: {
            name: 'a',
            managedFields: [
              {
                manager: 'm',
                operation: 'Update',
                apiVersion: 'v1',
                time: '2026-11-21T10:00:00Z',
                fieldsType: 'FieldsV1',
                fieldsV1: { 'f:spec': {} },
              },
            ],
            creationTimestamp: '2026-11-21T10:00:00Z',
          },
          spec: {
            containers: [{ name: 'c', image: 'i', resources: { limits: { memory: '1Gi', cpu: '1' } } }],
          },
          status: { phase: 'Pending' },
        },
      ],
    ])('%s', (type, given) => {
      const struct = table.struct(type);
      const value = sent(struct, { kind: type.split('.')[2], apiVersion: 'v1', ...given });
      if (value === undefined) throw new Error('the value does not conform');
      const known = roundTrip.object(struct, value);
      expect(known && writeJson(known)).toBe(writeJson(decoded(struct, value)));
    });
  });
}

function asObject(value: Json): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** As a body comes in; undefined for one that is refused. */
function sent(struct: StructSchema, value: JsonObject): JsonObject | undefined {
  try {
    return conform(struct, value, { schemaProps });
  } catch {
    return undefined;
  }
}
