/**
 * What the data cases of custom resources are run by: a definition with some members set, a value under a schema. Data
 * in testdata/crd, each case naming the rule or the upstream table it covers.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';

import { finish, WITHOUT_PAUSE } from '../src/api/sliced.ts';
import type { Json, JsonObject } from '../src/api/json.ts';
import type { KubeObject } from '../src/api/meta.ts';
import type { FieldError } from '../src/api/status.ts';
import { RegexCache } from '../src/cel/regex.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { conform } from '../src/codec/typed.ts';
import { CelRules } from '../src/crd/cel-rules.ts';
import { customPrinter } from '../src/crd/columns.ts';
import { CompiledSchemas, CustomSchema } from '../src/crd/custom-schema.ts';
import { CustomVersion } from '../src/crd/custom-version.ts';
import { definitionErrors, type DefinitionCheck } from '../src/crd/definition-errors.ts';
import { customResourceDefinitions } from '../src/crd/definitions.ts';
import { withDefaults } from '../src/schema/default.ts';
import { prune } from '../src/schema/prune.ts';
import { Structural } from '../src/schema/structural.ts';
import { TypeTable } from '../src/schema/type-table.ts';

export interface Case {
  readonly name: string;
  /** Upstream's table or rule. */
  readonly covers: string;
}

/** Members of the usual definition that are other ones: `spec.names.kind` to a value, null to none. */
export interface DefinitionCase extends Case {
  readonly set?: Readonly<Record<string, Json>>;
  /** The root schema, in place of the usual one. */
  readonly schema?: JsonObject;
  /** The same of the definition before; absent: it is made. */
  readonly old?: { readonly set?: Readonly<Record<string, Json>>; readonly schema?: JsonObject };
  readonly errors: readonly string[];
}

export interface ValueCase extends Case {
  /** Of `spec`, unless it has `root`. */
  readonly schema: JsonObject;
  readonly root?: boolean;
  readonly value: Json;
  readonly old?: Json;
  readonly subresources?: JsonObject;
  readonly errors: readonly string[];
}

export interface ShapeCase extends Case {
  readonly schema: JsonObject;
  readonly value: JsonObject;
  readonly result: JsonObject;
  /** Paths that are told as unknown. */
  readonly unknown?: readonly string[];
}

export interface ColumnCase extends Case {
  readonly column: JsonObject;
  readonly object: JsonObject;
  readonly cell: Json;
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller says what form the file has
export function casesOf<T extends Case>(file: string): readonly T[] {
  const text = readFileSync(path.join(import.meta.dirname, 'testdata/crd', file), 'utf8');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the file has this form
  return readJson(text) as unknown as readonly T[];
}

const types = new TypeTable();
const rules = new CelRules();
const patterns = new RegexCache();
const objectMeta = types.struct('meta.v1.ObjectMeta');
const definition = customResourceDefinitions(types, rules);

const USUAL: JsonObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'crontabs.stable.example.com', resourceVersion: '1' },
  spec: {
    group: 'stable.example.com',
    scope: 'Namespaced',
    names: { plural: 'crontabs', kind: 'CronTab' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object' } } } },
      },
    ],
  },
};

function withAt(value: Json | undefined, at: readonly string[], to: Json): Json {
  const [name, ...rest] = at;
  if (name === undefined) return to;
  if (Array.isArray(value)) {
    return value.map((item: Json, index) => (index === Number(name) ? withAt(item, rest, to) : item));
  }
  const object: Record<string, Json> = { ...(value as JsonObject | undefined) };
  const next = withAt(object[name], rest, to);
  if (next === null) delete object[name];
  else object[name] = next;
  return object;
}

function made(set: Readonly<Record<string, Json>> = {}, schema?: JsonObject): KubeObject {
  let value: Json = USUAL;
  if (schema !== undefined)
    value = withAt(value, 'spec.versions.0.schema.openAPIV3Schema'.split('.'), schema);
  for (const [at, to] of Object.entries(set)) value = withAt(value, at.split('.'), to);
  const typed = conform(types.struct('apiextensions.v1.CustomResourceDefinition'), value as JsonObject, {
    schemaProps: types.struct('apiextensions.v1.JSONSchemaProps'),
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- conform gives metadata its type
  const object = definition.versions[0].defaults?.(typed as unknown as KubeObject);
  if (object === undefined) throw new Error('definitions have defaults');
  return definition.strategy.prepareForCreate?.(object, CONTEXT) ?? object;
}

const CONTEXT = {
  user: undefined,
  info: undefined,
  nowMs: 0,
  dryRun: false,
  uuid: () => '',
  random: () => 0,
};

function texts(errors: readonly FieldError[]): string[] {
  return errors.map(({ field, body }) => `${field}: ${body}`);
}

export function runDefinition({ set, schema, old }: DefinitionCase): string[] {
  const before = old && withStatus(made(old.set, old.schema), set);
  const object = made(set, schema);
  const kept = before === undefined ? object : { ...object, status: keptStatus(object, before) };
  const check: DefinitionCheck = {
    patterns,
    objectMeta,
    rules: rules.check,
    evaluate: (evaluation, pace) => rules.evaluate(evaluation, pace),
  };
  return texts(definitionErrors(kept, before, check).list);
}

/** What the old one's status said, and the version that is stored now. */
function keptStatus(object: KubeObject, before: KubeObject): Json {
  const [now, then] = [object['status'], before['status']] as [JsonObject, JsonObject];
  const stored = new Set([...(then['storedVersions'] as string[]), ...(now['storedVersions'] as string[])]);
  return { ...then, storedVersions: [...stored] };
}

function withStatus(object: KubeObject, _set: unknown): KubeObject {
  const conditions = [{ type: 'Established', status: 'True' }];
  return { ...object, status: { ...(object['status'] as JsonObject), conditions } };
}

export function runValue({ schema, root, value, old, subresources }: ValueCase): string[] {
  const source: JsonObject =
    root === true ? schema : { type: 'object', properties: { spec: schema, status: { type: 'object' } } };
  const version = new CustomVersion(
    { name: 'v1', served: true, storage: true, ...(subresources === undefined ? {} : { subresources }) },
    'stable.example.com',
    'CronTab',
    new CustomSchema(source, new CompiledSchemas()),
    { patterns, rules, objectMeta: () => objectMeta },
  );
  const whole = (given: Json): KubeObject => {
    const base = { apiVersion: 'stable.example.com/v1', kind: 'CronTab', metadata: { name: 'a' } };
    const object = root === true ? { ...base, ...(given as JsonObject) } : { ...base, spec: given };
    return object;
  };
  const before = old === undefined ? undefined : whole(old);
  return texts(finish(version.errors(whole(value), before, 'whole', WITHOUT_PAUSE)));
}

export function runPrune({ schema, value }: ShapeCase): { result: JsonObject; unknown: string[] } {
  const unknown: string[] = [];
  const result = prune(new Structural(schema), value, true, (at) => unknown.push(at));
  return { result, unknown };
}

export function runDefault({ schema, value }: ShapeCase): JsonObject {
  const structural = new Structural(schema);
  return withDefaults(structural, prune(structural, value, true));
}

export function runColumn({ column, object }: ColumnCase, nowMs: number): Json {
  const printer = customPrinter([{ name: 'Column', type: 'string', ...column }]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a case's object has a name
  const value = { apiVersion: 'v1', kind: 'X', metadata: { name: 'a' }, ...object } as unknown as KubeObject;
  return printer.cells(value, nowMs)[1];
}
