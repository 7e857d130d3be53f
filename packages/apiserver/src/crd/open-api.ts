/**
 * What OpenAPI says of custom resources: the schema of a version as its definition wrote it, with apiVersion, kind and
 * metadata, and the list of them. Version 2 knows less of JSON Schema: what it cannot say is left out there.
 *
 * Modelled on apiextensions-apiserver's controller/openapi builder and schema/openapi v2 conversion.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { CustomResource } from './custom-resource.ts';
import type { CustomVersion } from './custom-version.ts';

const PREFIXES = { v2: '#/definitions/', v3: '#/components/schemas/' } as const;
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

type Dialect = 'v2' | 'v3';

interface Definition {
  readonly schema: JsonObject;
  readonly references: readonly string[];
}

/** `com.example.stable.v1.CronTab`. */
function nameOf(group: string, version: string, kind: string): string {
  return [...group.split('.').toReversed(), version, kind].join('.');
}

/** The definitions of all custom resources that are served, asked for by name. */
export class CustomOpenApi {
  private readonly resources: () => Iterable<CustomResource>;
  private readonly changes: () => number;
  private names: ReadonlyMap<string, Named> = new Map();
  private madeAt = -1;

  /**
   * @param resources those that are served now
   * @param changes another number whenever they are others
   */
  constructor(resources: () => Iterable<CustomResource>, changes: () => number) {
    this.resources = resources;
    this.changes = changes;
  }

  define(name: string, dialect: Dialect): Definition | undefined {
    const found = this.find(name);
    if (found === undefined) return undefined;
    return found.list
      ? listDefinition(found.resource, found.version, dialect)
      : definition(found.resource, found.version, dialect);
  }

  /** Another text whenever the definition of this name is another. */
  revision(name: string): string {
    const found = this.find(name);
    return found === undefined ? '' : found.version.schema.fingerprint;
  }

  private find(name: string): Named | undefined {
    const changes = this.changes();
    if (changes !== this.madeAt) {
      const names = new Map<string, Named>();
      for (const resource of this.resources()) {
        const { group, kind, listKind = `${kind}List` } = resource.definition;
        for (const version of resource.versions) {
          names.set(nameOf(group, version.name, listKind), { resource, version, list: true });
          names.set(nameOf(group, version.name, kind), { resource, version, list: false });
        }
      }
      this.names = names;
      this.madeAt = changes;
    }
    return this.names.get(name);
  }
}

/** A version of a custom resource, or the list of such. */
interface Named {
  readonly resource: CustomResource;
  readonly version: CustomVersion;
  readonly list: boolean;
}

/** How these texts begin is part of Kubernetes' conformance: `kubectl explain` is read by its tests. */
const API_VERSION_TEXT = 'APIVersion defines the group and version that this object is written in.';
const KIND_TEXT = 'Kind says what this object is, in CamelCase.';
const METADATA_TEXT = "Standard object's metadata: its name, its labels and what else every object has.";

const API_VERSION: JsonObject = { type: 'string', description: API_VERSION_TEXT };
const KIND: JsonObject = { type: 'string', description: KIND_TEXT };

function definition(
  { definition: { group, kind } }: CustomResource,
  version: CustomVersion,
  dialect: Dialect,
): Definition {
  const source = version.schema.plain();
  const told = completed(source, dialect);
  const shown = dialect === 'v2' ? inVersion2(told) : told;
  const { properties, ...rest } = shown;
  const described = isJsonObject(properties) ? properties : {};
  const keeps = source['x-kubernetes-preserve-unknown-fields'] === true && dialect === 'v2';
  return {
    schema: {
      type: 'object',
      // kubectl takes what is described here for all there may be: of what keeps unknown fields nothing is said.
      ...(keeps
        ? {}
        : {
            ...rest,
            properties: {
              ...described,
              apiVersion: API_VERSION,
              kind: KIND,
              metadata: refer(`${META}ObjectMeta`, dialect, METADATA_TEXT),
            },
          }),
      'x-kubernetes-group-version-kind': [{ group, kind, version: version.name }],
      ...selectableOf(version),
    },
    references: keeps ? [] : ['meta.v1.ObjectMeta'],
  };
}

