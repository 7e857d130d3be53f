/**
 * Documents of version 2 that other servers wrote, taken into this server's: of each only the paths of its own group and
 * version and the definitions that they lead to. A definition that says something else under a name that is taken gets
 * another name. Pure; whatever a document says, it adds to ours or is refused whole.
 *
 * Modelled on kube-openapi's aggregator (FilterSpecByPathsWithoutSideEffects, MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters).
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';

/** What is taken of a document. */
export interface RemoteSpec {
  readonly paths: JsonObject;
  readonly definitions: JsonObject;
}

/** Nothing that describes an API is deeper; a walk over it must end. */
const DEPTH_MAX = 200;
const PATHS_MAX = 5_000;
const DEFINITIONS_MAX = 5_000;
const REFERENCE = '#/definitions/';
const PARAMETER = '#/parameters/';

/**
 * What a document says of a group and version.
 *
 * @param own where its paths begin, `/apis/G/V`
 * @throws Error for what is no such document, or too much of one
 */
export function specOf(document: unknown, own: string): RemoteSpec {
  const whole = asJson(document);
  const paths = isJsonObject(whole) ? whole['paths'] : undefined;
  const definitions = isJsonObject(whole) ? (whole['definitions'] ?? {}) : undefined;
  if (!isJsonObject(paths) || !isJsonObject(definitions)) throw new Error('it is no OpenAPI document');
  const parameters = isJsonObject(whole) ? whole['parameters'] : undefined;
  const shared = isJsonObject(parameters) ? parameters : {};
  const kept = Object.entries(paths)
    .filter(([path, item]) => (path === own || path.startsWith(`${own}/`)) && isJsonObject(item))
    .map(([path, item]) => [path, withParameters(item, shared, 0)] as const);
  if (kept.length > PATHS_MAX) throw new Error(`it has more than ${PATHS_MAX} paths`);
  const open: string[] = [];
  for (const [, item] of kept) collectReferences(item, open, 0);
  const found = new Map<string, JsonObject>();
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name) || !Object.hasOwn(definitions, name)) continue;
    const definition = definitions[name];
    if (!isJsonObject(definition)) throw new Error(`${name} is no schema`);
    found.set(name, definition);
    if (found.size > DEFINITIONS_MAX) throw new Error(`it has more than ${DEFINITIONS_MAX} definitions`);
    collectReferences(definition, open, 0);
  }
  return { paths: Object.fromEntries(kept), definitions: Object.fromEntries(found) };
}

/** The same of a document in bytes, as bytes. @throws Error for what is no such document, or too much of one */
export function trimmed(document: Buffer, own: string): Buffer {
  return Buffer.from(JSON.stringify(specOf(JSON.parse(document.toString('utf8')), own)));
}

/**
 * Specs beside ours: their definitions under names that nobody has, one name for what is the same.
 *
 * @param taken our definitions by name
 */
export function renamed(taken: ReadonlyMap<string, Json>, specs: readonly RemoteSpec[]): RemoteSpec {
  const all = new Map(taken);
  const paths: [string, Json][] = [];
  const definitions: [string, Json][] = [];
  for (const spec of specs) {
    const names = new Map<string, string>();
    for (const [name, definition] of Object.entries(spec.definitions)) {
      names.set(name, freeName(all, name, definition));
    }
    for (const [name, definition] of Object.entries(spec.definitions)) {
      const as = names.get(name) ?? name;
      if (all.has(as)) continue;
      const written = withNames(definition, names);
      all.set(as, written);
      definitions.push([as, written]);
    }
    for (const [path, item] of Object.entries(spec.paths)) paths.push([path, withNames(item, names)]);
  }
  return { paths: Object.fromEntries(paths), definitions: Object.fromEntries(definitions) };
}

/** `name`, `name_v2`, …: the first that is free, or says the same. */
function freeName(all: ReadonlyMap<string, Json>, name: string, definition: Json): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}_v${number}`;
    const there = all.get(candidate);
    if (there === undefined || sameJson(there, definition)) return candidate;
  }
}

/** The same value, whatever the order of its members. */
function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item: Json, at) => sameJson(item, b[at]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => sameJson(a[name], b[name]));
}

function collectReferences(value: Json, into: string[], depth: number): void {
  if (depth > DEPTH_MAX) throw new Error(`it is deeper than ${DEPTH_MAX}`);
  if (Array.isArray(value)) {
    for (const item of value) collectReferences(item, into, depth + 1);
  } else if (isJsonObject(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (name === '$ref' && typeof inner === 'string') {
        if (inner.startsWith(REFERENCE)) into.push(inner.slice(REFERENCE.length));
      } else collectReferences(inner, into, depth + 1);
    }
  }
}

/** Parameters that a document keeps in one place stand where they are used: names there are each document's own. */
function withParameters(value: Json, shared: JsonObject, depth: number): Json {
  if (depth > DEPTH_MAX) throw new Error(`it is deeper than ${DEPTH_MAX}`);
  if (Array.isArray(value)) return value.map((item: Json) => withParameters(item, shared, depth + 1));
  if (!isJsonObject(value)) return value;
  const reference = value['$ref'];
  if (typeof reference === 'string' && reference.startsWith(PARAMETER)) {
    const name = reference.slice(PARAMETER.length);
    const found = Object.hasOwn(shared, name) ? shared[name] : undefined;
    if (!isJsonObject(found)) throw new Error(`there is no parameter ${name}`);
    return found;
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withParameters(inner, shared, depth + 1)]),
  );
}

function withNames(value: Json, names: ReadonlyMap<string, string>): Json {
  if (Array.isArray(value)) return value.map((item: Json) => withNames(item, names));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      if (name === '$ref' && typeof inner === 'string' && inner.startsWith(REFERENCE)) {
        const to = names.get(inner.slice(REFERENCE.length));
        return [name, to === undefined ? inner : `${REFERENCE}${to}`];
      }
      return [name, withNames(inner, names)];
    }),
  );
}

/** What JSON.parse made is JSON. */
function asJson(value: unknown): Json {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- numbers are numbers: a document counts nothing
  return value as Json;
}
