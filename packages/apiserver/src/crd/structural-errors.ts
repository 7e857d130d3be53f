/**
 * Whether a schema is structural: every part has a type outside of the combinations, the combinations say nothing a
 * type would, and metadata is left alone. Reads JSONSchemaProps in Go's form; sorted as the original sorts.
 *
 * Modelled on apiextensions-apiserver's schema/validation and schema/complete, whose texts these are.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { FieldError } from '../api/status.ts';
import { compileRegex } from '../cel/regex.ts';
import { CelError } from '../cel/values.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import type { FieldPath } from '../validation/field-path.ts';
import { part, partOf, parts, text } from '../validation/value.ts';

type Level = 'root' | 'item' | 'field';

const PRESERVE = 'x-kubernetes-preserve-unknown-fields';
const EMBEDDED = 'x-kubernetes-embedded-resource';
const INT_OR_STRING = 'x-kubernetes-int-or-string';
const VALIDATIONS = 'x-kubernetes-validations';

/** All that keeps a schema from being structural. */
export function structuralErrors(schema: JsonObject, path: FieldPath): FieldError[] {
  const errors = new FieldErrors();
  checkInvariants(errors, schema, 'root', path);
  checkComplete(errors, schema, schema, path, path);
  return errors.list.toSorted((a, b) => {
    const [left, right] = [`${a.field}: ${a.body}`, `${b.field}: ${b.body}`];
    return left < right ? -1 : left > right ? 1 : 0;
  });
}

/** A member that no structural schema has; with one of them nothing else is said of its structure. */
export function unsupportedMember(schema: JsonObject): string | undefined {
  if (text(schema, 'id') !== '') return 'id';
  if (text(schema, '$schema') !== '') return 'schema';
  if (text(schema, '$ref') !== '') return '$ref';
  if (schema['additionalItems'] !== undefined) return 'additionalItems';
  for (const name of ['dependencies', 'patternProperties', 'definitions']) {
    if (Object.keys(part(schema, name)).length > 0) return name;
  }
  if (Array.isArray(schema['items'])) return 'items';
  for (const node of subschemas(schema)) {
    const member = unsupportedMember(node);
    if (member !== undefined) return member;
  }
  return undefined;
}

/** The schemas directly in one. */
export function subschemas(schema: JsonObject): readonly JsonObject[] {
  return [
    schema['items'],
    ...['allOf', 'anyOf', 'oneOf'].flatMap((name) => parts(schema, name)),
    schema['not'],
    ...Object.values(part(schema, 'properties')),
    schema['additionalProperties'],
  ].filter(isJsonObject);
}

function checkInvariants(errors: FieldErrors, schema: JsonObject, level: Level, path: FieldPath): void {
  const type = text(schema, 'type');
  const items = partOf(schema, 'items');
  const embedded = schema[EMBEDDED] === true;
  const intOrString = schema[INT_OR_STRING] === true;
  const preserves = schema[PRESERVE] === true;
  if (type === 'array' && schema['items'] === undefined)
    errors.required(path.child('items'), 'must be specified');
  if (items !== undefined) checkInvariants(errors, items, 'item', path.child('items'));
  const properties = part(schema, 'properties');
  for (const [name, value] of Object.entries(properties)) {
    if (isJsonObject(value)) checkInvariants(errors, value, 'field', path.child('properties').key(name));
  }
  const additional = schema['additionalProperties'];
  if (additional !== undefined) {
    const at = path.child('additionalProperties');
    if (level === 'root') errors.forbidden(at, 'must not be used at the root');
    if (isJsonObject(additional)) checkInvariants(errors, additional, 'field', at);
    if (embedded) errors.forbidden(at, `must not be used if ${EMBEDDED} is set`);
  }
  if (intOrString && preserves) {
    errors.invalid(path.child(PRESERVE), true, `must be false if ${INT_OR_STRING} is true`);
  }
  if (intOrString && embedded) {
    errors.invalid(path.child(EMBEDDED), true, `must be false if ${INT_OR_STRING} is true`);
  }
  const first = parts(schema, 'allOf').at(0);
  checkValues(errors, schema, path, {
    skipAnyOf: isIntOrString(schema),
    skipFirstAllOf: first !== undefined && isIntOrString(first),
  });
  checkType(errors, { type, level, embedded, free: intOrString || preserves }, path);
  if (level === 'root' || embedded) checkMetaTypes(errors, properties, path);
  const metadata = partOf(properties, 'metadata');
  if (metadata !== undefined) {
    checkMetadata(errors, metadata, level, embedded, path.child('properties').key('metadata'));
  }
  if (embedded && !preserves && Object.keys(properties).length === 0) {
    errors.required(path.child('properties'), `must not be empty if ${EMBEDDED} is true without ${PRESERVE}`);
  }
}

const MISSING: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
};

function checkType(
  errors: FieldErrors,
  {
    type,
    level,
    embedded,
    free,
  }: { readonly type: string; readonly level: Level; readonly embedded: boolean; readonly free: boolean },
  path: FieldPath,
): void {
  const at = path.child('type');
  if (embedded && type !== 'object') {
    const wanted = `must be object if ${EMBEDDED} is true`;
    if (type === '') errors.required(at, wanted);
    else errors.invalid(at, type, wanted);
  } else if (type === '' && !free) {
    errors.required(at, MISSING[level]);
  }
  if (level === 'root' && type !== '' && type !== 'object') {
    errors.invalid(at, type, 'must be object at the root');
  }
}

