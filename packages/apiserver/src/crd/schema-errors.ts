/**
 * What a schema of a custom resource may say at all, beyond being structural: what is not supported, which list and
 * map types fit which types, where defaults may stand, and how rules are written. Reads JSONSchemaProps in Go's form.
 *
 * Modelled on apiextensions-apiserver's ValidateCustomResourceDefinitionOpenAPISchema, whose texts these are.
 */

import { isJsonObject, type JsonObject } from '../api/json.ts';
import type { FieldErrors } from '../validation/field-errors.ts';
import type { FieldPath } from '../validation/field-path.ts';
import { items as itemsOf, part, partOf, parts, text, textOf, texts } from '../validation/value.ts';
import { META_FIELDS } from '../schema/structural.ts';
import { checkRuleTexts } from './rule-errors.ts';

const TYPES: readonly string[] = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const LIST_TYPE = 'x-kubernetes-list-type';
const LIST_KEYS = 'x-kubernetes-list-map-keys';
const MAP_TYPE = 'x-kubernetes-map-type';

/** Where the walk is. */
interface Place {
  readonly root: boolean;
  /** Why defaults may not stand here; undefined where they may. */
  readonly noDefaults: string | undefined;
  /** Inside apiVersion, kind or metadata. */
  readonly insideMeta: boolean;
}

export const AT_ROOT: Place = { root: true, noDefaults: undefined, insideMeta: false };

export function checkSchema(
  errors: FieldErrors,
  schema: JsonObject,
  path: FieldPath,
  place: Place = AT_ROOT,
): void {
  const inner: Place = { ...place, root: false };
  checkSupported(errors, schema, path, place);
  if (schema['uniqueItems'] === true) {
    errors.forbidden(
      path.child('uniqueItems'),
      'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
    );
  }
  const properties = part(schema, 'properties');
  const additional = schema['additionalProperties'];
  if (additional !== undefined) {
    if (Object.keys(properties).length > 0 && additional !== true) {
      errors.forbidden(
        path.child('additionalProperties'),
        'additionalProperties and properties are mutual exclusive',
      );
    }
    if (isJsonObject(additional)) {
      const noDefaults = place.insideMeta
        ? 'inside additionalProperties applying to object metadata'
        : place.noDefaults;
      checkSchema(errors, additional, path.child('additionalProperties'), { ...inner, noDefaults });
    }
  }
  for (const [name, node] of Object.entries(properties)) {
    if (!isJsonObject(node)) continue;
    const meta = (place.root || schema['x-kubernetes-embedded-resource'] === true) && META_FIELDS.has(name);
    checkSchema(errors, node, path.child('properties').key(name), {
      root: false,
      insideMeta: place.insideMeta || meta,
      noDefaults: meta && place.root ? `in top-level ${name}` : place.noDefaults,
    });
  }
  const not = partOf(schema, 'not');
  if (not !== undefined) checkSchema(errors, not, path.child('not'), inner);
  for (const name of ['allOf', 'oneOf', 'anyOf']) {
    for (const [index, node] of parts(schema, name).entries()) {
      checkSchema(errors, node, path.child(name).index(index), inner);
    }
  }
  for (const [name, node] of Object.entries(part(schema, 'definitions'))) {
    if (isJsonObject(node)) checkSchema(errors, node, path.child('definitions').key(name), inner);
  }
  const items = partOf(schema, 'items');
  if (items !== undefined) checkSchema(errors, items, path.child('items'), inner);
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    errors.invalid(path.child('x-kubernetes-preserve-unknown-fields'), false, 'must be true or undefined');
  }
  checkMapType(errors, schema, path);
  checkListType(errors, schema, path);
  checkListKeys(errors, schema, path);
  checkListItems(errors, schema, path);
  checkRuleTexts(errors, schema, path);
}

/** Members of JSON Schema that OpenAPI does not have, or the server does not do. */
const UNSUPPORTED: readonly string[] = [
  'id',
  'additionalItems',
  'patternProperties',
  'definitions',
  'dependencies',
  '$ref',
];

function checkSupported(errors: FieldErrors, schema: JsonObject, path: FieldPath, place: Place): void {
  const type = text(schema, 'type');
  if (type !== '' && !TYPES.includes(type)) errors.notSupported(path.child('type'), type, TYPES);
  if (schema['default'] !== undefined && place.noDefaults !== undefined) {
    errors.forbidden(path.child('default'), `must not be set ${place.noDefaults}`);
  }
  for (const name of UNSUPPORTED) {
    const value = schema[name];
    if (value === undefined || value === null) continue;
    errors.forbidden(path.child(name), `${name} is not supported`);
  }
  if (type === 'null') {
    errors.forbidden(path.child('type'), 'type cannot be set to null, use nullable as an alternative');
  }
  if (itemsOf(schema, 'items').length > 0) {
    errors.forbidden(path.child('items'), 'items must be a schema object and not an array');
  }
  if (place.insideMeta && schema['x-kubernetes-embedded-resource'] === true) {
    errors.forbidden(
      path.child('x-kubernetes-embedded-resource'),
      'must not be used inside of resource meta',
    );
  }
}