function listDefinition(
  { definition: given }: CustomResource,
  version: CustomVersion,
  dialect: Dialect,
): Definition {
  const { group, kind, listKind = `${kind}List` } = given;
  const item = nameOf(group, version.name, kind);
  return {
    schema: {
      description: `${listKind} is a list of ${kind}`,
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: API_VERSION,
        items: {
          description: `All ${given.resource} that were asked for.`,
          type: 'array',
          items: { $ref: PREFIXES[dialect] + item },
        },
        kind: KIND,
        metadata: refer(`${META}ListMeta`, dialect, 'Version of the list, and how it goes on.'),
      },
      'x-kubernetes-group-version-kind': [{ group, kind: listKind, version: version.name }],
      ...selectableOf(version),
    },
    references: ['meta.v1.ListMeta', item],
  };
}

function refer(name: string, dialect: Dialect, description: string): JsonObject {
  const $ref = PREFIXES[dialect] + name;
  return dialect === 'v2' ? { description, $ref } : { description, allOf: [{ $ref }] };
}

function selectableOf({ selectable }: CustomVersion): JsonObject {
  if (selectable.length === 0) return {};
  return { 'x-kubernetes-selectable-fields': selectable.map((fieldPath) => ({ fieldPath })) };
}

const INT_OR_STRING: readonly Json[] = [{ type: 'integer' }, { type: 'string' }];
const EMBEDDED_TEXTS = {
  apiVersion: 'apiVersion defines the group and version that this object is written in.',
  kind: 'kind says what this object is, in CamelCase.',
};

/** The schema with what its extensions mean: two types for one of both, and what each object with a kind has. */
function completed(schema: JsonObject, dialect: Dialect): JsonObject {
  const next: Record<string, Json> = { ...schema };
  for (const name of ['items', 'additionalProperties']) {
    const node = schema[name];
    if (isJsonObject(node)) next[name] = completed(node, dialect);
  }
  const { properties, required } = schema;
  if (isJsonObject(properties)) {
    next['properties'] = Object.fromEntries(
      Object.entries(properties).map(([name, node]) => [
        name,
        isJsonObject(node) ? completed(node, dialect) : node,
      ]),
    );
  }
  if (schema['x-kubernetes-int-or-string'] === true && schema['anyOf'] === undefined) {
    next['anyOf'] = INT_OR_STRING;
  }
  if (schema['x-kubernetes-embedded-resource'] === true) {
    next['properties'] = {
      ...(isJsonObject(next['properties']) ? next['properties'] : {}),
      apiVersion: { type: 'string', description: EMBEDDED_TEXTS.apiVersion },
      kind: { type: 'string', description: EMBEDDED_TEXTS.kind },
      metadata: refer(`${META}ObjectMeta`, dialect, METADATA_TEXT),
    };
    next['required'] = [
      ...(Array.isArray(required) ? required.filter((name) => name !== 'kind' && name !== 'apiVersion') : []),
      'kind',
      'apiVersion',
    ];
  }
  return next;
}

/** Members that version 2 does not have. */
const ABSENT: ReadonlySet<string> = new Set(['nullable', 'allOf', 'anyOf', 'oneOf', 'not', 'default']);

function inVersion2(schema: JsonObject): JsonObject {
  const shown: Record<string, Json> = {};
  const free = isNullable(schema) || schema['x-kubernetes-preserve-unknown-fields'] === true;
  for (const [name, value] of Object.entries(schema)) {
    if (ABSENT.has(name)) continue;
    // What may be of several types, or hold anything, has no type there and names nothing.
    if (free && ['type', 'items', 'properties', 'additionalProperties', 'required'].includes(name)) continue;
    if (name === 'properties' && isJsonObject(value)) {
      shown[name] = Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [key, isJsonObject(inner) ? inVersion2(inner) : inner]),
      );
    } else if ((name === 'items' || name === 'additionalProperties') && isJsonObject(value)) {
      shown[name] = inVersion2(value);
    } else {
      shown[name] = value;
    }
  }
  const { required, properties, additionalProperties } = schema;
  if (Array.isArray(shown['required']) && Array.isArray(required)) {
    const kept = isNullable(additionalProperties)
      ? []
      : required.filter((name) => !isJsonObject(properties) || !isNullable(properties[String(name)]));
    if (kept.length > 0) shown['required'] = kept;
    else delete shown['required'];
  }
  return shown;
}

function isNullable(schema: Json | undefined): boolean {
  return schema !== undefined && isJsonObject(schema) && schema['nullable'] === true;
}
