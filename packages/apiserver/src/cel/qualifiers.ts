/**
 * What is behind a dot or in brackets: of maps, messages, lists, and of optionals, where what is not there is none
 * instead of an error.
 */

import { indexValue } from './standard-arithmetic.ts';
import {
  CelError,
  CelList,
  CelMap,
  CelObject,
  noSuchOverload,
  Optional,
  Uint,
  type Result,
  type Value,
} from './values.ts';

const NONE = new Optional(undefined);
const NO_TEXT_INDEX = "unsupported index type 'string' in list";

/** What is at a field: its value, undefined where it is not set, an error where the value has no fields. */
function fieldOf(value: Value, field: string): Result | undefined {
  if (value instanceof CelMap) return value.get(field);
  if (value instanceof CelObject) {
    const has = value.has(field);
    if (has instanceof CelError) return has;
    return has ? value.field(field) : undefined;
  }
  return noSuchOverload();
}

/** `value.field`. */
export function selectResult(value: Value, field: string): Result {
  if (value instanceof CelMap) {
    const found = value.get(field);
    return found === undefined ? new CelError(`no such key: ${field}`) : found;
  }
  if (value instanceof CelObject) return value.field(field);
  if (value instanceof Optional) return presence(value, field);
  if (value instanceof CelList) return new CelError(NO_TEXT_INDEX);
  return new CelError(`no such key: ${field}`);
}

/** `value.?field`, and `value.field` of an optional. */
export function presence(value: Value, field: string): Result {
  if (value instanceof Optional) return value.value === undefined ? NONE : presence(value.value, field);
  const found = fieldOf(value, field);
  if (found instanceof CelError) return new CelError(`no such key: ${field}`);
  return found === undefined ? NONE : new Optional(found);
}

/** `has(value.field)`. */
export function testField(value: Value, field: string): boolean | CelError {
  if (value instanceof Optional) return value.value === undefined ? false : testField(value.value, field);
  if (value instanceof CelMap) return value.get(field) !== undefined;
  if (value instanceof CelObject) return value.has(field);
  // What has no fields has not this one; of a list that cannot be asked.
  return value instanceof CelList ? new CelError(NO_TEXT_INDEX) : false;
}

/** `container[key]`. */
export function indexResult(container: Value, key: Value): Result {
  return container instanceof Optional ? indexPresence(container, key) : indexValue(container, key);
}

/** `container[?key]`, and `container[key]` of an optional. */
export function indexPresence(container: Value, key: Value): Result {
  if (container instanceof Optional)
    return container.value === undefined ? NONE : indexPresence(container.value, key);
  if (container instanceof CelList) {
    const whole = key instanceof Uint ? key.value : key;
    if (typeof whole !== 'bigint' && typeof whole !== 'number') return noSuchOverload();
    return Number.isInteger(Number(whole)) && whole >= 0 && whole < container.size
      ? new Optional(container.at(Number(whole)))
      : NONE;
  }
  if (container instanceof CelMap) {
    const value = container.get(key);
    return value === undefined ? NONE : new Optional(value);
  }
  if (container instanceof CelObject && typeof key === 'string') return presence(container, key);
  return noSuchOverload();
}
