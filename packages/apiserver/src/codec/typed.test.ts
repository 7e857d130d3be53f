import { describe, expect, test } from '@jest/globals';

import { goldenNames, HAS_GOLDEN, readGolden } from '../../test/golden.ts';
import type { Json, JsonObject } from '../api/json.ts';
import type { FieldSchema, StructSchema } from '../schema/type-schema.ts';
import { TypeTable } from '../schema/type-table.ts';
import { readJson } from './json-reader.ts';
import { writeJson } from './json-writer.ts';
import { ProtobufCodec } from './protobuf.ts';
import { conform, TypedError } from './typed.ts';

const table = new TypeTable();
const schemaProps = table.struct('apiextensions.v1.JSONSchemaProps');
const codec = new ProtobufCodec(schemaProps);

function typed(type: string, text: string, unknown?: (path: string) => void): string {
  const value = readJson(text) as JsonObject;
  return writeJson(conform(table.struct(type), value, { schemaProps, ...(unknown && { unknown }) }));
}

describe('what Go makes of an object', () => {
  test.each<[string, string, string, string]>([
    [
      'zeros that are values appear, in order',
      'apps.v1.Deployment',
      '{"spec":{"selector":null},"kind":"Deployment"}',
      '{"kind":"Deployment","metadata":{},"spec":{"selector":null,"template":{"metadata":{},"spec":{"containers":null}},"strategy":{}},"status":{}}',
    ],
    [
      'a pointer keeps an explicit zero',
      'apps.v1.DeploymentSpec',
      '{"replicas":0,"paused":false,"minReadySeconds":0,"template":{"spec":{"containers":[]}}}',
      '{"replicas":0,"selector":null,"template":{"metadata":{},"spec":{"containers":[]}},"strategy":{}}',
    ],
    [
      'quantities in canonical form, also from numbers',
      'core.v1.ResourceRequirements',
      '{"limits":{"cpu":0.5,"memory":"1024Mi","pods":1e3},"requests":{"cpu":2}}',
      '{"limits":{"cpu":"500m","memory":"1Gi","pods":"1k"},"requests":{"cpu":"2"}}',
    ],
    [
      'times in UTC, whole seconds',
      'meta.v1.ObjectMeta',
      '{"creationTimestamp":"2026-11-21T14:00:00.5+01:30","deletionTimestamp":null}',
      '{"creationTimestamp":"2026-11-21T12:30:00Z"}',
    ],
    [
      'micro times with six digits',
      'coordination.v1.LeaseSpec',
      '{"renewTime":"2026-11-21T14:00:00.5Z"}',
      '{"renewTime":"2026-11-21T14:00:00.500000Z"}',
    ],
    [
      'nulls in lists are zeros',
      'core.v1.PodSpec',
      '{"containers":[null],"nodeSelector":{"a":null},"hostname":null}',
      '{"containers":[{"name":"","resources":{}}],"nodeSelector":{"a":""}}',
    ],
    [
      'fields of an inlined struct',
      'core.v1.Volume',
      '{"emptyDir":{},"name":"tmp"}',
      '{"name":"tmp","emptyDir":{}}',
    ],
    [
      'unions of schemas',
      'apiextensions.v1.JSONSchemaProps',
      '{"additionalProperties":false,"items":{"type":"string"},"default":{"b":1,"a":[]},"maximum":1.0}',
      '{"default":{"b":1,"a":[]},"maximum":1,"items":{"type":"string"},"additionalProperties":false}',
    ],
    [
      'base64 without line ends, empty bytes kept in a map',
      'core.v1.Secret',
      '{"data":{"a":"YQ==","b":"","c":"YWJj\\nZGVm"}}',
      '{"metadata":{},"data":{"a":"YQ==","b":"","c":"YWJjZGVm"}}',
    ],
  ])('%s', (_name, type, text, want) => {
    expect(typed(type, text)).toBe(want);
  });
});

test('what no field knows is told with its path', () => {
  const told: string[] = [];
  typed(
    'core.v1.Pod',
    '{"spec":{"containers":[{"name":"a","foo":1},{"name":"b","ports":[{"Name":"x"}]}],"nodeselector":{}},"Kind":"x"}',
    (path) => told.push(path),
  );
  expect(told).toEqual([
    'spec.containers[0].foo',
    'spec.containers[1].ports[0].Name',
    'spec.nodeselector',
    'Kind',
  ]);
});

