import { describe, expect, test } from '@jest/globals';

import type { Json, JsonObject } from '../api/json.ts';
import { TypeTable } from '../schema/type-table.ts';
import { PathElement } from './field-path.ts';
import { parentManagedFields, scaleManagedFields } from './managed-fields-scale.ts';
import {
  decodeManagedFields,
  encodeManagedFields,
  managedFieldsAfterAdmission,
  managedFieldsOf,
  managerName,
  resetsManagedFields,
  withoutNewTimes,
} from './managed-fields.ts';
import {
  trackCreationInSlices,
  trackUpdate,
  trackUpdateInSlices,
  type FieldOptions,
} from './server-side-apply.ts';

function entry(
  manager: string,
  operation: string,
  fieldsV1: JsonObject,
  apiVersion = 'apps/v1',
  more: JsonObject = {},
): JsonObject {
  return { manager, operation, apiVersion, fieldsType: 'FieldsV1', fieldsV1, ...more };
}

const REPLICAS: JsonObject = { 'f:spec': { 'f:replicas': {} } };
const SELECTOR: JsonObject = { 'f:spec': { 'f:selector': {} } };
const BOTH: JsonObject = { 'f:spec': { 'f:replicas': {}, 'f:selector': {} } };
const SCALE = { subresource: 'scale' };

describe('scale (apimachinery managedfields scalehandler_test.go)', () => {
  const path = ['spec', 'replicas'].map((name) => PathElement.field(name));
  const paths = new Map([
    ['apps/v1', path],
    ['apps/v1beta1', path],
    ['other/v1', undefined],
  ]);

  test.each<[string, JsonObject[], JsonObject[] | undefined]>([
    [
      'only owners of the replicas',
      [entry('a', 'Apply', SELECTOR), entry('b', 'Apply', BOTH, 'apps/v1', { time: '2020-01-01T00:00:00Z' })],
      [entry('b', 'Apply', REPLICAS, 'autoscaling/v1', { time: '2020-01-01T00:00:00Z' })],
    ],
    [
      'subresources stay',
      [entry('a', 'Update', REPLICAS, 'apps/v1', SCALE)],
      [entry('a', 'Update', REPLICAS, 'autoscaling/v1', SCALE)],
    ],
    ['unknown versions go', [entry('a', 'Apply', REPLICAS, 'apps/v10')], undefined],
    ['versions without scale go', [entry('a', 'Apply', REPLICAS, 'other/v1')], undefined],
  ])('to the subresource: %s', (_name, parent, want) => {
    expect(scaleManagedFields(parent, paths)).toEqual(want);
  });

  test.each<[string, JsonObject[], JsonObject[], JsonObject[] | undefined]>([
    [
      'another manager takes the replicas of an applier',
      [entry('test', 'Apply', BOTH)],
      [entry('scale', 'Update', REPLICAS, 'autoscaling/v1', SCALE)],
      [entry('test', 'Apply', SELECTOR), entry('scale', 'Update', REPLICAS, 'apps/v1', SCALE)],
    ],
    [
      'another manager takes the replicas of an updater',
      [entry('test', 'Update', BOTH)],
      [entry('scale', 'Update', REPLICAS, 'autoscaling/v1', SCALE)],
      [entry('scale', 'Update', REPLICAS, 'apps/v1', SCALE), entry('test', 'Update', SELECTOR)],
    ],
    [
      'the same manager through the subresource is another one',
      [entry('test', 'Apply', BOTH)],
      [entry('test', 'Apply', REPLICAS, 'autoscaling/v1', SCALE)],
      [entry('test', 'Apply', SELECTOR), entry('test', 'Apply', REPLICAS, 'apps/v1', SCALE)],
    ],
    [
      'an owner of nothing else goes',
      [entry('test', 'Apply', REPLICAS)],
      [entry('scale', 'Update', REPLICAS, 'autoscaling/v1', SCALE)],
      [entry('scale', 'Update', REPLICAS, 'apps/v1', SCALE)],
    ],
    [
      'who owns the replicas still keeps its entry, with its time',
      [entry('test', 'Update', BOTH, 'apps/v1', { time: '2020-01-01T00:00:00Z' })],
      [entry('test', 'Update', REPLICAS, 'autoscaling/v1', { time: '2020-01-01T00:00:00Z' })],
      [entry('test', 'Update', BOTH, 'apps/v1', { time: '2020-01-01T00:00:00Z' })],
    ],
    [
      'entries of the scale that own something else count for nothing',
      [entry('test', 'Apply', SELECTOR)],
      [entry('scale', 'Update', { 'f:status': {} }, 'autoscaling/v1', SCALE)],
      [entry('test', 'Apply', SELECTOR)],
    ],
    [
      'unknown versions of the parent go, versions without scale stay',
      [entry('old', 'Apply', REPLICAS, 'apps/v10'), entry('o', 'Apply', REPLICAS, 'other/v1')],
      [],
      [entry('o', 'Apply', REPLICAS, 'other/v1')],
    ],
    ['nobody is left', [entry('test', 'Apply', REPLICAS)], [], undefined],
  ])('to the parent: %s', (_name, parent, scale, want) => {
    expect(parentManagedFields(parent, scale, 'apps/v1', paths)).toEqual(want);
  });
});

