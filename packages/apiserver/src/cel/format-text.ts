/**
 * `"…%s…".format(list)`: the clauses d, s, f, e, b, o, x, X with a precision, each for the types it takes. What it writes
 * and says is that of cel-go's library of strings up to version 3 (ext/formatting.go), which Kubernetes uses: numbers
 * with a fraction are written as in American English (`1,234.500000`, `1.234500×10⁰³`), lists and maps as literals.
 */

import { goQuote } from '@keelson/base';
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

const NO_UTF8 = goQuote('invalid UTF-8 in bytes, cannot convert to string');

function bytesText(bytes: Uint8Array): string | CelError {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder throws for bytes that are no UTF-8, and for nothing else.
    return new CelError(`error during formatting: could not convert argument ${NO_UTF8} to string`);
  }
}

/** A double as string() writes it. */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e21)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return String(value);
}

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
  if (value instanceof Uint8Array) return bytesText(value);
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof TypeValue) return typeName(value.type);
  if (value instanceof CelList) return listText(value);
  if (value instanceof CelMap) return mapText(value);
  return refuse(
    'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
    value,
  );
}

/** A value in a list or a map, as a literal of it. */
function literal(value: Value): string | CelError {
  if (typeof value === 'string') return goQuote(value);
  if (typeof value === 'number') {
    return Number.isFinite(value) ? fixed(value, PRECISION_DEFAULT, '-') : goQuote(doubleText(value));
  }
  if (value instanceof Timestamp) return `timestamp(${goQuote(formatTimestamp(value))})`;
  if (value instanceof Duration) return `duration(${goQuote(formatDuration(value))})`;
  if (value instanceof Uint8Array) {
    const text = bytesText(value);
    return text instanceof CelError ? text : `b${goQuote(text)}`;
  }
  const known =
    value === null ||
    typeof value !== 'object' ||
    value instanceof Uint ||
    value instanceof CelList ||
    value instanceof CelMap ||
    value instanceof TypeValue;
  return known
    ? plain(value)
    : new CelError(`error during formatting: no formatting function for ${given(value)}`);
}

function listText(list: CelList): string | CelError {
  const parts: string[] = [];
  for (const element of list) {
    const text = literal(element);
    if (text instanceof CelError) return text;
    parts.push(text);
  }
  return `[${parts.join(', ')}]`;
}

function mapText(map: CelMap): string | CelError {
  const parts: (readonly [string, string])[] = [];
  for (const key of map.keys()) {
    if (typeof key === 'number') {
      return new CelError(
        `error during formatting: no formatting function for map key of type ${given(key)}`,
      );
    }
    const name = literal(key);
    const text = literal(map.get(key) ?? null);
    if (name instanceof CelError) return name;
    if (text instanceof CelError) return text;
    parts.push([name, text]);
  }
  parts.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  return `{${parts.map(([name, text]) => `${name}:${text}`).join(', ')}}`;
}

function wholeOf(value: Value): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return value instanceof Uint ? value.value : undefined;
}

const refuse = (takes: string, value: Value): CelError =>
  new CelError(`error during formatting: ${takes}, was given ${given(value)}`);

function decimal(value: Value): string | CelError {
  const whole = wholeOf(value);
  return whole === undefined
    ? refuse('decimal clause can only be used on integers', value)
    : whole.toString();
}

/** What toFixed can write at most; a double that lies between two texts has fewer. */
const DIGITS_MAX = 100;

/** Rounds a tie to the even digit, as Go does and toFixed does not. @param minus of negative numbers, and of −0 */
function fixed(value: number, precision: number, minus: '-' | ''): string {
  if (precision > DIGITS_MAX) {
    return fixed(value, DIGITS_MAX, minus) + '0'.repeat(precision - DIGITS_MAX);
  }
  const sign = value < 0 ? '-' : Object.is(value, -0) ? minus : '';
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

/** With a comma before each three digits. */
function grouped(value: number, precision: number): string {
  const [whole, fraction] = fixed(value, precision, '').split('.');
  const commas = whole.replace(/\B(?=(?:\d{3})+$)/g, ',');
  // What is rounded to nothing is not negative.
  const text = fraction === undefined ? commas : `${commas}.${fraction}`;
  return value < 0 && !/[1-9]/.test(text) ? text.slice(1) : text;
}

const RAISED: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from('-0123456789').map((digit, i) => [digit, Array.from('⁻⁰¹²³⁴⁵⁶⁷⁸⁹')[i]]),
);

