import { expect, test } from '@jest/globals';

import { TypeTable } from '../schema/type-table.ts';
import { NAMED } from './definition-names.ts';
import { PROSE } from './prose/tables.ts';
import { ProseTable } from './prose.ts';

const types = new TypeTable();
const prose = new ProseTable(PROSE);

test('what is told of is there: each type, each field, each type that another one speaks for', () => {
  const strange: string[] = [];
  for (const name of prose.names()) {
    if (types.has(name) || Object.values<string>(NAMED).includes(name)) continue;
    const dot = name.lastIndexOf('.');
    const owner = name.slice(0, dot);
    const known = types.has(owner) && types.struct(owner).fields.has(name.slice(dot + 1));
    if (!known) strange.push(name);
  }
  for (const [name, other] of prose.aliases()) {
    if (!types.has(name) || prose.of(other, '') === undefined) strange.push(`${name}=${other}`);
  }
  expect(strange).toEqual([]);
});

test('what people ask for has a text', () => {
  const names = [...prose.names()];
  expect(names.length).toBeGreaterThan(1_000);
  const daily = [
    'core.v1.PodSpec',
    'core.v1.Container',
    'core.v1.ServiceSpec',
    'core.v1.PersistentVolumeClaimSpec',
    'apps.v1.DeploymentSpec',
    'apps.v1.StatefulSetSpec',
    'apps.v1.DaemonSetSpec',
    'batch.v1.JobSpec',
    'batch.v1.CronJobSpec',
    'networking.v1.IngressSpec',
    'networking.v1.NetworkPolicySpec',
    'rbac.v1.PolicyRule',
    'storage.v1.StorageClass',
    'meta.v1.ObjectMeta',
  ];
  // What is behind a gate that is off in 1.36 is not told of.
  const gated = new Set(['core.v1.PodSpec.schedulingGroup']);
  const silent = daily.flatMap((name) =>
    [...types.struct(name).fields.keys()]
      .filter((field) => prose.of(name, field) === undefined && prose.ofKinds(field) === undefined)
      .map((field) => `${name}.${field}`),
  );
  expect(silent.filter((name) => !gated.has(name))).toEqual([]);
});

test('texts are plain: one line of ASCII, a sentence', () => {
  for (const name of prose.names()) {
    const [owner, field] = types.has(name) || name.startsWith('io.') ? [name, ''] : split(name);
    const text = prose.of(owner, field) ?? '';
    expect([name, text]).toEqual([name, expect.stringMatching(/^[\x20-\x7e]+[.)]$/)]);
  }
});

function split(name: string): [string, string] {
  const dot = name.lastIndexOf('.');
  return [name.slice(0, dot), name.slice(dot + 1)];
}

test('a type speaks for another, save where that one has words of its own', () => {
  expect(prose.of('apps.v1.DeploymentCondition', 'reason')).toBe(prose.of('meta.v1.Condition', 'reason'));
  expect(prose.of('apps.v1.DeploymentCondition', 'lastUpdateTime')).toBe('When it was last looked at.');
  expect(prose.of('core.v1.PodList', '')).toBe('A list of objects of kind Pod.');
  expect(prose.of('core.v1.PodSpec', 'none')).toBeUndefined();
});