test('entries come in the order of operation, time, name, version and subresource', () => {
  const sorted = [
    entry('b', 'Apply', REPLICAS),
    entry('a', 'Apply', REPLICAS, 'apps/v1', { time: '2020-01-01T00:00:00Z' }),
    entry('a', 'Update', REPLICAS, 'apps/v1', { time: '2020-01-01T00:00:00Z' }),
    entry('a', 'Update', REPLICAS, 'apps/v1', { time: '2020-01-01T00:00:00Z', subresource: 'status' }),
    entry('a', 'Update', REPLICAS, 'apps/v1beta1', { time: '2020-01-01T00:00:00Z' }),
    entry('b', 'Update', REPLICAS, 'apps/v1', { time: '2020-01-01T00:00:00Z' }),
    entry('a', 'Update', REPLICAS, 'batch/v1', { time: '2020-01-02T00:00:00Z' }),
  ];
  expect(encodeManagedFields(decodeManagedFields(sorted.toReversed()))).toEqual(sorted);
  expect(encodeManagedFields(new Map())).toBeUndefined();
});

test.each<[string, JsonObject, string]>([
  ['operation', { operation: 'Nope' }, 'operation must be `Apply` or `Update`'],
  ['version', { operation: 'Apply' }, 'apiVersion must not be empty'],
  ['type', { operation: 'Apply', apiVersion: 'v1' }, 'missing fieldsType in managed fields entry 0'],
  [
    'type of fields',
    { operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV9' },
    'invalid fieldsType "FieldsV9" in managed fields entry 0',
  ],
  [
    'fields',
    entry('m', 'Apply', { nope: {} }),
    'error decoding versioned set from {"manager":"m","operation":"Apply"}: error decoding set: parsing key as path element: missing colon: nope',
  ],
])('an entry with a wrong %s is not read', (_name, given, message) => {
  expect(() => decodeManagedFields([given])).toThrow(message);
});

test.each<[string, string, string]>([
  ['me', 'kubectl/v1.33 (linux)', 'me'],
  ['', 'kubectl/v1.33 (linux)', 'kubectl'],
  ['', 'curl', 'curl'],
  ['', 'a\u0000b\u200bc/x', 'abc'],
  ['', `${'ü'.repeat(70)}/1`, 'ü'.repeat(64)],
  ['', '', ''],
])('the manager %j of the agent %j is %j', (manager, agent, want) => {
  expect(managerName(manager, agent)).toBe(want);
});

test.each<[string, Json | undefined, boolean]>([
  ['no list', undefined, false],
  ['null', null, false],
  ['an empty list', [], true],
  ['an empty entry', [{}], true],
  ['an entry of empty texts', [{ manager: '', time: null }], true],
  ['an entry', [{ manager: 'x' }], false],
  ['two entries', [{}, {}], false],
])('%s resets the owners: %s', (_name, managedFields, want) => {
  const metadata: JsonObject = managedFields === undefined ? {} : { managedFields };
  expect(resetsManagedFields({ metadata })).toBe(want);
});

describe('a change of nothing but times', () => {
  const live = { metadata: { managedFields: [entry('a', 'Update', REPLICAS, 'v1', { time: 'T1' })] }, x: 1 };
  const later = { metadata: { managedFields: [entry('a', 'Update', REPLICAS, 'v1', { time: 'T2' })] }, x: 1 };

  test('is none', () => {
    expect(withoutNewTimes(live, later)).toEqual(live);
  });

  test.each<[string, JsonObject]>([
    ['another field', { ...later, x: 2 }],
    ['other owners', { metadata: { managedFields: [entry('a', 'Update', SELECTOR, 'v1')] }, x: 1 }],
    [
      'one owner more',
      { metadata: { managedFields: [...live.metadata.managedFields, entry('b', 'Apply', {})] }, x: 1 },
    ],
    ['no owners', { metadata: {}, x: 1 }],
  ])('is one with %s', (_name, next) => {
    expect(withoutNewTimes(live, next)).toBe(next);
  });
});

test('what admission broke is what stood before, with a warning', () => {
  const before = { metadata: { managedFields: [entry('a', 'Apply', REPLICAS)] }, x: 1 };
  const broken = { metadata: { managedFields: [{ manager: 'a' }] }, x: 2 };
  const repaired = managedFieldsAfterAdmission(before, broken);
  expect(repaired.object).toEqual({ ...before, x: 2 });
  expect(repaired.warning).toMatch(
    /^\.metadata\.managedFields was in an invalid state after admission; .*: operation must be `Apply` or `Update`$/,
  );
  const fine = { ...before, x: 3 };
  expect(managedFieldsAfterAdmission(before, fine)).toEqual({ object: fine, warning: undefined });
});

test('many updaters are put down, and the oldest are merged as in one go', () => {
  const count = 400;
  const data = Object.fromEntries(Array.from({ length: count }, (_none, at) => [`k${at}`, 'v']));
  const live: JsonObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'm',
      managedFields: Array.from({ length: count }, (_none, at) =>
        entry(`m${(at * 7) % count}`, 'Update', { 'f:data': { [`f:k${at}`]: {} } }, 'v1', {
          time: `2026-01-01T00:0${at % 10}:00Z`,
          // Only the general way takes what has a member that nobody knows.
          nobody: '',
        }),
      ),
    },
    data,
  };
  const next: JsonObject = { ...live, data: { ...data, x: 'y' } };
  const type = new TypeTable().struct('core.v1.ConfigMap');
  const options: FieldOptions = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    subresource: '',
    now: '2026-01-02T00:00:00Z',
    versions: { typeOf: () => type, convert: (value) => value, resetFields: () => undefined },
  };
  const work = trackUpdateInSlices(live, next, 'me', options, { due: () => true });
  let steps = 0;
  let last = work.next();
  for (; last.done !== true; steps += 1) last = work.next();
  expect(last.value).toEqual(trackUpdate(live, next, 'me', options));
  expect(managedFieldsOf(last.value)).toHaveLength(10);
  expect(steps).toBeGreaterThan(count);
});

