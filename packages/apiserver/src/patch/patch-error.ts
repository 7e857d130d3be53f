/**
 * How a patch is refused: the three answers that apiserver gives to a patch it cannot lay on, and Go's way of
 * printing JSON values, which their messages hold.
 *
 * Modelled on apiserver's handlers/patch.go and on fmt's %v and %s.
 */

import { isJsonObject, JsonFloat, type Json } from '../api/json.ts';
import { ApiError } from '../api/status.ts';
import { compareText } from './field-path.ts';
import { isJsonList } from './json-members.ts';

/**
 * A patch that is well-formed and does not fit the object. The client is told no more than that, as the original
 * does; the reason is the error's cause.
 */
export function unprocessable(reason: string): ApiError {
  return new ApiError(
    {
      code: 422,
      reason: 'Invalid',
      message: 'the server rejected our request due to an error in our request',
      details: {},
    },
    { cause: new Error(reason) },
  );
}

/** A strategic merge patch that breaks a rule without a reason of its own: a 500 with nothing but the text. */
export function failedPatch(message: string): ApiError {
  return new ApiError({ code: 500, reason: '', message });
}

/** A value as Go's %v prints what Kubernetes' JSON reader makes of it. */
export function goText(value: Json | undefined): string {
  if (value === null || value === undefined) return '<nil>';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return goNumber(value);
  if (value instanceof JsonFloat) return goNumber(value.value);
  if (isJsonList(value)) return `[${value.map((item) => goText(item)).join(' ')}]`;
  if (isJsonObject(value)) {
    const names = Object.keys(value).toSorted(compareText);
    return `map[${names.map((name) => `${name}:${goText(value[name])}`).join(' ')}]`;
  }
  return String(value);
}

/** A value as Go's %s prints it: what is no text says so. */
export function goWord(value: Json): string {
  if (typeof value === 'string') return value;
  if (value === null) return '%!s(<nil>)';
  if (isJsonList(value)) return `[${value.map((item) => goWord(item)).join(' ')}]`;
  if (isJsonObject(value)) {
    const names = Object.keys(value).toSorted(compareText);
    return `map[${names.map((name) => `${name}:${goWord(value[name])}`).join(' ')}]`;
  }
  return `%!s(${goType(value)}=${goText(value)})`;
}

/** The name of the Go type Kubernetes' JSON reader makes of a value. */
export function goType(value: Json): string {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int64';
    case 'number':
      return Number.isInteger(value) ? 'int64' : 'float64';
    default:
      if (value === null) return '%!s(<nil>)';
      if (value instanceof JsonFloat) return 'float64';
      return Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}';
  }
}

/** Shortest digits, an exponent below 1e-4 and from 1e21 on. */
function goNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-4) {
    return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
  }
  return String(value);
}
