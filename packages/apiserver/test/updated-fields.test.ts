/**
 * Owners after an update, entry by entry, are those of the general way, to the byte: which is taken where an entry has a
 * member that nobody knows and that changes nothing.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import { finish } from '../src/api/sliced.ts';
import { PathElement } from '../src/patch/field-path.ts';
import { FieldSet } from '../src/patch/field-set.ts';
import { managedFieldsOf, withManagedFields } from '../src/patch/managed-fields.ts';
import { ownersAfter } from '../src/patch/owners-after.ts';
import {
  applyPatch,
  trackUpdate,
  trackUpdateInSlices,
  type FieldOptions,
} from '../src/patch/server-side-apply.ts';
import type { TypeSchema } from '../src/schema/type-schema.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { customSpecs } from './apply-arbitraries.ts';
import { Runner } from './apply-cases.ts';
import { goldenNames, HAS_GOLDEN, readGolden } from './golden.ts';

const types = new TypeTable();
const NAMES = goldenNames();
const STATUS = FieldSet.of(
  [PathElement.field('status')],
  [PathElement.field('metadata'), PathElement.field('labels')],
);

/** How often the short way knew. */
let known = 0;

function optionsOf(
  type: TypeSchema,
  object: JsonObject,
  at: number,
  subresource: string,
  reset: boolean,
): FieldOptions {
  const apiVersion = textIn(object, 'apiVersion');
  return {
    apiVersion,
    kind: textIn(object, 'kind'),
    subresource,
    now: `2026-01-01T00:00:0${at}Z`,
    versions: {
      typeOf: (version) => (version === apiVersion ? type : undefined),
      convert: (value, version) => (version === apiVersion ? value : undefined),
      resetFields: () => (reset ? STATUS : undefined),
    },
  };
}

function textIn(object: JsonObject, name: string): string {
  const value = object[name];
  return typeof value === 'string' ? value : '';
}

/** The same object, with entries that only the general way takes. */
function unusual(object: JsonObject): JsonObject {
  const entries = managedFieldsOf(object);
  return withManagedFields(
    object,
    entries?.map((entry): Json => (isJsonObject(entry) ? { ...entry, nobody: '' } : entry)),
  );
}

interface Step {
  readonly manager: string;
  readonly subresource: string;
  readonly reset: boolean;
  /** Whether the client sends the entries back it was told. */
  readonly sends: boolean;
}

/** @returns the object after the step, which both ways agree on */
function updated(type: TypeSchema, live: JsonObject, next: JsonObject, step: Step, at: number): JsonObject {
  const { manager, subresource, reset, sends } = step;
  const options = optionsOf(type, live, at, subresource, reset);
  const sent = withManagedFields(next, sends ? managedFieldsOf(live) : undefined);
  const got = trackUpdate(live, sent, manager, options);
  expect(JSON.stringify(got)).toBe(
    JSON.stringify(trackUpdate(unusual(live), unusual(sent), manager, options)),
  );
  const sliced = finish(trackUpdateInSlices(live, sent, manager, options, { due: () => true }));
  expect(JSON.stringify(sliced)).toBe(JSON.stringify(got));
  const short = ownersAfter({
    before: withManagedFields(live, undefined),
    after: withManagedFields(next, undefined),
    type,
    entries: managedFieldsOf(live) ?? [],
    writer: {
      name: manager,
      operation: 'Update',
      apiVersion: options.apiVersion,
      subresource,
      time: options.now,
    },
    taken: { reset: undefined, stripped: undefined },
  });
  if (short !== undefined) known += 1;
  return got;
}

const step = fc.record({
  manager: fc.constantFrom('creator', 'other', 'third'),
  subresource: fc.constantFrom('', '', 'status'),
  reset: fc.boolean(),
  sends: fc.boolean(),
});

const others: Json[] = [
  null,
  '',
  'x',
  0,
  7,
  true,
  [],
  {},
  ['x', 'y'],
  ['x', 'x'],
  [{ name: 'x' }],
  { x: 'y' },
  { x: null },
];

