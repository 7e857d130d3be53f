/**
 * The extended string functions: positions are code points. Version 0 has the plain ones (Kubernetes before 1.29),
 * version 2 adds format(), quote() and reverse() joins them in 3. Modelled on cel-go's ext/strings.go.
 */

import { formatText } from './format-text.ts';
import { overload, type Implementation, type Overload } from './functions.ts';
import { indexIn, lastIndexIn, splitBy } from './substring.ts';
import {
  ArrayList,
  CelError,
  CelList,
  noSuchOverload,
  RESULT_LENGTH_MAX,
  stringSize,
  type Result,
  type Value,
} from './values.ts';

const points = (text: string): string[] => Array.from(text);

const outOfRange = (at: bigint): CelError => new CelError(`index out of range: ${at}`);

/** The code unit at which a point begins; the text's length behind the last one. */
function unitOf(text: string, point: number): number {
  let at = 0;
  for (let left = point; left > 0 && at < text.length; left--)
    at += (text.codePointAt(at) ?? 0) > 0xff_ff ? 2 : 1;
  return at;
}

const charAt: Implementation = (text, at) => {
  if (typeof text !== 'string' || typeof at !== 'bigint') return noSuchOverload();
  if (at < 0n || at > BigInt(stringSize(text))) return outOfRange(at);
  const point = text.codePointAt(unitOf(text, Number(at)));
  return point === undefined ? '' : String.fromCodePoint(point);
};

/** How many points stand before a code unit; −1 for none at all. */
const pointsBefore = (text: string, unit: number): bigint =>
  unit < 0 ? -1n : BigInt(stringSize(text.slice(0, unit)));

/** As cel-go has it, and not cel-spec: behind the end nothing is found, and nothing is where it is looked for. */
const indexOf: Implementation = (text, part, from) => {
  if (typeof text !== 'string' || typeof part !== 'string') return noSuchOverload();
  const start = typeof from === 'bigint' ? from : 0n;
  if (part === '') return start;
  if (start < 0n) return outOfRange(start);
  if (start >= BigInt(stringSize(text))) return -1n;
  return pointsBefore(text, indexIn(text, part, unitOf(text, Number(start))));
};

const lastIndexOf: Implementation = (text, part, from) => {
  if (typeof text !== 'string' || typeof part !== 'string') return noSuchOverload();
  const size = stringSize(text);
  const start = typeof from === 'bigint' ? from : BigInt(size);
  if (part === '') return start;
  if (start < 0n) return outOfRange(start);
  if (typeof from === 'bigint' && start >= BigInt(size)) return -1n;
  return pointsBefore(text, lastIndexIn(text, part, unitOf(text, Number(start))));
};

const cased =
  (change: (letter: string) => string, letters: RegExp): Implementation =>
  (text) =>
    typeof text === 'string' ? text.replace(letters, change) : noSuchOverload();

function countOf(text: string, part: string): number {
  if (part === '') return text.length + 1;
  return splitBy(text, part).length - 1;
}

/** Its cost is of what it replaces in, not of what comes out: that is bounded here. */
const replace: Implementation = (text, from, to, limit) => {
  if (typeof text !== 'string' || typeof from !== 'string' || typeof to !== 'string') return noSuchOverload();
  const max = typeof limit === 'bigint' ? limit : -1n;
  // At most as many places as the text has room for; each may bring the whole replacement.
  const places = from === '' ? text.length + 1 : Math.floor(text.length / from.length);
  if (places * to.length > RESULT_LENGTH_MAX && countOf(text, from) * to.length > RESULT_LENGTH_MAX) {
    return new CelError('replace: the result is too long');
  }
  if (max < 0n && from === '') return text.replaceAll(from, () => to);
  const parts = from === '' ? ['', ...points(text), ''] : splitBy(text, from);
  if (max < 0n) return parts.join(to);
  let out = parts[0];
  for (let i = 1; i < parts.length; i++) out += (BigInt(i) <= max ? to : from) + parts[i];
  return out;
};

