/**
 * `"…%s…".format(list)`: the clauses d, s, f, e, b, o, x, X with a precision, each for the types it takes. Modelled on
 * cel-go's ext/formatting.go, whose error texts are kept.
 */

import { formatDuration, formatTimestamp } from './times.ts';
import {
  CelError,
  CelList,
  CelMap,
  Duration,
  Timestamp,
  typeName,
  typeOf,
  TypeValue,
  Uint,
  type Value,
} from './values.ts';

/** More digits than a double has would only fill memory. */
const PRECISION_MAX = 1000;
const PRECISION_DEFAULT = 6;

const given = (value: Value): string => typeName(typeOf(value));

/** The text of a value, or that it has none. */
function plain(value: Value): string | CelError {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      return value;
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'number':
      return doubleText(value);
    default:
  }
  if (value instanceof Uint) return value.value.toString();
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof TypeValue) return typeName(value.type);
  if (value instanceof CelList) {
    const parts: string[] = [];
    for (const element of value) {
      const text = plain(element);
      if (text instanceof CelError) return text;
      parts.push(text);
    }
    return `[${parts.join(', ')}]`;
  }
  if (value instanceof CelMap) {
    const parts: (readonly [string, string])[] = [];
    for (const key of value.keys()) {
      const name = plain(key);
      const text = plain(value.get(key) ?? null);
      if (name instanceof CelError) return name;
      if (text instanceof CelError) return text;
      parts.push([name, text]);
    }
    parts.sort((a, b) => (a[0] < b[0] ? -1 : 1));
    return `{${parts.map(([name, text]) => `${name}: ${text}`).join(', ')}}`;
  }
  return new CelError(
    'error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, ' +
      `types, durations, and timestamps, was given ${given(value)}`,
  );
}

function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function wholeOf(value: Value): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return value instanceof Uint ? value.value : undefined;
}

const refuse = (takes: string, value: Value): CelError =>
  new CelError(`error during formatting: ${takes}, was given ${given(value)}`);

function decimal(value: Value): string | CelError {
  const whole = wholeOf(value);
  if (whole !== undefined) return whole.toString();
  if (typeof value === 'number') return doubleText(value);
  return refuse('decimal clause can only be used on integers', value);
}

/** What toFixed can write at most; a double that lies between two texts has fewer. */
const DIGITS_MAX = 100;

/** Rounds a tie to the even digit, as Go does and toFixed does not. */
function fixed(value: number, precision: number): string {
  if (precision > DIGITS_MAX) return fixed(value, DIGITS_MAX) + '0'.repeat(precision - DIGITS_MAX);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  if (size >= 1e21) return `${sign}${BigInt(size)}${precision > 0 ? `.${'0'.repeat(precision)}` : ''}`;
  const exact = size.toFixed(DIGITS_MAX);
  const point = exact.indexOf('.');
  const rest = exact.slice(point + 1 + precision);
  const kept = exact.slice(0, point) + exact.slice(point + 1, point + 1 + precision);
  const tie = /^50*$/.test(rest);
  if (!tie || Number(kept.at(-1)) % 2 === 1) return sign + size.toFixed(precision);
  return sign + (precision === 0 ? kept : `${kept.slice(0, -precision)}.${kept.slice(-precision)}`);
}

function scientific(value: number, precision: number): string {
  const text = value.toExponential(Math.min(precision, 100));
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}

function float(value: Value, precision: number, clause: 'fixed-point' | 'scientific'): string | CelError {
  const whole = wholeOf(value);
  const number = whole === undefined ? value : Number(whole);
  if (typeof number !== 'number') return refuse(`${clause} clause can only be used on doubles`, value);
  if (!Number.isFinite(number)) return String(number);
  return clause === 'scientific' ? scientific(number, precision) : fixed(number, precision);
}

function binary(value: Value): string | CelError {
  if (typeof value === 'boolean') return value ? '1' : '0';
  const whole = wholeOf(value);
  return whole === undefined
    ? refuse('only integers and bools can be formatted as binary', value)
    : whole.toString(2);
}

function octal(value: Value): string | CelError {
  const whole = wholeOf(value);
  return whole === undefined ? refuse('octal clause can only be used on integers', value) : whole.toString(8);
}

function hex(value: Value): string | CelError {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  if (bytes instanceof Uint8Array) {
    let text = '';
    for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
    return text;
  }
  const whole = wholeOf(value);
  return whole === undefined
    ? refuse('only integers, byte buffers, and strings can be formatted as hex', value)
    : whole.toString(16);
}

function clauseText(clause: string, precision: number, value: Value): string | CelError {
  switch (clause) {
    case 'd':
      return decimal(value);
    case 's':
      return plain(value);
    case 'f':
      return float(value, precision, 'fixed-point');
    case 'e':
      return float(value, precision, 'scientific');
    case 'b':
      return binary(value);
    case 'o':
      return octal(value);
    case 'x':
      return hex(value);
    case 'X': {
      const text = hex(value);
      return text instanceof CelError ? text : text.toUpperCase();
    }
    default:
      return new CelError(`could not parse formatting clause: unrecognized formatting clause "${clause}"`);
  }
}

const NO_PRECISION =
  'could not parse formatting clause: error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax';

/** The clauses of a text, each its letter and the argument it takes; what is wrong with the text ends them. */
export function formatClauses(
  template: string,
  count: number,
): { readonly clauses: readonly string[]; readonly wrong: string | undefined } {
  const clauses: string[] = [];
  for (let at = template.indexOf('%'); at >= 0; at = template.indexOf('%', at + 1)) {
    at += 1;
    if (at === template.length) return { clauses, wrong: 'unexpected end of string' };
    if (template[at] === '%') continue;
    if (clauses.length >= count) return { clauses, wrong: `index ${clauses.length} out of range` };
    if (template[at] === '.') {
      const digits = /^\d*/.exec(template.slice(at + 1))?.[0] ?? '';
      if (digits === '') return { clauses, wrong: NO_PRECISION };
      at += 1 + digits.length;
      if (at === template.length) {
        return { clauses, wrong: 'could not parse formatting clause: unexpected end of string' };
      }
    }
    if (!'sdfeboxX'.includes(template[at])) {
      const wrong = `could not parse formatting clause: unrecognized formatting clause "${template[at]}"`;
      return { clauses, wrong };
    }
    clauses.push(template[at]);
  }
  return { clauses, wrong: undefined };
}

export function formatText(template: string, args: CelList): string | CelError {
  let out = '';
  let next = 0;
  for (let at = 0; at < template.length;) {
    if (template[at] !== '%') {
      out += template[at++];
      continue;
    }
    at++;
    if (at === template.length) return new CelError('unexpected end of string');
    if (template[at] === '%') {
      out += '%';
      at++;
      continue;
    }
    if (next >= args.size) return new CelError(`index ${next} out of range`);
    let precision = PRECISION_DEFAULT;
    if (template[at] === '.') {
      const digits = /^\d*/.exec(template.slice(at + 1))?.[0] ?? '';
      if (digits === '') return new CelError(NO_PRECISION);
      precision = Number(digits);
      if (precision > PRECISION_MAX) {
        return new CelError(
          `could not parse formatting clause: precision ${precision} exceeds ${PRECISION_MAX}`,
        );
      }
      at += 1 + digits.length;
      if (at === template.length)
        return new CelError('could not parse formatting clause: unexpected end of string');
    }
    const text = clauseText(template[at], precision, args.at(next));
    if (text instanceof CelError) return text;
    out += text;
    next++;
    at++;
  }
  return out;
}