test.each<[string, string, string]>([
  [
    'apps.v1.Deployment',
    '{"spec":{"replicas":"3"}}',
    'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
  ],
  [
    'apps.v1.Deployment',
    '{"spec":{"replicas":3000000000}}',
    'json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32',
  ],
  [
    'apps.v1.Deployment',
    '{"spec":{"replicas":1.5}}',
    'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
  ],
  [
    'core.v1.Pod',
    '{"spec":{"containers":{}}}',
    'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
  ],
  [
    'core.v1.Pod',
    '{"spec":{"containers":[1]}}',
    'json: cannot unmarshal number into Go struct field PodSpec.spec.containers of type v1.Container',
  ],
  [
    'core.v1.Pod',
    '{"metadata":{"labels":{"a":1}}}',
    'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
  ],
  [
    'core.v1.Service',
    '{"spec":{"ports":[{"protocol":6}]}}',
    'json: cannot unmarshal number into Go struct field ServicePort.spec.ports.protocol of type v1.Protocol',
  ],
  [
    'core.v1.ResourceRequirements',
    '{"limits":[]}',
    'json: cannot unmarshal array into Go struct field ResourceRequirements.limits of type v1.ResourceList',
  ],
  ['core.v1.Secret', '{"data":{"a":"a b"}}', 'illegal base64 data at input byte 1'],
  ['core.v1.Secret', '{"data":{"a":"YQ"}}', 'illegal base64 data at input byte 2'],
  [
    'core.v1.Secret',
    '{"immutable":1}',
    'json: cannot unmarshal number into Go struct field Secret.immutable of type bool',
  ],
  [
    'meta.v1.ObjectMeta',
    '{"creationTimestamp":"yesterday"}',
    'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
  ],
  ['core.v1.ResourceRequirements', '{"limits":{"cpu":"1Kii"}}', "unable to parse quantity's suffix"],
])('%s %s is refused', (type, text, message) => {
  let caught: unknown;
  try {
    typed(type, text);
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(TypedError);
  expect((caught as Error).message).toBe(message);
});

/** Zeroes of scalars that have one. */
const ZEROES: Readonly<Record<string, Json>> = { string: '', boolean: false, int32: 0, int64: 0, float64: 0 };

/** Each scalar of each type of the table that lies in protobuf, with its zero. */
function* scalars(): Generator<{ struct: StructSchema; field: FieldSchema; zero: Json }> {
  for (const name of table.names()) {
    const struct = table.struct(name);
    for (const field of struct.fields.values()) {
      if (field.number === 0 || field.type.kind !== 'scalar') continue;
      const zero = ZEROES[field.type.scalar];
      if (zero !== undefined) yield { struct, field, zero };
    }
  }
}

/** Protobuf to JSON's text and to protobuf again. */
function twice(struct: StructSchema, object: JsonObject): { object: JsonObject; same: boolean } {
  const bytes = codec.encode(struct, object);
  const text = writeJson(codec.decode(struct, bytes));
  const read = conform(struct, readJson(text) as JsonObject, { schemaProps });
  return { object: read, same: codec.encode(struct, read).equals(bytes) };
}

test('every pointer scalar set to its zero survives protobuf, JSON and protobuf', () => {
  let seen = 0;
  for (const { struct, field, zero } of scalars()) {
    if (!field.pointer) continue;
    const object = conform(struct, { [field.name]: zero }, { schemaProps });
    expect([struct.name, field.name, object[field.name]]).toEqual([struct.name, field.name, zero]);
    expect([struct.name, field.name, twice(struct, object)]).toEqual([
      struct.name,
      field.name,
      { object, same: true },
    ]);
    seen += 1;
  }
  expect(seen).toBeGreaterThan(400);
});

test('every other scalar shows its zero as omitempty says, whether it was said or not, and so it does after protobuf', () => {
  let shown = 0;
  let left = 0;
  for (const { struct, field, zero } of scalars()) {
    if (field.pointer) continue;
    const wanted = field.omitEmpty || field.omitZero ? undefined : zero;
    if (wanted === undefined) left += 1;
    else shown += 1;
    for (const given of [{ [field.name]: zero }, {}]) {
      const object = conform(struct, given, { schemaProps });
      const { object: after, same } = twice(struct, object);
      expect([struct.name, field.name, object[field.name], after[field.name], same]).toEqual([
        struct.name,
        field.name,
        wanted,
        wanted,
        true,
      ]);
    }
  }
  expect([shown > 300, left > 800]).toEqual([true, true]);
});

if (!HAS_GOLDEN) {
  test.skip('the golden objects (needs ../shared/kubernetes/golden)', () => undefined);
} else {
  describe('golden objects', () => {
    test.each(goldenNames().filter((name) => /^(core|apps|batch|networking\.k8s\.io)\.v1\./.test(name)))(
      '%s is as Go holds it already',
      (name) => {
        const { type, json } = readGolden(name, table);
        expect(conform(table.struct(type), json, { schemaProps })).toEqual(json);
      },
    );
  });
}