const split: Implementation = (text, separator, limit) => {
  if (typeof text !== 'string' || typeof separator !== 'string') return noSuchOverload();
  const max = typeof limit === 'bigint' ? limit : -1n;
  if (max === 0n) return new ArrayList([]);
  const parts = separator === '' ? points(text) : splitBy(text, separator);
  if (max < 0n || max >= BigInt(parts.length)) return new ArrayList(parts);
  const first = parts.slice(0, Number(max) - 1);
  return new ArrayList([...first, parts.slice(Number(max) - 1).join(separator)]);
};

const substring: Implementation = (text, from, to) => {
  if (typeof text !== 'string' || typeof from !== 'bigint') return noSuchOverload();
  const all = points(text);
  const size = BigInt(all.length);
  if (typeof to !== 'bigint')
    return from < 0n || from > size ? outOfRange(from) : all.slice(Number(from)).join('');
  if (from > to) return new CelError(`invalid substring range. start: ${from}, end: ${to}`);
  if (from < 0n || from > size) return outOfRange(from);
  if (to < 0n || to > size) return outOfRange(to);
  return all.slice(Number(from), Number(to)).join('');
};

/** Unicode's White_Space, as Go's strings.TrimSpace has it. */
const SPACE = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

function onText(change: (text: string) => Result): Implementation {
  return (text: Value) => (typeof text === 'string' ? change(text) : noSuchOverload());
}

/** From both ends, unit by unit: an expression for spaces at the end would be tried at each of them. */
const trim = onText((text) => {
  let from = 0;
  let to = text.length;
  while (from < to && SPACE.test(text[from])) from++;
  while (to > from && SPACE.test(text[to - 1])) to--;
  return text.slice(from, to);
});

const join: Implementation = (list, separator) => {
  if (!(list instanceof CelList)) return noSuchOverload();
  const parts: string[] = [];
  for (const part of list) {
    if (typeof part !== 'string') return noSuchOverload();
    parts.push(part);
  }
  return parts.join(typeof separator === 'string' ? separator : '');
};

const QUOTED: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

const quote = onText((text) => `"${Array.from(text, (sign) => QUOTED[sign] ?? sign).join('')}"`);

const BASIC: readonly Overload[] = [
  overload('string_char_at_int', 'string->charAt(int) string', charAt),
  overload('string_index_of_string', 'string->indexOf(string) int', indexOf),
  overload('string_index_of_string_int', 'string->indexOf(string, int) int', indexOf),
  overload('string_last_index_of_string', 'string->lastIndexOf(string) int', lastIndexOf),
  overload('string_last_index_of_string_int', 'string->lastIndexOf(string, int) int', lastIndexOf),
  overload(
    'string_lower_ascii',
    'string->lowerAscii() string',
    cased((letter) => letter.toLowerCase(), /[A-Z]/g),
  ),
  overload(
    'string_upper_ascii',
    'string->upperAscii() string',
    cased((letter) => letter.toUpperCase(), /[a-z]/g),
  ),
  overload('string_replace_string_string', 'string->replace(string, string) string', replace),
  overload('string_replace_string_string_int', 'string->replace(string, string, int) string', replace),
  overload('string_split_string', 'string->split(string) list(string)', split),
  overload('string_split_string_int', 'string->split(string, int) list(string)', split),
  overload('string_substring_int', 'string->substring(int) string', substring),
  overload('string_substring_int_int', 'string->substring(int, int) string', substring),
  overload('string_trim', 'string->trim() string', trim),
  overload('list_join', 'list(string)->join() string', join),
  overload('list_join_string', 'list(string)->join(string) string', join),
];

const format: Implementation = (template, args) =>
  typeof template === 'string' && args instanceof CelList ? formatText(template, args) : noSuchOverload();

/** @param version of the library: Kubernetes has 0 until 1.28 and 2 since 1.29 */
export function stringsLibrary(version: number): readonly Overload[] {
  if (version < 1) return BASIC.filter((entry) => entry.functionName !== 'format');
  return [
    ...BASIC,
    overload('string_format', 'string->format(list(dyn)) string', format),
    overload('strings_quote', 'strings.quote(string) string', quote),
    ...(version < 3
      ? []
      : [
          overload(
            'string_reverse',
            'string->reverse() string',
            onText((text) => points(text).reverse().join('')),
          ),
        ]),
  ];
}
