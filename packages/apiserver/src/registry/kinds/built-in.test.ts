/**
 * Every kind by data: objects and what is wrong with them, updates and what they may not change, what defaults
 * fill in. Rules that no case reaches stand in kinds-without-case.json, each with the reason. KINDS_REWRITE=1 writes what the code says
 * into the data; such a diff is read line by line.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import type { Json, JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { ApiError, type FieldError } from '../../api/status.ts';
import { conform } from '../../codec/typed.ts';
import { BUILT_IN_DEFAULTS } from '../../defaults/built-in-defaults.ts';
import { Defaulter } from '../../defaults/defaulter.ts';
import { TypeTable } from '../../schema/type-table.ts';
import type { Family } from '../../validation/addresses.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { part } from '../../validation/value.ts';
import { withFamilies } from '../core/service-families.ts';
import { checkDeleteOptions } from '../deletion.ts';
import { metadataErrors, metadataUpdateErrors, subdomainName } from '../metadata.ts';
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
  /** IP families the cluster has: what a service is given by them is asked for before its checks. */
  readonly families?: readonly Family[];
  /** What else is asked: metadata as any object's, or the options of a deletion, which then are the object. */
  readonly of?: 'metadata' | 'deletion';
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

/**
 * Data as it is meant: `{"$times": ["x", 3]}` is `xxx`, with a text that follows as `then`; `{"$list": [1, 3]}` is
 * `[1, 1, 1]`.
 */
function expand(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== 'object' || value === null) return value;
  const { $times, $list, then } = value as {
    $times?: [string, number];
    $list?: [unknown, number];
    then?: string;
  };
  if ($times !== undefined) return $times[0].repeat($times[1]) + (then ?? '');
  if ($list !== undefined) return Array.from({ length: $list[1] }, () => expand($list[0]));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, expand(item)]));
}

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

function told(errors: readonly FieldError[]): string[] {
  return errors.map(({ field, body }) => `${field}: ${body}`);
}

/** Of the metadata alone. */
function metadataErrorsOf(
  kind: ResourceDefinition,
  object: KubeObject,
  old: KubeObject | undefined,
): string[] {
  const { strategy } = kind;
  if (old !== undefined) return told(metadataUpdateErrors(object, old, strategy.ownFinalizers));
  const names = strategy.nameErrors?.bind(strategy) ?? subdomainName;
  return told(metadataErrors(object, kind.scope === 'Namespaced', names, strategy.ownFinalizers));
}