/** Six digits, whatever the precision: the original takes that for a width. */
function scientific(value: number, width: number): string {
  const exact = value.toExponential(DIGITS_MAX);
  const tie = /^-?\d\.\d{5}[02468]50*e/.test(exact);
  const rounded = tie ? `${exact.slice(0, exact.indexOf('.') + 7)}${exact.slice(exact.indexOf('e'))}` : '';
  const [digits, power] = (tie ? rounded : value.toExponential(PRECISION_DEFAULT)).split('e');
  const [, minus, size] = /^\+?(-?)(\d+)$/.exec(power) ?? ['', '', power];
  const raised = Array.from(minus + size.padStart(2, '0'), (digit) => RAISED[digit]).join('');
  return `${digits}×10${raised}`.padStart(width);
}

const NAMED_DOUBLES: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

function float(
  value: Value,
  precision: number | undefined,
  clause: 'fixed-point' | 'scientific',
): string | CelError {
  const number =
    typeof value === 'string' && Object.hasOwn(NAMED_DOUBLES, value) ? NAMED_DOUBLES[value] : value;
  if (typeof number !== 'number') return refuse(`${clause} clause can only be used on doubles`, value);
  const digits = precision ?? PRECISION_DEFAULT;
  if (digits > PRECISION_MAX) {
    return new CelError(`could not parse formatting clause: precision ${digits} exceeds ${PRECISION_MAX}`);
  }
  if (!Number.isFinite(number)) {
    const text = Number.isNaN(number) ? 'NaN' : number > 0 ? '∞' : '-∞';
    return clause === 'scientific' ? text.padStart(digits) : text;
  }
  return clause === 'scientific' ? scientific(number, digits) : grouped(number, digits);
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

function clauseText({ letter, precision }: Clause, value: Value): string | CelError {
  switch (letter) {
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
    default: {
      const text = hex(value);
      return text instanceof CelError ? text : text.toUpperCase();
    }
  }
}

export interface Clause {
  readonly letter: string;
  readonly precision: number | undefined;
}

/** What a template is made of: texts as they are, and clauses; what is wrong with it ends it. */
type Piece = string | Clause | CelError;

const unreadable = (why: string): CelError => new CelError(`could not parse formatting clause: ${why}`);
const badPrecision = (why: string): CelError => unreadable(`error while parsing precision: ${why}`);

/** Reads a clause behind its `%`. @returns it and where it ends */
function clauseAt(template: string, start: number): readonly [Clause | CelError, number] {
  let at = start;
  let precision: number | undefined;
  if (template[at] === '.') {
    const digits = /^\d*/.exec(template.slice(at + 1))?.[0] ?? '';
    at += 1 + digits.length;
    if (at === template.length) return [badPrecision('could not find end of precision specifier'), at];
    if (digits === '' || BigInt(digits) > 2n ** 63n - 1n) {
      const why = digits === '' ? 'invalid syntax' : 'value out of range';
      return [
        badPrecision(
          `error while converting precision to integer: strconv.Atoi: parsing ${goQuote(digits)}: ${why}`,
        ),
        at,
      ];
    }
    precision = Number(digits);
  }
  const letter = template[at];
  if (!'sdfeboxX'.includes(letter)) {
    // A byte of it is shown.
    const [byte] = new TextEncoder().encode(letter);
    return [unreadable(`unrecognized formatting clause "${String.fromCharCode(byte)}"`), at];
  }
  return [{ letter, precision }, at + 1];
}

function* piecesOf(template: string): Iterable<Piece> {
  let at = 0;
  while (at < template.length) {
    const percent = template.indexOf('%', at);
    if (percent !== at) {
      yield template.slice(at, percent < 0 ? undefined : percent);
      if (percent < 0) return;
    }
    at = percent + 1;
    if (template[at] === '%') {
      yield '%';
      at += 1;
    } else if (at === template.length) {
      yield new CelError('unexpected end of string');
      return;
    } else {
      const [clause, end] = clauseAt(template, at);
      yield clause;
      at = end;
    }
  }
}

/** The clauses of a text; what is wrong with the text ends them. */
export function formatClauses(
  template: string,
  count: number,
): { readonly clauses: readonly Clause[]; readonly wrong: string | undefined } {
  const clauses: Clause[] = [];
  for (const piece of piecesOf(template)) {
    if (typeof piece === 'string') continue;
    // A text that ends too early is told before an argument that is not there, which is told before a bad clause.
    const ends = piece instanceof CelError && piece.message === 'unexpected end of string';
    if (clauses.length >= count && !ends) return { clauses, wrong: `index ${clauses.length} out of range` };
    if (piece instanceof CelError) return { clauses, wrong: piece.message };
    clauses.push(piece);
  }
  return { clauses, wrong: undefined };
}

export function formatText(template: string, args: CelList): string | CelError {
  let out = '';
  let next = 0;
  for (const piece of piecesOf(template)) {
    if (typeof piece === 'string') {
      out += piece;
      continue;
    }
    if (next >= args.size) return new CelError(`index ${next} out of range`);
    if (piece instanceof CelError) return piece;
    const text = clauseText(piece, args.at(next));
    if (text instanceof CelError) return text;
    out += text;
    next++;
  }
  return out;
}
