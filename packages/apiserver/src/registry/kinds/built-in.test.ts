/**
 * Every kind by data: objects and what is wrong with them, updates and what they may not change, what defaults
 * fill in. KINDS_REWRITE=1 writes what the code says into the data; such a diff is read line by line.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import type { Json, JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { conform } from '../../codec/typed.ts';
import { BUILT_IN_DEFAULTS } from '../../defaults/built-in-defaults.ts';
import { Defaulter } from '../../defaults/defaulter.ts';
import { TypeTable } from '../../schema/type-table.ts';
import type { ResourceDefinition } from '../resource.ts';
import type { StrategyContext } from '../strategy.ts';
import { builtInResources, PARTLY_CHECKED, STORED_KINDS } from './built-in.ts';

interface Case {
  readonly name: string;
  /** `deployments.apps`, as `kubectl api-resources` would say it. */
  readonly resource: string;
  readonly version?: string;
  readonly object: JsonObject;
  /** The object an update starts from. */
  readonly old?: JsonObject;
  /** Subresource the update goes to. */
  readonly subresource?: string;
  /** Each `path: text`. */
  errors?: readonly string[];
  /** Members after defaults, by path. */
  readonly defaults?: Readonly<Record<string, Json>>;
}

const FOLDER = new URL('../../../test/testdata/kinds/', import.meta.url);
const REWRITE = process.env['KINDS_REWRITE'] === '1';
const types = new TypeTable();
const schemaProps = types.struct('apiextensions.v1.JSONSchemaProps');
const kinds = builtInResources(types);
const context: StrategyContext = {
  user: { name: 'jane', uid: '', groups: ['system:authenticated'], extra: {} },
  info: undefined,
  nowMs: 0,
  dryRun: false,
  uuid: () => 'a0d7a1f2-0000-4000-8000-000000000000',
  random: () => 0,
};

function nameOf({ group, resource }: ResourceDefinition): string {
  return group === '' ? resource : `${resource}.${group}`;
}

function kindOf(name: string): ResourceDefinition {
  const found = kinds.find((kind) => nameOf(kind) === name);
  if (found === undefined) throw new Error(`no kind ${name}`);
  return found;
}

/** The object as a decoded request has it. */
function decoded(kind: ResourceDefinition, object: JsonObject, name?: string): KubeObject {
  const version = kind.versions.find((each) => each.version === name) ?? kind.versions[0];
  const apiVersion = kind.group === '' ? version.version : `${kind.group}/${version.version}`;
  const named = { apiVersion, kind: kind.kind, ...object };
  const typed = conform(types.struct(version.typeName), named, { schemaProps }) as unknown as KubeObject;
  return version.defaults?.(typed) ?? typed;
}

/** In the version the kind is stored in, which is what strategies see. */
function stored(kind: ResourceDefinition, object: KubeObject): KubeObject {
  const { backing } = kind;
  return backing.kind === 'stored' ? (kind.convert?.(object, backing.version) ?? object) : object;
}

function at(object: KubeObject, path: string): Json | undefined {
  let value: unknown = object;
  for (const step of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[step];
  return value as Json | undefined;
}

function errorsOf({ resource, version, object, old, subresource }: Case): string[] {
  const kind = kindOf(resource);
  const given = stored(kind, decoded(kind, object, version));
  const { strategy } = kind;
  if (old === undefined) {
    const prepared = strategy.prepareForCreate?.(given, context) ?? given;
    return [
      ...(strategy.nameErrors?.(prepared.metadata.name ?? '', false) ?? []).map(
        (text) => `metadata.name: ${text}`,
      ),
      ...strategy.validate(prepared, context).map(({ field, body }) => `${field}: ${body}`),
    ];
  }
  const before = stored(kind, decoded(kind, old, version));
  const sub = kind.subresources.find(({ name }) => name === subresource);
  const rules = sub?.backing.kind === 'update' ? sub.backing.strategy : strategy;
  const prepared = rules.prepareForUpdate?.(given, before, context) ?? given;
  return rules.validateUpdate(prepared, before, context).map(({ field, body }) => `${field}: ${body}`);
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
const all: Case[] = [];
for (const file of files) {
  const cases = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Case[];
  all.push(...cases);
  if (REWRITE) {
    for (const each of cases) if (each.defaults === undefined) each.errors = errorsOf(each);
    writeFileSync(new URL(file, FOLDER), `${JSON.stringify(cases, null, 2)}\n`);
  }
  describe(file, () => {
    test.each(cases.map((each) => [`${each.resource}: ${each.name}`, each] as const))('%s', (_name, each) => {
      if (each.defaults === undefined) expect(errorsOf(each)).toEqual(each.errors);
      else {
        const object = decoded(kindOf(each.resource), each.object, each.version);
        for (const [path, value] of Object.entries(each.defaults))
          expect([path, at(object, path)]).toEqual([path, value]);
      }
    });
  });
}

test('a kubelet says its status while it registers its node; no other status comes with a create', () => {
  const keeping = STORED_KINDS.filter((kind) => {
    const given = { apiVersion: 'v1', kind: kind.kind, metadata: {}, status: { marked: true } };
    const made = kind.strategy.prepareForCreate?.(given, context) ?? given;
    return at(made, 'status.marked') === true;
  });
  const withStatus = keeping.filter(({ subresources }) => subresources.some(({ name }) => name === 'status'));
  expect(withStatus.map(nameOf)).toEqual(['nodes']);
});

test('every kind refuses something in the data and accepts something, or says what it lacks', () => {
  const refusing = new Set(
    all.filter(({ errors }) => (errors ?? []).length > 0).map(({ resource }) => resource),
  );
  const accepting = new Set(all.filter(({ errors }) => errors?.length === 0).map(({ resource }) => resource));
  const names = STORED_KINDS.map(nameOf);
  expect(names.filter((name) => !refusing.has(name) && !(name in PARTLY_CHECKED))).toEqual([]);
  expect(names.filter((name) => !accepting.has(name))).toEqual([]);
  expect(Object.keys(PARTLY_CHECKED).filter((name) => !names.includes(name))).toEqual([]);
});

test('default rules stand by types that exist, and an object with defaults lacks nothing', () => {
  expect(new Defaulter(types, BUILT_IN_DEFAULTS).unknownTypes()).toEqual([]);
  for (const each of all) {
    const kind = kindOf(each.resource);
    const version = kind.versions.find(({ version: name }) => name === each.version) ?? kind.versions[0];
    const once = decoded(kind, each.object, each.version);
    expect(version.defaults?.(once) ?? once).toEqual(once);
  }
});

test('kinds stand once, under names that the fact table has', () => {
  expect(new Set(kinds.map(nameOf)).size).toBe(kinds.length);
  for (const kind of kinds)
    for (const { typeName } of kind.versions)
      expect([typeName, types.has(typeName)]).toEqual([typeName, true]);
});