/** What is said where a step refuses as a whole. */
function refused(step: () => void): string[] {
  try {
    step();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return (error.status.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
  }
  return [];
}

/** Of the families of a service, as they are settled in a cluster. */
function familyErrorsOf(
  service: KubeObject,
  before: KubeObject | undefined,
  families: readonly Family[],
): string[] {
  const had = before === undefined ? undefined : part(before, 'spec');
  return refused(() => {
    withFamilies(part(service, 'spec'), had, families, service.metadata.name ?? '');
  });
}

function errorsOf({ resource, version, object, old, subresource, of, families }: Case): string[] {
  const kind = kindOf(resource);
  if (of === 'deletion') {
    return refused(() => {
      checkDeleteOptions(object);
    });
  }
  if (of === 'metadata') {
    const before = old === undefined ? undefined : decoded(kind, old, version);
    return metadataErrorsOf(kind, decoded(kind, object, version), before);
  }
  const given = stored(kind, decoded(kind, object, version));
  const { strategy } = kind;
  if (old === undefined) {
    const prepared = strategy.prepareForCreate?.(given, context) ?? given;
    if (families !== undefined) return familyErrorsOf(prepared, undefined, families);
    return [
      ...(strategy.nameErrors?.(prepared.metadata.name ?? '', false) ?? []).map(
        (text) => `metadata.name: ${text}`,
      ),
      ...told(strategy.validate(prepared, context)),
    ];
  }
  const before = stored(kind, decoded(kind, old, version));
  const sub = kind.subresources.find(({ name }) => name === subresource);
  const rules = sub?.backing.kind === 'update' ? sub.backing.strategy : strategy;
  const prepared = rules.prepareForUpdate?.(given, before, context) ?? given;
  if (families !== undefined) return familyErrorsOf(prepared, before, families);
  return told(rules.validateUpdate(prepared, before, context));
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
const all: Case[] = [];
for (const file of files) {
  const written = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Case[];
  const cases = written.map((each) => expand(each) as Case);
  all.push(...cases);
  if (REWRITE) {
    for (const [index, each] of cases.entries()) {
      if (each.defaults === undefined) written[index].errors = each.errors = errorsOf(each);
    }
    writeFileSync(new URL(file, FOLDER), `${JSON.stringify(written, null, 2)}\n`);
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

/** Cases whose object is of the kind. */
const objects = all.filter(({ of }) => of !== 'deletion');

test('a kubelet says its status while it registers its node; no other status comes with a create', () => {
  const keeping = STORED_KINDS.filter((kind) => {
    const given = { apiVersion: 'v1', kind: kind.kind, metadata: {}, status: { marked: true } };
    const made = kind.strategy.prepareForCreate?.(given, context) ?? given;
    return at(made, 'status.marked') === true;
  });
  const withStatus = keeping.filter(({ subresources }) => subresources.some(({ name }) => name === 'status'));
  expect(withStatus.map(nameOf)).toEqual(['nodes']);
});

test('kinds whose updates must name the version they change', () => {
  const conditional = STORED_KINDS.filter(({ strategy }) => strategy.allowUnconditionalUpdate === false);
  expect(conditional.map(nameOf).toSorted()).toEqual([
    'apiservices.apiregistration.k8s.io',
    'clustertrustbundles.certificates.k8s.io',
    'csidrivers.storage.k8s.io',
    'csinodes.storage.k8s.io',
    'csistoragecapacities.storage.k8s.io',
    'leasecandidates.coordination.k8s.io',
    'leases.coordination.k8s.io',
    'mutatingadmissionpolicies.admissionregistration.k8s.io',
    'mutatingadmissionpolicybindings.admissionregistration.k8s.io',
    'mutatingwebhookconfigurations.admissionregistration.k8s.io',
    'podcertificaterequests.certificates.k8s.io',
    'poddisruptionbudgets.policy',
    'resourcepoolstatusrequests.resource.k8s.io',
    'runtimeclasses.node.k8s.io',
    'storageversionmigrations.storagemigration.k8s.io',
    'storageversions.internal.apiserver.k8s.io',
    'validatingadmissionpolicies.admissionregistration.k8s.io',
    'validatingadmissionpolicybindings.admissionregistration.k8s.io',
    'validatingwebhookconfigurations.admissionregistration.k8s.io',
    'volumeattachments.storage.k8s.io',
  ]);
});

/** Where errors are made: a call of a FieldErrors method, or of a check that is handed one. */
const RULE =
  /\berrors\.(required|invalids?|notSupported|forbidden|duplicate|notFound|tooLong|tooMany|typeInvalid|refused)\(/;
const SOURCES = new URL('../../', import.meta.url);

/** Each rule of a folder as its file and what is left of the line without blanks; two alike count once. */
function rulesOf(folder: string): string[] {
  const rules: string[] = [];
  for (const name of readdirSync(new URL(`${folder}/`, SOURCES), { recursive: true })) {
    const file = `${folder}/${String(name)}`;
    if (!file.endsWith('.ts') || file.endsWith('.test.ts') || file.endsWith('field-errors.ts')) continue;
    for (const line of readFileSync(new URL(file, SOURCES), 'utf8').split('\n')) {
      if (RULE.test(line) && !line.trimStart().startsWith('*')) rules.push(`${file}: ${line.trim()}`);
    }
  }
  return [...new Set(rules)].toSorted();
}

test('every rule refuses something in the data, or stands in the list of those without a case', () => {
  const lines = new Map<string, readonly string[]>();
  const hit = new Set<string>();
  const prototype = FieldErrors.prototype as unknown as {
    add: (this: FieldErrors, ...given: unknown[]) => void;
  };
  const { add } = prototype;
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 60;
  prototype.add = function (this: FieldErrors, ...given: unknown[]): void {
    for (const [, file, line] of (new Error().stack ?? '').matchAll(
      /src\/((?:registry|validation)\/[^:]+):(\d+):/g,
    )) {
      const text =
        lines.get(file) ??
        readFileSync(new URL(file, SOURCES), 'utf8')
          .split('\n')
          .map((each) => each.trim());
      lines.set(file, text);
      hit.add(`${file}: ${text[Number(line) - 1]}`);
    }
    add.apply(this, given);
  };
  try {
    for (const each of all) if (each.defaults === undefined) errorsOf(each);
  } finally {
    prototype.add = add;
    Error.stackTraceLimit = limit;
  }
  const without = [...rulesOf('registry'), ...rulesOf('validation')].filter((rule) => !hit.has(rule));
  const list = new URL('../kinds-without-case.json', FOLDER);
  const reasons = JSON.parse(readFileSync(list, 'utf8')) as Readonly<Record<string, string>>;
  if (REWRITE) {
    const kept = Object.fromEntries(without.map((rule) => [rule, reasons[rule] ?? '']));
    writeFileSync(list, `${JSON.stringify(kept, null, 2)}\n`);
  }
  expect(without).toEqual(Object.keys(reasons));
  expect(Object.entries(reasons).filter(([, reason]) => reason === '')).toEqual([]);
  expect(without.length).toBeLessThan(20);
});

test('every default of a kind is told by a case', () => {
  const told = new Map<string, Set<string>>();
  for (const { resource, version, defaults = {} } of all) {
    const paths = told.get(`${resource} ${version ?? ''}`) ?? new Set<string>();
    for (const path of Object.keys(defaults)) paths.add(path.replace(/\.\d+/g, '[]'));
    told.set(`${resource} ${version ?? ''}`, paths);
  }
  const missing = new Set<string>();
  for (const each of objects) {
    const kind = kindOf(each.resource);
    const version = kind.versions.find(({ version: name }) => name === each.version) ?? kind.versions[0];
    const named = { apiVersion: '', kind: kind.kind, ...each.object };
    const bare = conform(types.struct(version.typeName), named, { schemaProps });
    const paths = told.get(`${each.resource} ${each.version ?? ''}`) ?? new Set<string>();
    for (const path of added(bare, decoded(kind, each.object, each.version), '')) {
      // A pod's defaults are the pod's, wherever its template stands.
      if (/(^|\.)(template|containers|volumes)\b/.test(path) && each.resource !== 'pods') continue;
      const known = [...paths].some(
        (one) => path === one || path.startsWith(`${one}.`) || path.startsWith(`${one}[]`),
      );
      if (!known) missing.add(`${each.resource}: ${path}`);
    }
  }
  expect([...missing].toSorted()).toEqual([]);
});

/** Leaves that stand in the second and not in the first. */
function added(bare: unknown, full: unknown, path: string): string[] {
  if (Array.isArray(full))
    return full.flatMap((item, index) =>
      added(Array.isArray(bare) ? (bare[index] as unknown) : undefined, item, `${path}[]`),
    );
  if (typeof full === 'object' && full !== null && Object.keys(full).length > 0)
    return Object.entries(full as Record<string, unknown>).flatMap(([name, value]) =>
      name === 'apiVersion' && path === ''
        ? []
        : added(
            (bare as Record<string, unknown> | undefined)?.[name],
            value,
            path === '' ? name : `${path}.${name}`,
          ),
    );
  // Go writes null where it has nothing and may not leave it out: that is no default.
  return full !== null && (bare === undefined || bare === null) ? [path] : [];
}

test('every kind has a case that is right, one that is wrong, and an update of each sort', () => {
  const updates = all.filter(({ old, subresource }) => old !== undefined && subresource === undefined);
  const lacking = STORED_KINDS.map(nameOf).filter(
    (name) => !updates.some(({ resource }) => resource === name),
  );
  expect(lacking).toEqual([]);
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
  for (const each of objects) {
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