function checkMetaTypes(errors: FieldErrors, properties: JsonObject, path: FieldPath): void {
  for (const name of ['kind', 'apiVersion']) {
    const node = partOf(properties, name);
    if (node === undefined || text(node, 'type') === 'string') continue;
    errors.invalid(path.child('properties').key(name).child('type'), text(node, 'type'), 'must be string');
  }
}

function checkMetadata(
  errors: FieldErrors,
  metadata: JsonObject,
  level: Level,
  embedded: boolean,
  path: FieldPath,
): void {
  if ((level === 'root' || embedded) && text(metadata, 'type') !== 'object') {
    errors.invalid(path.child('type'), text(metadata, 'type'), 'must be object');
  }
  if (level !== 'root') return;
  const { type: _type, default: _default, properties = {}, ...rest } = metadata;
  const named = isJsonObject(properties) ? Object.keys(properties) : [];
  const allowed = named.every((name) => name === 'name' || name === 'generateName');
  if (!allowed || Object.keys(rest).length > 0) {
    errors.forbidden(
      path,
      'must not specify anything other than name and generateName, but metadata is implicitly specified',
    );
  }
}

/** anyOf: integer, string. */
function isIntOrString(schema: JsonObject): boolean {
  return JSON.stringify(schema['anyOf']) === '[{"type":"integer"},{"type":"string"}]';
}

interface Skips {
  readonly skipAnyOf: boolean;
  readonly skipFirstAllOf: boolean;
}

const NO_SKIPS: Skips = { skipAnyOf: false, skipFirstAllOf: false };

function checkValues(errors: FieldErrors, schema: JsonObject, path: FieldPath, skips: Skips): void {
  if (!skips.skipAnyOf) {
    for (const [index, node] of parts(schema, 'anyOf').entries()) {
      checkNested(errors, node, path.child('anyOf').index(index), NO_SKIPS);
    }
  }
  for (const [index, node] of parts(schema, 'allOf').entries()) {
    const skipAnyOf = skips.skipFirstAllOf && index === 0;
    checkNested(errors, node, path.child('allOf').index(index), { skipAnyOf, skipFirstAllOf: false });
  }
  for (const [index, node] of parts(schema, 'oneOf').entries()) {
    checkNested(errors, node, path.child('oneOf').index(index), NO_SKIPS);
  }
  const not = partOf(schema, 'not');
  if (not !== undefined) checkNested(errors, not, path.child('not'), NO_SKIPS);
  const pattern = text(schema, 'pattern');
  if (pattern !== '') {
    const regex = compileRegex(pattern);
    if (regex instanceof CelError) {
      errors.invalid(
        path.child('pattern'),
        pattern,
        `must be a valid regular expression, but isn't: ${regex.message}`,
      );
    }
  }
}

/** Members that only a type may have, and how each has to be under a combination. */
const OUTSIDE: readonly (readonly [string, string])[] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  [PRESERVE, 'must be false to be structural'],
  [EMBEDDED, 'must be false to be structural'],
  [INT_OR_STRING, 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  [VALIDATIONS, 'must be empty to be structural'],
];

function checkNested(errors: FieldErrors, schema: JsonObject, path: FieldPath, skips: Skips): void {
  checkValues(errors, schema, path, skips);
  const items = partOf(schema, 'items');
  if (items !== undefined) checkNested(errors, items, path.child('items'), NO_SKIPS);
  const properties = part(schema, 'properties');
  for (const [name, node] of Object.entries(properties)) {
    if (isJsonObject(node)) checkNested(errors, node, path.child('properties').key(name), NO_SKIPS);
  }
  for (const [name, wanted] of OUTSIDE) {
    if (isSet(schema[name])) errors.forbidden(path.child(name), wanted);
  }
  if (Object.hasOwn(properties, 'metadata')) {
    errors.forbidden(path.child('properties').key('metadata'), 'must not be specified in a nested context');
  }
}

function isSet(value: Json | undefined): boolean {
  return value !== undefined && value !== null && value !== false && value !== '';
}

/** Whether all that a combination speaks of is described outside of it. */
function checkComplete(
  errors: FieldErrors,
  values: JsonObject,
  schema: JsonObject | undefined,
  schemaPath: FieldPath,
  path: FieldPath,
): void {
  const inner: (readonly [JsonObject, FieldPath])[] = [];
  const not = partOf(values, 'not');
  if (not !== undefined) inner.push([not, path.child('not')]);
  for (const name of ['allOf', 'anyOf', 'oneOf']) {
    for (const [index, node] of parts(values, name).entries())
      inner.push([node, path.child(name).index(index)]);
  }
  for (const [node, at] of inner) checkNestedComplete(errors, node, schema, schemaPath, at);
}

function checkNestedComplete(
  errors: FieldErrors,
  values: JsonObject,
  schema: JsonObject | undefined,
  schemaPath: FieldPath,
  path: FieldPath,
): void {
  if (schema === undefined) {
    errors.required(schemaPath, `because it is defined in ${path.toString()}`);
    return;
  }
  checkComplete(errors, values, schema, schemaPath, path);
  const items = partOf(values, 'items');
  if (items !== undefined) {
    checkNestedComplete(
      errors,
      items,
      partOf(schema, 'items'),
      schemaPath.child('items'),
      path.child('items'),
    );
  }
  for (const [name, node] of Object.entries(part(values, 'properties'))) {
    if (!isJsonObject(node)) continue;
    checkNestedComplete(
      errors,
      node,
      partOf(part(schema, 'properties'), name),
      schemaPath.child('properties').key(name),
      path.child('properties').key(name),
    );
  }
}
