/**
 * The simple paths of definitions, `.spec.replicas`, `.spec.labels['app.kubernetes.io/name']`: followed in a schema, and
 * in an object. Conditions, slices and wildcards are json-path.ts.
 *
 * Modelled on apiextensions-apiserver's cel.ValidFieldPath, whose texts these are.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { Structural } from '../schema/structural.ts';

/** Where a path leads in a schema. */
export interface FieldPlace {
  readonly names: readonly string[];
  /** As messages show it: `a[key].b`, where the schema has a map of keys. */
  readonly shown: string;
  readonly schema: Structural;
}

/**
 * What stands at a path in a schema; a text that says why there is nothing.
 *
 * @param quoted whether names may stand in brackets and quotes
 */
export function schemaAt(schema: Structural, path: string, quoted: boolean): FieldPlace | string {
  const names: string[] = [];
  let shown = '';
  let at: Structural | undefined = schema;
  const tokens = tokensOf(path);
  for (let next = 0; next < tokens.length; next += 1) {
    const token = tokens[next];
    if (token !== '.' && token !== '[') return `expected [ or . but got: ${token}`;
    if (token === '[' && !quoted) return 'array notation is not allowed';
    const given = tokens.at((next += 1));
    if (given === undefined) return 'unexpected end of JSON path';
    const name = token === '.' ? given : unquoted(given);
    if (typeof name !== 'string') return name.wrong;
    const named: Structural | undefined = at.properties.get(name);
    if (at.properties.size > 0) {
      if (named === undefined) return NO_FIELD;
      at = named;
      shown += `${shown === '' ? '' : '.'}${name}`;
    } else {
      if (at.additional === undefined) return NO_FIELD;
      at = at.additional;
      shown += `[${name}]`;
    }
    names.push(name);
    if (token === '.') continue;
    const end = tokens.at((next += 1));
    if (end === undefined) return 'unexpected end of JSON path';
    if (end !== ']') return `expected ] but got ${end}`;
  }
  return { names, shown, schema: at };
}

const NO_FIELD = 'does not refer to a valid field';

/** Points, brackets, texts in single quotes, and what lies between. */
function tokensOf(path: string): string[] {
  return path.match(/'(?:[^'\\]|\\.)*'|[.[\]]|'[^]*$|[^.[\]'][^.[\]]*/g) ?? [];
}

function unquoted(token: string): string | { readonly wrong: string } {
  if (token.length < 2 || !token.startsWith("'") || !token.endsWith("'")) {
    return { wrong: `expected single quoted string but got ${token}` };
  }
  return token.slice(1, -1).replaceAll(/\\(.)/g, '$1');
}

/** The names of a path that leads somewhere, `.spec.replicas`. */
export function pathNames(path: string): readonly string[] {
  const names: string[] = [];
  for (const token of tokensOf(path)) {
    if (token === '.' || token === '[' || token === ']') continue;
    const name = token.startsWith("'") ? unquoted(token) : token;
    if (typeof name === 'string') names.push(name);
  }
  return names;
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
