/**
 * The messages a mutating policy makes: `Object{spec: Object.spec{replicas: 1}}` for an apply configuration, and
 * `JSONPatch{op: "add", path: "/…", value: …}`. A type of an object's field is named by the way to it from the root;
 * `placeError` finds a message in the wrong place.
 */

import { type Json } from '../api/json.ts';
import { type StructDeclaration } from './checker.ts';
import { DYN, STRING, structOf, type CelType } from './types.ts';
import {
  CelError,
  CelList,
  CelMap,
  CelObject,
  Duration,
  Optional,
  Timestamp,
  Uint,
  typeName,
  typeOf,
  type Result,
  type Value,
  type MapKey,
} from './values.ts';
import { formatDuration, formatTimestamp } from './times.ts';
import { unescapeFieldName } from './field-names.ts';

const ROOT = 'Object';
const PATCH = 'JSONPatch';

/** A message an expression made. */
export class MadeObject extends CelObject {
  override readonly type: CelType;
  /** By the names of the expression. */
  readonly fields: ReadonlyMap<string, Value>;

  constructor(name: string, fields: ReadonlyMap<string, Value>) {
    super();
    this.type = structOf(name);
    this.fields = fields;
  }

  override field(name: string): Result {
    const value = this.fields.get(name);
    return value === undefined ? new CelError(`no such key: ${name}`) : value;
  }

  override has(name: string): boolean {
    return this.fields.has(name);
  }

  override names(): readonly string[] {
    return [...this.fields.keys()];
  }
}

/** The first message in a value that has not the type of the place it is at; undefined where all have. */
export function placeError(value: Value): CelError | undefined {
  return value instanceof MadeObject ? checkPlaces(value, value.type.name) : undefined;
}

function checkPlaces(value: Value, path: string): CelError | undefined {
  if (value instanceof MadeObject) {
    if (value.type.name !== path) {
      return new CelError(
        `unexpected type name ${JSON.stringify(value.type.name)}, expected ${JSON.stringify(path)}, which matches ` +
          'field name path from root Object type',
      );
    }
    for (const [name, field] of value.fields) {
      const wrong = checkPlaces(field, `${path}.${name}`);
      if (wrong !== undefined) return wrong;
    }
  } else if (value instanceof CelList) {
    for (const element of value) {
      const wrong = checkPlaces(element, path);
      if (wrong !== undefined) return wrong;
    }
  } else if (value instanceof CelMap) {
    for (const key of value.keys()) {
      const wrong = checkPlaces(value.get(key) ?? null, path);
      if (wrong !== undefined) return wrong;
    }
  }
  return undefined;
}

const PATCH_FIELDS: Readonly<Record<string, CelType>> = {
  op: STRING,
  path: STRING,
  from: STRING,
  value: DYN,
};

/** The message types of a mutating policy's expressions. */
export function mutationStructs(name: string): StructDeclaration | undefined {
  if (name === PATCH) {
    return {
      name,
      field: (field) => (Object.hasOwn(PATCH_FIELDS, field) ? PATCH_FIELDS[field] : undefined),
      make: (fields) => new MadeObject(PATCH, fields),
    };
  }
  if (name !== ROOT && !name.startsWith(`${ROOT}.`)) return undefined;
  return { name, field: () => DYN, make: (fields) => new MadeObject(name, fields) };
}

/** A value as JSON; an error for one that JSON has no form of. Names of fields are unescaped. */
export function jsonOf(value: Value): Json | CelError {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') {
    return Number.isFinite(value) ? value : new CelError('a number that JSON does not have');
  }
  if (typeof value === 'bigint' || value instanceof Uint) {
    const whole = typeof value === 'bigint' ? value : value.value;
    return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
  }
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof Uint8Array) return btoa(String.fromCharCode(...value));
  if (value instanceof Optional) return value.value === undefined ? null : jsonOf(value.value);
  if (value instanceof CelList) {
    const array: Json[] = [];
    for (const element of value) {
      const json = jsonOf(element);
      if (json instanceof CelError) return json;
      array.push(json);
    }
    return array;
  }
  if (value instanceof CelMap)
    return membersOf([...value.keys()].map((key) => [String(textOf(key)), value.get(key)]));
  if (value instanceof CelObject) {
    return membersOf(value.names().map((name) => [unescapeFieldName(name) ?? name, value.field(name)]));
  }
  return new CelError(`type conversion error from '${typeName(typeOf(value))}' to JSON`);
}

const textOf = (key: MapKey): Exclude<MapKey, Uint> => (key instanceof Uint ? key.value : key);

function membersOf(members: readonly (readonly [string, Result | undefined])[]): Json | CelError {
  const object: Record<string, Json> = {};
  for (const [name, value] of members) {
    if (value === undefined) continue;
    const json = value instanceof CelError ? value : jsonOf(value);
    if (json instanceof CelError) return json;
    // A member called __proto__ is a member.
    Object.defineProperty(object, name, {
      value: json,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return object;
}
