/**
 * The extended string functions: positions are code points. Version 0 has the plain ones (Kubernetes before 1.29),
 * version 2 adds format(), quote() and reverse() joins them in 3. Modelled on cel-go's ext/strings.go.
 */

import { formatText } from './format-text.ts';
import { overload, type Implementation, type Overload } from './functions.ts';
import { ArrayList, CelError, CelList, noSuchOverload, type Result, type Value } from './values.ts';

const points = (text: string): string[] => Array.from(text);

const outOfRange = (at: bigint): CelError => new CelError(`index out of range: ${at}`);

const charAt: Implementation = (text, at) => {
  if (typeof text !== 'string' || typeof at !== 'bigint') return noSuchOverload();
  const all = points(text);
  if (at < 0n || at > BigInt(all.length)) return outOfRange(at);
  return all[Number(at)] ?? '';
};

/** Where the points of `part` lie in `all`, from `from` on upwards or downwards; −1 for nowhere. */
function find(all: readonly string[], part: readonly string[], from: number, by: 1 | -1): bigint {
  for (
    let at = Math.min(from, all.length - part.length);
    at >= 0 && at + part.length <= all.length;
    at += by
  ) {
    if (at < from && by === 1) break;
    if (part.every((point, i) => all[at + i] === point)) return BigInt(at);
  }
  return -1n;
}

const indexOf: Implementation = (text, part, from) => {
  if (typeof text !== 'string' || typeof part !== 'string') return noSuchOverload();
  const all = points(text);
  const start = typeof from === 'bigint' ? from : 0n;
  if (part === '' && start === 0n) return 0n;
  if (start < 0n || start > BigInt(all.length)) return outOfRange(start);
  return part === '' ? start : find(all, points(part), Number(start), 1);
};

const lastIndexOf: Implementation = (text, part, from) => {
  if (typeof text !== 'string' || typeof part !== 'string') return noSuchOverload();
  const all = points(text);
  if (typeof from === 'bigint' && (from < 0n || from > BigInt(all.length))) return outOfRange(from);
  const start = typeof from === 'bigint' ? Number(from) : all.length;
  return part === '' ? BigInt(start) : find(all, points(part), start, -1);
};

const cased =
  (change: (letter: string) => string, letters: RegExp): Implementation =>
  (text) =>
    typeof text === 'string' ? text.replace(letters, change) : noSuchOverload();

/** Its cost is of what it replaces in, not of what comes out: that is bounded here. */
const RESULT_LENGTH_MAX = 16 * 1024 * 1024;

function countOf(text: string, part: string): number {
  if (part === '') return text.length + 1;
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

const replace: Implementation = (text, from, to, limit) => {
  if (typeof text !== 'string' || typeof from !== 'string' || typeof to !== 'string') return noSuchOverload();
  const max = typeof limit === 'bigint' ? limit : -1n;
  // At most as many places as the text has room for; each may bring the whole replacement.
  const places = from === '' ? text.length + 1 : Math.floor(text.length / from.length);
  if (places * to.length > RESULT_LENGTH_MAX && countOf(text, from) * to.length > RESULT_LENGTH_MAX) {
    return new CelError('replace: the result is too long');
  }
  if (max < 0n) return text.replaceAll(from, () => to);
  const parts = from === '' ? ['', ...points(text), ''] : text.split(from);
  let out = parts[0];
  for (let i = 1; i < parts.length; i++) out += (BigInt(i) <= max ? to : from) + parts[i];
  return out;
};

const split: Implementation = (text, separator, limit) => {
  if (typeof text !== 'string' || typeof separator !== 'string') return noSuchOverload();
  const max = typeof limit === 'bigint' ? limit : -1n;
  if (max === 0n) return new ArrayList([]);
  const parts = separator === '' ? points(text) : text.split(separator);
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
const SPACE = '[\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';

function onText(change: (text: string) => Result): Implementation {
  return (text: Value) => (typeof text === 'string' ? change(text) : noSuchOverload());
}

const trim = onText((text) =>
  text.replace(new RegExp(`^${SPACE}`, 'u'), '').replace(new RegExp(`${SPACE}$`, 'u'), ''),
);

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
