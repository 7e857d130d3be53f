/**
 * What a version of a CustomResourceDefinition says beside its schema: scale's paths, columns, fields to select by.
 */

import type { JsonObject } from '../api/json.ts';
import { Structural } from '../schema/structural.ts';
import type { FieldErrors } from '../validation/field-errors.ts';
import type { FieldPath } from '../validation/field-path.ts';
import { partOf, part, parts, text } from '../validation/value.ts';
import { schemaAt } from './field-paths.ts';

const COLUMN_TYPES = 'boolean,date,integer,number,string';
const COLUMN_FORMATS = 'byte,date,date-time,double,float,int32,int64,password';
const SELECTABLE_MAX = 8;

export function checkSubresources(errors: FieldErrors, subresources: JsonObject, path: FieldPath): void {
  const scale = partOf(subresources, 'scale');
  if (scale === undefined) return;
  for (const [name, roots, wanted] of [
    ['specReplicasPath', ['.spec.'], '.spec'],
    ['statusReplicasPath', ['.status.'], '.status'],
    ['labelSelectorPath', ['.spec.', '.status.'], 'either .spec or .status'],
  ] as const) {
    const value = text(scale, name);
    const at = path.child(`scale.${name}`);
    if (value === '') {
      if (name !== 'labelSelectorPath') errors.required(at);
      continue;
    }
    const before = errors.size;
    checkSimplePath(errors, value, at);
    if (errors.size === before && !roots.some((root) => value.startsWith(root))) {
      errors.invalid(at, value, `should be a json path under ${wanted}`);
    }
  }
}

function checkSimplePath(errors: FieldErrors, value: string, path: FieldPath): void {
  if (!value.startsWith('.')) errors.invalid(path, value, 'must be a simple json path starting with .');
}

export function checkColumns(errors: FieldErrors, version: JsonObject, path: FieldPath): void {
  for (const [index, column] of parts(version, 'additionalPrinterColumns').entries()) {
    const at = path.index(index);
    if (text(column, 'name') === '') errors.required(at.child('name'));
    const type = text(column, 'type');
    if (type === '') errors.required(at.child('type'), `must be one of ${COLUMN_TYPES}`);
    else if (!COLUMN_TYPES.split(',').includes(type)) {
      errors.invalid(at.child('type'), type, `must be one of ${COLUMN_TYPES}`);
    }
    const format = text(column, 'format');
    if (format !== '' && !COLUMN_FORMATS.split(',').includes(format)) {
      errors.invalid(at.child('format'), format, `must be one of ${COLUMN_FORMATS}`);
    }
    const jsonPath = text(column, 'jsonPath');
    if (jsonPath === '') errors.required(at.child('JSONPath'));
    else checkSimplePath(errors, jsonPath, at.child('JSONPath'));
  }
}

export function checkSelectable(errors: FieldErrors, version: JsonObject, path: FieldPath): void {
  const fields = parts(version, 'selectableFields');
  if (fields.length === 0) return;
  const schema = new Structural(part(part(version, 'schema'), 'openAPIV3Schema'));
  const seen = new Set<string>();
  for (const [index, field] of fields.entries()) {
    const at = path.index(index).child('jsonPath');
    const jsonPath = text(field, 'jsonPath');
    if (jsonPath === '') {
      errors.required(at);
      continue;
    }
    const found = schemaAt(schema, jsonPath, false);
    if (typeof found === 'string') {
      errors.invalid(at, jsonPath, `is an invalid path: ${found}`);
      continue;
    }
    if (found.names[0] === 'metadata') errors.invalid(at, jsonPath, 'must not point to fields in metadata');
    if (!['string', 'boolean', 'integer'].includes(found.schema.type)) {
      errors.invalid(
        at,
        jsonPath,
        'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
      );
    }
    const name = found.shown;
    if (seen.has(name)) errors.duplicate(at, jsonPath);
    seen.add(name);
  }
  if (seen.size > SELECTABLE_MAX) errors.tooMany(path, seen.size, SELECTABLE_MAX);
}
