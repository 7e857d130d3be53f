/**
 * Reading and changing objects whose types are already right (codec/typed.ts saw to that): a member by name as
 * what it must be, with Go's zero where it is absent, and copies with one member changed. Never changes a value
 * in place, never refuses: what a member may be is for those who call.
 */

import { JsonFloat, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';

/** An object or the part of one: JsonObject and KubeObject alike. */
export interface Fields {
  readonly [name: string]: unknown;
}

const NOTHING: JsonObject = {};

/** The member as text, empty when absent. */
export function text(of: Fields, name: string): string {
  const value = of[name];
  return typeof value === 'string' ? value : '';
}

export function textOf(of: Fields, name: string): string | undefined {
  const value = of[name];
  return typeof value === 'string' ? value : undefined;
}

/** The member as a whole number, 0 when absent; what lies beyond 2^53 is rounded. */
export function count(of: Fields, name: string): number {
  return countOf(of, name) ?? 0;
}

export function countOf(of: Fields, name: string): number | undefined {
  return asNumber(of[name]);
}

export function asNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  return value instanceof JsonFloat ? value.value : undefined;
}

export function flag(of: Fields, name: string): boolean {
  return of[name] === true;
}

/** Whether the member is there and not null. */
export function has(of: Fields, name: string): boolean {
  return of[name] !== undefined && of[name] !== null;
}

/** The member as an object, undefined when absent. */
export function partOf(of: Fields, name: string): JsonObject | undefined {
  return asObject(of[name]);
}

/** The member as an object, empty when absent. */
export function part(of: Fields, name: string): JsonObject {
  return partOf(of, name) ?? NOTHING;
}

export function asObject(value: unknown): JsonObject | undefined {
  return isObject(value) ? value : undefined;
}

/** The member as a list of objects, empty when absent. */
export function parts(of: Fields, name: string): readonly JsonObject[] {
  const all = items(of, name);
  return all.every(isObject) ? all : all.map((item) => asObject(item) ?? NOTHING);
}

/** The member as a list of texts, empty when absent. */
export function texts(of: Fields, name: string): readonly string[] {
  return items(of, name).map((item) => (typeof item === 'string' ? item : ''));
}

export function items(of: Fields, name: string): readonly unknown[] {
  const value = of[name];
  return Array.isArray(value) ? value : [];
}

/** The member as a map of texts, empty when absent. */
export function textMap(of: Fields, name: string): Readonly<Record<string, string>> {
  const value = asObject(of[name]);
  if (value === undefined) return NO_TEXTS;
  if (isTextMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, typeof item === 'string' ? item : '']),
  );
}

const NO_TEXTS: Readonly<Record<string, string>> = {};

function isTextMap(value: JsonObject): value is Readonly<Record<string, string>> {
  for (const key of namesOf(value)) if (typeof value[key] !== 'string') return false;
  return true;
}

/** The part at the end of a path, empty when something on the way is absent. */
export function partAt(of: Fields, ...path: readonly string[]): JsonObject {
  let at: Fields = of;
  for (const name of path) at = part(at, name);
  return asObject(at) ?? NOTHING;
}

/** A copy with this member; without it where the value is undefined. */
export function withField<T extends Fields>(of: T, name: string, value: unknown): T {
  if (Object.hasOwn(of, name) ? of[name] === value : value === undefined) return of;
  const copy = { ...of, [name]: value };
  if (value === undefined) Reflect.deleteProperty(copy, name);
  return copy;
}

/** A copy with the value at the end of a path; parts that are missing are made, unless the value is undefined. */
export function withFieldAt<T extends Fields>(of: T, path: readonly string[], value: unknown, from = 0): T {
  const name = path[from];
  if (from === path.length - 1) return withField(of, name, value);
  const inner = partOf(of, name);
  if (inner === undefined && value === undefined) return of;
  return withField(of, name, withFieldAt(inner ?? NOTHING, path, value, from + 1));
}

/** A copy without these members. */
export function without<T extends Fields>(of: T, ...names: readonly string[]): T {
  let copy = of;
  for (const name of names) copy = withField(copy, name, undefined);
  return copy;
}

/** Whether two values are equal as the API compares them: absent, null and an empty list or map are one. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmpty(a)) return isEmpty(b);
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => same(item, b[index]));
  }
  if (isObject(a)) {
    if (!isObject(b)) return false;
    for (const name of Object.keys(a)) if (!same(a[name], b[name])) return false;
    for (const name of Object.keys(b)) if (!Object.hasOwn(a, name) && !isEmpty(b[name])) return false;
    return true;
  }
  const left = asNumber(a);
  return left !== undefined && left === asNumber(b);
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}

function isObject(value: unknown): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonFloat)
  );
}