function checkMapType(errors: FieldErrors, schema: JsonObject, path: FieldPath): void {
  const mapType = textOf(schema, MAP_TYPE);
  if (mapType === undefined) return;
  const type = text(schema, 'type');
  if (type !== 'object') {
    const wanted = `must be object if ${MAP_TYPE} is specified`;
    if (type === '') errors.required(path.child('type'), wanted);
    else errors.invalid(path.child('type'), type, wanted);
  }
  if (mapType !== 'atomic' && mapType !== 'granular') {
    errors.notSupported(path.child(MAP_TYPE), mapType, ['atomic', 'granular']);
  }
}

function checkListType(errors: FieldErrors, schema: JsonObject, path: FieldPath): void {
  const listType = textOf(schema, LIST_TYPE);
  if (listType === undefined) return;
  const type = text(schema, 'type');
  const items = partOf(schema, 'items');
  if (type !== 'array') {
    const wanted = `must be array if ${LIST_TYPE} is specified`;
    if (type === '') errors.required(path.child('type'), wanted);
    else errors.invalid(path.child('type'), type, wanted);
  } else if (listType === 'set' && items !== undefined) {
    const detail = `must be atomic as item of a list with ${LIST_TYPE}=set`;
    const itemType = text(items, 'type');
    if (itemType === 'array' && (textOf(items, LIST_TYPE) ?? 'atomic') !== 'atomic') {
      errors.invalid(path.child('items', LIST_TYPE), textOf(items, LIST_TYPE), detail);
    }
    if (itemType === 'object' && textOf(items, MAP_TYPE) !== 'atomic') {
      errors.invalid(path.child('items', MAP_TYPE), textOf(items, LIST_TYPE), detail);
    }
  }
  if (!['atomic', 'set', 'map'].includes(listType)) {
    errors.notSupported(path.child(LIST_TYPE), listType, ['atomic', 'set', 'map']);
  }
}

function checkListKeys(errors: FieldErrors, schema: JsonObject, path: FieldPath): void {
  const listType = textOf(schema, LIST_TYPE);
  const keys = texts(schema, LIST_KEYS);
  if (keys.length > 0 && listType !== 'map') {
    const wanted = `must be map if ${LIST_KEYS} is non-empty`;
    if (listType === undefined) errors.required(path.child(LIST_TYPE), wanted);
    else errors.invalid(path.child(LIST_TYPE), listType, wanted);
  }
  if (listType !== 'map') return;
  if (keys.length === 0) errors.required(path.child(LIST_KEYS), `must not be empty if ${LIST_TYPE} is map`);
  const items = partOf(schema, 'items');
  if (items === undefined) {
    if (schema['items'] === undefined) {
      errors.required(path.child('items'), `must have a schema if ${LIST_TYPE} is map`);
    } else {
      errors.invalid(
        path.child('items'),
        schema['items'],
        `must only have a single schema if ${LIST_TYPE} is map`,
      );
    }
    return;
  }
  const itemType = text(items, 'type');
  if (itemType !== 'object') {
    errors.invalid(
      path.child('items', 'type'),
      itemType,
      `must be object if parent array's ${LIST_TYPE} is map`,
    );
    return;
  }
  const seen = new Set<string>();
  for (const key of keys) {
    const node = partOf(part(items, 'properties'), key);
    if (node === undefined) {
      errors.invalid(path.child(LIST_KEYS), keys, 'entries must all be names of item properties');
    } else if (['array', 'object'].includes(text(node, 'type'))) {
      errors.invalid(
        path.child('items', 'properties').key(key).child('type'),
        itemType,
        `must be a scalar type if parent array's ${LIST_TYPE} is map`,
      );
    }
    if (seen.has(key)) errors.invalid(path.child(LIST_KEYS), keys, 'must not contain duplicate entries');
    seen.add(key);
  }
}

/** Items of sets and of lists with keys are there, and so are the keys. */
function checkListItems(errors: FieldErrors, schema: JsonObject, path: FieldPath): void {
  const listType = textOf(schema, LIST_TYPE);
  const items = partOf(schema, 'items');
  if (items === undefined || (listType !== 'set' && listType !== 'map')) return;
  if (items['nullable'] === true) {
    errors.forbidden(path.child('items', 'nullable'), `cannot be nullable when ${LIST_TYPE} is ${listType}`);
  }
  if (listType !== 'map') return;
  const required = texts(items, 'required');
  for (const key of texts(schema, LIST_KEYS)) {
    const node = partOf(part(items, 'properties'), key);
    if (node === undefined) continue;
    const at = path.child('items', 'properties').key(key);
    if (!required.includes(key) && node['default'] === undefined) {
      errors.required(
        at.child('default'),
        `this property is in ${LIST_KEYS}, so it must have a default or be a required property`,
      );
    }
    if (node['nullable'] === true) {
      errors.forbidden(at.child('nullable'), `this property is in ${LIST_KEYS}, so it cannot be nullable`);
    }
  }
}
