/**
 * The cases of server-side apply, `testdata/apply/cases`: conversations of writers with one object, and what the
 * object and its managedFields are in the end. Each names the upstream table or the rule it covers; what is
 * expected was computed by Kubernetes' own field manager (apimachinery 0.36) from the same files.
 *
 * A step's object lacks what is the same in all: apiVersion, kind and name are filled in, unless it is `raw`. The
 * time of step n is the nth second of 2020.
 */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { isJsonObject, type Json, type JsonObject } from '../src/api/json.ts';
import { ApiError } from '../src/api/status.ts';
import { PathElement, readPlainJson } from '../src/patch/field-path.ts';
import { FieldSet } from '../src/patch/field-set.ts';
import { managedFieldsOf, withManagedFields } from '../src/patch/managed-fields.ts';
import type { Versions } from '../src/patch/server-side-apply-updater.ts';
import { applyPatch, trackUpdate } from '../src/patch/server-side-apply.ts';
import type { FieldSchema, StructSchema, TypeSchema } from '../src/schema/type-schema.ts';
import { TypeTable } from '../src/schema/type-table.ts';

const folder = path.join(import.meta.dirname, 'testdata/apply');

export interface Step {
  readonly op: 'apply' | 'update';
  readonly manager: string;
  readonly version?: string;
  readonly force?: boolean;
  readonly subresource?: string;
  readonly raw?: boolean;
  /** The type from this step on, where the schema changes under the object. */
  readonly schema?: string;
  readonly object: JsonObject;
  /** The Status that the step is refused with. */
  readonly error?: JsonObject;
}

export interface Case {
  readonly name: string;
  readonly source: string;
  readonly rules?: readonly string[];
  /** `test.…` from schemas.json, `deduced`, or a built-in type by its name in the fact table. */
  readonly type: string;
  readonly kind: string;
  readonly version: string;
  /** Other versions and their types. */
  readonly versions?: Readonly<Record<string, string>>;
  /** By version, fields of spec and what they are called there. */
  readonly renames?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** By version, paths that the server resets. */
  readonly reset?: Readonly<Record<string, readonly (readonly string[])[]>>;
  readonly live?: JsonObject;
  readonly steps: readonly Step[];
  readonly object: Json;
  readonly managed: readonly Json[];
}

/** The files' names without their ending. */
export function caseFiles(): string[] {
  return readdirSync(path.join(folder, 'cases')).map((file) => file.replace(/\.json$/, ''));
}

export function readCases(file: string): Case[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the files are ours
  return read(`cases/${file}.json`) as unknown as Case[];
}

function read(file: string): Json {
  return readPlainJson(readFileSync(path.join(folder, file), 'utf8'));
}

/** What came of a case. */
export interface Outcome {
  readonly object: Json;
  readonly managed: readonly Json[];
  /** By step; undefined where it was not refused. */
  readonly errors: readonly (JsonObject | undefined)[];
}

export class Runner {
  private readonly types = new Map<string, TypeSchema>();
  private readonly definitions: JsonObject;
  private readonly table = new TypeTable();

  constructor() {
    const schemas = read('schemas.json');
    const definitions = isJsonObject(schemas) ? schemas['definitions'] : undefined;
    if (!isJsonObject(definitions)) throw new Error('schemas.json has no definitions');
    this.definitions = definitions;
  }

  /** @param apply how an apply is done */
  run(given: Case, apply: typeof applyPatch = applyPatch): Outcome {
    let live = given.live === undefined ? undefined : whole(given.live, given, given.version);
    const errors: (JsonObject | undefined)[] = [];
    for (let at = 0; at < given.steps.length; at += 1) {
      const step = given.steps[at];
      const apiVersion = step.version ?? given.version;
      const versions = this.versionsOf(given, step.schema ?? given.type);
      if (live !== undefined) live = versions.convert(live, apiVersion) ?? live;
      const options = {
        apiVersion,
        kind: given.kind,
        subresource: step.subresource ?? '',
        now: `2020-01-01T00:00:${String(at).padStart(2, '0')}Z`,
        versions,
      };
      const object = step.raw === true ? step.object : whole(step.object, given, apiVersion);
      try {
        live =
          step.op === 'update'
            ? trackUpdate(live, object, step.manager, options)
            : apply(live, object, step.manager, step.force === true, options);
        errors.push(undefined);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        errors.push(describeError(error));
      }
    }
    if (live !== undefined) live = rename(live, given.version, given.renames ?? {});
    return {
      object: live === undefined ? null : bare(live),
      managed: live === undefined ? [] : (managedFieldsOf(live) ?? []),
      errors,
    };
  }

  private versionsOf(given: Case, type: string): Versions {
    const types: Record<string, string> = { ...given.versions, [given.version]: type };
    const known = (apiVersion: string): boolean => Object.hasOwn(types, apiVersion);
    return {
      typeOf: (apiVersion) => (known(apiVersion) ? this.typeOf(types[apiVersion]) : undefined),
      convert: (object, apiVersion) =>
        known(apiVersion) ? rename(object, apiVersion, given.renames ?? {}) : undefined,
      resetFields: (apiVersion) => {
        const paths = given.reset?.[apiVersion];
        if (paths === undefined) return undefined;
        return FieldSet.of(...paths.map((names) => names.map((name) => PathElement.field(name))));
      },
    };
  }

