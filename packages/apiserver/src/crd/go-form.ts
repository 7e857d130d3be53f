/**
 * Schemas and versions of definitions as messages show them: in the form of the original's internal types, whose members
 * are all there, in their order and under Go's names. People search for those texts; nothing else reads them.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { flag, part, parts, text } from '../validation/value.ts';

type Form =
  'text' | 'flag' | 'any' | 'schema' | 'schemas' | 'map' | 'items' | 'additional' | 'rules' | 'docs';

/** Members of a schema: Go's name, JSON's, what it is. */
const MEMBERS: readonly (readonly [string, string, Form])[] = [
  ['ID', 'id', 'text'],
  ['Schema', '$schema', 'text'],
  ['Ref', '$ref', 'any'],
  ['Description', 'description', 'text'],
  ['Type', 'type', 'text'],
  ['Nullable', 'nullable', 'flag'],
  ['Format', 'format', 'text'],
  ['Title', 'title', 'text'],
  ['Default', 'default', 'any'],
  ['Maximum', 'maximum', 'any'],
  ['ExclusiveMaximum', 'exclusiveMaximum', 'flag'],
  ['Minimum', 'minimum', 'any'],
  ['ExclusiveMinimum', 'exclusiveMinimum', 'flag'],
  ['MaxLength', 'maxLength', 'any'],
  ['MinLength', 'minLength', 'any'],
  ['Pattern', 'pattern', 'text'],
  ['MaxItems', 'maxItems', 'any'],
  ['MinItems', 'minItems', 'any'],
  ['UniqueItems', 'uniqueItems', 'flag'],
  ['MultipleOf', 'multipleOf', 'any'],
  ['Enum', 'enum', 'any'],
  ['MaxProperties', 'maxProperties', 'any'],
  ['MinProperties', 'minProperties', 'any'],
  ['Required', 'required', 'any'],
  ['Items', 'items', 'items'],
  ['AllOf', 'allOf', 'schemas'],
  ['OneOf', 'oneOf', 'schemas'],
  ['AnyOf', 'anyOf', 'schemas'],
  ['Not', 'not', 'schema'],
  ['Properties', 'properties', 'map'],
  ['AdditionalProperties', 'additionalProperties', 'additional'],
  ['PatternProperties', 'patternProperties', 'map'],
  ['Dependencies', 'dependencies', 'any'],
  ['AdditionalItems', 'additionalItems', 'additional'],
  ['Definitions', 'definitions', 'map'],
  ['ExternalDocs', 'externalDocs', 'docs'],
  ['Example', 'example', 'any'],
  ['XPreserveUnknownFields', 'x-kubernetes-preserve-unknown-fields', 'any'],
  ['XEmbeddedResource', 'x-kubernetes-embedded-resource', 'flag'],
  ['XIntOrString', 'x-kubernetes-int-or-string', 'flag'],
  ['XListMapKeys', 'x-kubernetes-list-map-keys', 'any'],
  ['XListType', 'x-kubernetes-list-type', 'any'],
  ['XMapType', 'x-kubernetes-map-type', 'any'],
  ['XValidations', 'x-kubernetes-validations', 'rules'],
];

/** @param schema JSONSchemaProps */
export function goSchema(schema: JsonObject): JsonObject {
  return Object.fromEntries(MEMBERS.map(([name, own, form]) => [name, shown(schema[own], form)]));
}

function shown(value: Json | undefined, form: Form): Json {
  switch (form) {
    case 'text':
      return typeof value === 'string' ? value : '';
    case 'flag':
      return value === true;
    case 'schema':
      return isJsonObject(value) ? goSchema(value) : null;
    case 'schemas':
      return Array.isArray(value) && value.length > 0 ? value.filter(isJsonObject).map(goSchema) : null;
    case 'map':
      return isJsonObject(value) ? goSchemas(value) : null;
    case 'items':
      if (isJsonObject(value)) return { Schema: goSchema(value), JSONSchemas: null };
      return Array.isArray(value)
        ? { Schema: null, JSONSchemas: value.filter(isJsonObject).map(goSchema) }
        : null;
    case 'additional':
      if (typeof value === 'boolean') return { Allows: value, Schema: null };
      return isJsonObject(value) ? { Allows: true, Schema: goSchema(value) } : null;
    case 'rules':
      return Array.isArray(value) && value.length > 0 ? value.filter(isJsonObject).map(goRule) : null;
    case 'docs':
      return isJsonObject(value)
        ? { Description: text(value, 'description'), URL: text(value, 'url') }
        : null;
    default:
      return value ?? null;
  }
}

function goSchemas(schemas: JsonObject): JsonObject {
  const names = Object.keys(schemas).toSorted();
  return Object.fromEntries(names.map((name) => [name, goSchema(part(schemas, name))]));
}

/** @param rule of x-kubernetes-validations */
export function goRule(rule: JsonObject): JsonObject {
  return {
    Rule: text(rule, 'rule'),
    Message: text(rule, 'message'),
    MessageExpression: text(rule, 'messageExpression'),
    Reason: rule['reason'] ?? null,
    FieldPath: text(rule, 'fieldPath'),
    OptionalOldSelf: rule['optionalOldSelf'] ?? null,
  };
}

/** Members that are told once for all versions are none of the versions'. */
export interface LiftedMembers {
  readonly schema: boolean;
  readonly subresources: boolean;
  readonly columns: boolean;
  readonly selectable: boolean;
}

export function goVersion(version: JsonObject, lifted: LiftedMembers): JsonObject {
  const schema = part(version, 'schema')['openAPIV3Schema'];
  const subresources = version['subresources'];
  const columns = parts(version, 'additionalPrinterColumns');
  const selectable = parts(version, 'selectableFields');
  return {
    Name: text(version, 'name'),
    Served: flag(version, 'served'),
    Storage: flag(version, 'storage'),
    Deprecated: flag(version, 'deprecated'),
    DeprecationWarning: version['deprecationWarning'] ?? null,
    Schema: lifted.schema || !isJsonObject(schema) ? null : { OpenAPIV3Schema: goSchema(schema) },
    Subresources: lifted.subresources || !isJsonObject(subresources) ? null : goSubresources(subresources),
    AdditionalPrinterColumns: lifted.columns || columns.length === 0 ? null : columns.map(goColumn),
    SelectableFields:
      lifted.selectable || selectable.length === 0
        ? null
        : selectable.map((field) => ({ JSONPath: text(field, 'jsonPath') })),
  };
}

function goSubresources(subresources: JsonObject): JsonObject {
  const { status, scale } = subresources;
  return {
    Status: isJsonObject(status) ? {} : null,
    Scale: isJsonObject(scale)
      ? {
          SpecReplicasPath: text(scale, 'specReplicasPath'),
          StatusReplicasPath: text(scale, 'statusReplicasPath'),
          LabelSelectorPath: scale['labelSelectorPath'] ?? null,
        }
      : null,
  };
}

function goColumn(column: JsonObject): JsonObject {
  return {
    Name: text(column, 'name'),
    Type: text(column, 'type'),
    Format: text(column, 'format'),
    Description: text(column, 'description'),
    Priority: column['priority'] ?? 0,
    JSONPath: text(column, 'jsonPath'),
  };
}

/** What a value is to Go, once read. */
export function goType(value: Json): string {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  if (isJsonObject(value)) return 'map[string]interface {}';
  return Number.isInteger(value) || typeof value === 'bigint' ? 'int64' : 'float64';
}