(HAS_GOLDEN ? test : test.skip)(
  'objects of all kinds (needs ../shared/kubernetes/golden), changed again and again',
  () => {
    known = 0;
    const change = fc.record({ step, place: fc.nat(), by: fc.constantFrom(...others, undefined) });
    fc.assert(
      fc.property(
        fc.constantFrom(...NAMES),
        fc.array(change, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (name, changes, applied) => {
          const { type: typeName, json, apiVersion, kind } = readGolden(name, types);
          if (kind === '' || !isJsonObject(json['metadata'])) return;
          const type = types.struct(typeName);
          const object: JsonObject = {
            ...json,
            apiVersion,
            kind,
            metadata: { ...json['metadata'], uid: 'u', managedFields: [] },
          };
          let live = trackUpdate(undefined, object, 'creator', optionsOf(type, object, 0, '', false));
          if (applied) {
            const labels = {
              apiVersion,
              kind,
              metadata: { name: 'x', labels: { a: 'b', labelsKey: 'mine' } },
            };
            live = applyPatch(live, labels, 'applier', true, optionsOf(type, object, 0, '', false));
          }
          let at = 1;
          for (const { step: how, place, by } of changes) {
            const left = { count: place % Math.max(1, sizeOf(withManagedFields(live, undefined))) };
            const next = replaced(withManagedFields(live, undefined), left, by);
            if (!isJsonObject(next)) continue;
            live = updated(type, live, next, how, at);
            if (managedFieldsOf(live) === undefined) return;
            at += 1;
          }
        },
      ),
      { seed: 20_261_122, numRuns: 1_200 },
    );
    expect(known).toBeGreaterThan(300);
  },
);

test('a type of a custom resource', () => {
  known = 0;
  const type = new Runner().typeOf('test.All');
  const spec = customSpecs();
  fc.assert(
    fc.property(spec, fc.array(fc.tuple(spec, step), { minLength: 1, maxLength: 5 }), (first, changes) => {
      const of = (given: unknown): JsonObject => ({
        apiVersion: 'example.dev/v1',
        kind: 'Test',
        metadata: { name: 'it', uid: 'u' },
        spec: given as JsonObject,
      });
      let live = trackUpdate(undefined, of(first), 'creator', optionsOf(type, of(first), 0, '', false));
      let at = 1;
      for (const [given, how] of changes) {
        if (managedFieldsOf(live) === undefined) return;
        live = updated(type, live, of(given), how, at);
        at += 1;
      }
    }),
    { seed: 20_261_122, numRuns: 800 },
  );
  expect(known).toBeGreaterThan(100);
});

test('entries that the server would write in another form are for the general way', () => {
  const type = types.struct('core.v1.ConfigMap');
  const live = (fieldsV1: JsonObject): JsonObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'it',
      uid: 'u',
      managedFields: [
        {
          manager: 'm',
          operation: 'Update',
          apiVersion: 'v1',
          time: '2020-01-01T00:00:00Z',
          fieldsType: 'FieldsV1',
          fieldsV1,
        },
      ],
    },
    data: { a: '1', b: '2' },
  });
  const next = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'it', uid: 'u' },
    data: { a: '2', b: '2' },
  };
  for (const fields of [
    { 'f:data': { 'f:b': {}, 'f:a': {} } },
    { 'f:data': { '.': {} } },
    { 'f:data': { 'f:a': {}, '.': {} } },
    { 'f:data': { 'f:a': { '.': {} } } },
    { 'f:data': { 'f:a': {}, 'x:b': {} } },
    { 'f:data': { 'v: 1': {} } },
    { 'f:metadata': { 'f:finalizers': { '.': {}, 'v:"x"': {}, 'v:"a"': {} } } },
    { 'f:metadata': { 'f:ownerReferences': { 'k:{"uid": "x"}': {} } } },
    { 'f:nobody': { 'f:a': {} }, 'f:data': {} },
  ] as readonly JsonObject[]) {
    const how = { manager: 'n', subresource: '', reset: false, sends: false };
    updated(type, live(fields), next, how, 1);
  }
});

function sizeOf(value: Json): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item: Json) => sum + sizeOf(item), 1);
  if (!isJsonObject(value)) return 1;
  return Object.values(value).reduce((sum: number, member) => sum + sizeOf(member), 1);
}

/** The value with another in one place, counted in the order of the walk; without it where there is none. */
function replaced(value: Json, left: { count: number }, by: Json | undefined): Json | undefined {
  if (left.count < 0) return value;
  left.count -= 1;
  if (left.count < 0) return by;
  if (Array.isArray(value)) {
    const items = value.map((item: Json) => replaced(item, left, by));
    return items.filter((item): item is Json => item !== undefined);
  }
  if (!isJsonObject(value)) return value;
  const members: [string, Json][] = [];
  for (const [name, member] of Object.entries(value)) {
    const other = replaced(member, left, by);
    if (other !== undefined) members.push([name, other]);
  }
  return Object.fromEntries(members);
}
