/**
 * The simple paths of definitions, `.spec.replicas`, `.spec.labels['app.kubernetes.io/name']`: read, and followed in a
 * schema and in an object. Conditions, slices and wildcards are json-path.ts.
 *
 * Modelled on apiextensions-apiserver's cel.ValidFieldPath.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { part, partOf } from '../validation/value.ts';

/** The names of a path; a text that says what is wrong with it. @param lists whether `[0]` may stand in it */
export function parseFieldPath(path: string, lists: boolean): readonly (string | number)[] | string {
  const names: (string | number)[] = [];
  let at = 0;
  if (!path.startsWith('.') && !path.startsWith('[')) {
    return `expected [ or . but got: ${path.slice(0, 1)}`;
  }
  while (at < path.length) {
    const rest = path.slice(at);
    const dot = /^\.([A-Za-z_][A-Za-z0-9_-]*)/.exec(rest);
    const quoted = dot === null ? /^\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/.exec(rest) : null;
    const index = dot === null && quoted === null && lists ? /^\[(\d+)\]/.exec(rest) : null;
    const match = dot ?? quoted ?? index;
    if (match === null) {
      return rest === '.' || rest === '['
        ? 'unexpected end of JSON path'
        : `expected [ or . but got: ${rest}`;
    }
    if (index !== null) names.push(Number(index[1]));
    else names.push((match[1] ?? match[2]).replaceAll(/\\(.)/g, '$1'));
    at += match[0].length;
  }
  return names;
}

/** What stands at a path in a schema; a text that says why there is nothing. */
export function schemaAt(
  schema: JsonObject,
  path: string,
  lists: boolean,
): { readonly names: readonly (string | number)[]; readonly schema: JsonObject } | string {
  const names = parseFieldPath(path, lists);
  if (typeof names === 'string') return names;
  let at: JsonObject = schema;
  for (const [index, name] of names.entries()) {
    const next = typeof name === 'number' ? partOf(at, 'items') : memberSchema(at, name, index === 0);
    if (next === undefined) return 'does not refer to a valid field';
    at = next;
  }
  return { names, schema: at };
}

const METADATA: JsonObject = { type: 'object', additionalProperties: { type: 'string' } };

function memberSchema(schema: JsonObject, name: string, first: boolean): JsonObject | undefined {
  const named = partOf(part(schema, 'properties'), name);
  if (named !== undefined) return named;
  if (first && name === 'metadata') return METADATA;
  return partOf(schema, 'additionalProperties');
}

/** The value at a path of names; undefined where there is none. */
export function valueAt(object: JsonObject, names: readonly (string | number)[]): Json | undefined {
  let at: Json | undefined = object;
  for (const name of names) {
    if (typeof name === 'number') at = Array.isArray(at) ? at[name] : undefined;
    else at = isJsonObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}