  /** @param name as in Case.type */
  typeOf(name: string): TypeSchema {
    let type = this.types.get(name);
    if (type === undefined) {
      const definition = this.definitions[name];
      if (name === 'deduced') type = DEDUCED;
      else if (isJsonObject(definition)) type = this.convert(definition, false);
      else type = this.table.struct(name);
      this.types.set(name, type);
    }
    return type;
  }

  /** A type from its OpenAPI form, as a structural schema of a custom resource has it. */
  private convert(given: JsonObject, inherited: boolean): TypeSchema {
    const reference = given['$ref'];
    if (typeof reference === 'string') return this.typeOf(reference.replace('#/definitions/', ''));
    const keeps = inherited || given['x-kubernetes-preserve-unknown-fields'] === true;
    switch (given['type']) {
      case 'string': {
        const { format } = given;
        return scalar((typeof format === 'string' ? STRINGS[format] : undefined) ?? 'string');
      }
      case 'integer':
        return scalar('int64');
      case 'number':
        return scalar('float64');
      case 'boolean':
        return scalar('boolean');
      case 'array': {
        const mark = given['x-kubernetes-list-type'];
        return {
          kind: 'list',
          element: isJsonObject(given['items']) ? this.convert(given['items'], keeps) : DEDUCED,
          listType: mark === 'set' || mark === 'map' ? mark : 'atomic',
          keys: texts(given['x-kubernetes-list-map-keys']),
          boxed: false,
        };
      }
      case 'object':
        return this.convertObject(given, keeps);
      default:
        return DEDUCED;
    }
  }

  private convertObject(given: JsonObject, keeps: boolean): TypeSchema {
    const atomic = given['x-kubernetes-map-type'] === 'atomic';
    const { properties, additionalProperties } = given;
    if (isJsonObject(additionalProperties))
      return { kind: 'map', value: this.convert(additionalProperties, keeps), atomic };
    if (!isJsonObject(properties) || Object.keys(properties).length === 0) return DEDUCED;
    const fields = new Map<string, FieldSchema>();
    for (const [name, property] of Object.entries(properties)) {
      if (!isJsonObject(property)) continue;
      const field = {
        name,
        type: this.convert(property, keeps),
        number: 0,
        goType: undefined,
        pointer: false,
        omitEmpty: false,
        omitZero: false,
        required: false,
        patchStrategy: 'replace',
        retainKeys: false,
        patchMergeKey: '',
      } as const;
      fields.set(
        name,
        Object.hasOwn(property, 'default') ? { ...field, default: property['default'] } : field,
      );
    }
    return {
      kind: 'struct',
      name: '',
      fields,
      own: [...fields.values()],
      inlined: [],
      atomic,
      keepsUnknown: keeps,
    } satisfies StructSchema;
  }
}

const DEDUCED: TypeSchema = { kind: 'untyped', form: 'none' };

const STRINGS: Readonly<Record<string, 'time' | 'bytes' | 'intOrString'>> = {
  'date-time': 'time',
  byte: 'bytes',
  'int-or-string': 'intOrString',
};

function scalar(
  name: 'string' | 'int64' | 'float64' | 'boolean' | 'time' | 'bytes' | 'intOrString',
): TypeSchema {
  return { kind: 'scalar', scalar: name };
}

function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item: Json) => typeof item === 'string') : [];
}

function whole(object: JsonObject, given: Case, apiVersion: string): JsonObject {
  const { metadata } = object;
  return {
    ...object,
    apiVersion,
    kind: given.kind,
    metadata: { name: 'it', ...(isJsonObject(metadata) ? metadata : {}) },
  };
}

function bare(object: JsonObject): JsonObject {
  return withManagedFields(object, undefined);
}

/** The object in another version, where some fields of spec have other names. */
function rename(
  object: JsonObject,
  apiVersion: string,
  renames: Readonly<Record<string, Readonly<Record<string, string>>>>,
): JsonObject {
  const from = object['apiVersion'];
  if (from === apiVersion) return object;
  const back = new Map(
    Object.entries((typeof from === 'string' ? renames[from] : undefined) ?? {}).map(([hub, name]) => [
      name,
      hub,
    ]),
  );
  const { spec } = object;
  const names = new Map(Object.entries(renames[apiVersion] ?? {}));
  if (!isJsonObject(spec)) return { ...object, apiVersion };
  const renamed = Object.entries(spec).map(([name, value]): [string, Json] => {
    const hub = back.get(name) ?? name;
    return [names.get(hub) ?? hub, value];
  });
  return { ...object, apiVersion, spec: Object.fromEntries(renamed) };
}

/** The Status in the files' form: causes sorted by their text, since the original lists managers in any order. */
function describeError({ status }: ApiError): JsonObject {
  const causes = status.details?.causes?.map(({ reason = '', message = '', field = '' }) => ({
    reason,
    message,
    field,
  }));
  return {
    ...(causes === undefined
      ? {}
      : { causes: causes.toSorted((a, b) => (a.message < b.message ? -1 : a.message > b.message ? 1 : 0)) }),
    code: status.code,
    message: status.message,
    reason: status.reason,
  };
}
