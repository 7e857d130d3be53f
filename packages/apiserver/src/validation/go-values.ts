/**
 * Values as messages of the original show them where it holds a type of its own: members under their Go names, in
 * Go's order, what is absent as Go's zero. Which types there are stands in gen/go-types.ts. Never changes a value.
 */

import { JsonFloat } from '../api/json.ts';
import { GO_TYPES } from './gen/go-types.ts';
import { asNumber, asObject, type Fields } from './value.ts';

/** The table's lines by type; a line is taken apart when a message needs it. */
const LINES: ReadonlyMap<string, string> = new Map(
  GO_TYPES.split('\n').map((line) => {
    const tab = line.indexOf('\t');
    return [line.slice(0, tab), line.slice(tab + 1)] as const;
  }),
);

/**
 * The part of an object as Go writes the type, ready for JSON; null where there is none.
 *
 * @param type `core.PodSpec`, of the table
 */
export function goValue(type: string, of: unknown): unknown {
  return asObject(of) === undefined ? null : valueOf(type, of, {});
}

/** A list of such parts; null where there is none. */
export function goValues(type: string, of: readonly unknown[]): unknown {
  return of.length === 0 ? null : of.map((each) => goValue(type, each));
}

/** A map as Go writes it: its keys in their order. */
export function goMap(of: unknown): unknown {
  return valueOf('{R', of, {});
}

function valueOf(code: string, value: unknown, holder: Fields): unknown {
  const rest = code.slice(1);
  switch (code.charAt(0)) {
    case '*': {
      // A pod's security context of Go's holds members that stand beside it in JSON; it is never absent there.
      const absent = value === undefined || value === null;
      return absent && rest !== 'core.PodSecurityContext' ? null : valueOf(rest, value, holder);
    }
    case '[':
      return Array.isArray(value) ? value.map((each) => valueOf(rest, each, {})) : null;
    case '{': {
      const map = asObject(value);
      if (map === undefined) return null;
      const keys = Object.keys(map).toSorted();
      return Object.fromEntries(keys.map((key) => [key, valueOf(rest, map[key], {})]));
    }
    default:
      return code.includes('.') ? structOf(code, asObject(value) ?? {}, holder) : scalarOf(code, value);
  }
}

function structOf(type: string, of: Fields, holder: Fields): unknown {
  const shown: Record<string, unknown> = {};
  for (const member of (LINES.get(type) ?? '').split(' ')) {
    const [head = '', path = '', code = ''] = member.split(':');
    const omitted = head.endsWith('?');
    const name = omitted ? head.slice(0, -1) : head;
    const value = valueOf(code, found(path, name, of, holder), of);
    if (!omitted || !isEmpty(value)) shown[name] = value;
  }
  return shown;
}

function found(path: string, name: string, of: Fields, holder: Fields): unknown {
  if (path === '') return of[name];
  if (path === '~') return of[name.charAt(0).toLowerCase() + name.slice(1)];
  if (path.startsWith('^')) return holder[path.slice(1)];
  let at: unknown = of;
  for (const step of path.split('.')) at = asObject(at)?.[step];
  return at;
}

function scalarOf(code: string, value: unknown): unknown {
  const present = value !== undefined && value !== null;
  switch (code) {
    case 's':
      return present ? value : '';
    case 'i':
    case 'f':
      return asNumber(value) ?? 0;
    case 'b':
      return value === true;
    case 'q':
      return present ? value : '0';
    case 'x':
      return present ? value : 0;
    default:
      return value instanceof JsonFloat ? value.value : (value ?? null);
  }
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === '' || value === 0 || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