test('a long list that is owned as one is put down', () => {
  const count = 2_000;
  const args = Array.from({ length: count }, (_none, at) => `a${at}`);
  const podOf = (list: readonly Json[]): JsonObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', args: list }] },
  });
  const type = new TypeTable().struct('core.v1.Pod');
  const options: FieldOptions = {
    apiVersion: 'v1',
    kind: 'Pod',
    subresource: '',
    now: '2026-01-02T00:00:00Z',
    versions: { typeOf: () => type, convert: (value) => value, resetFields: () => undefined },
  };
  /** How much was done between two looks, in reads of items. */
  let reads = 0;
  let readsMax = 0;
  const counted = new Proxy(args, {
    get: (list, key, receiver): unknown => {
      reads += 1;
      return Reflect.get(list, key, receiver);
    },
  });
  const due = (): boolean => {
    readsMax = Math.max(readsMax, reads);
    reads = 0;
    return true;
  };
  const work = trackCreationInSlices(podOf(counted), 'me', options, { due });
  let last = work.next();
  while (last.done !== true) last = work.next();
  expect(managedFieldsOf(last.value)).toEqual(
    managedFieldsOf(trackUpdate(undefined, podOf(args), 'me', options)),
  );
  expect(readsMax).toBeGreaterThan(0);
  expect(readsMax).toBeLessThan(count / 10);

  const owned = trackUpdate(undefined, podOf(args), 'me', options);
  reads = 0;
  const update = trackUpdateInSlices(owned, podOf(counted), 'you', options, { due });
  let step = update.next();
  while (step.done !== true) step = update.next();
  expect(managedFieldsOf(step.value)).toEqual(managedFieldsOf(owned));
  expect(readsMax).toBeLessThan(count / 10);
});
