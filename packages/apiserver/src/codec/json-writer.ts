/**
 * Writes JSON as Go's encoder does: `<`, `>`, `&`, U+2028 and U+2029 escaped, 64-bit integers whole, no space; or
 * indented by two spaces for people. Numbers need no care: ECMAScript and Go choose the same digits and the
 * same bounds for an exponent.
 *
 * The common case goes through JSON.stringify alone; only an integer beyond 2^53 makes the slower walk necessary.
 */

import type { Json } from '../api/json.ts';

const ESCAPED = /[<>&\u2028\u2029]/;
const EACH_ESCAPED = /[<>&\u2028\u2029]/g;
const ESCAPES: Readonly<Record<string, string>> = {
  '<': String.raw`\u003c`,
  '>': String.raw`\u003e`,
  '&': String.raw`\u0026`,
  '\u2028': String.raw`\u2028`,
  '\u2029': String.raw`\u2029`,
};

/** The value as JSON text. The escaped characters stand only inside strings, so the text is escaped as a whole. */
export function writeJson(value: Json, options: { readonly pretty?: boolean } = {}): string {
  const text = stringify(value, options.pretty ? 2 : undefined);
  return ESCAPED.test(text) ? text.replace(EACH_ESCAPED, (char) => ESCAPES[char]) : text;
}

function stringify(value: Json, indent: number | undefined): string {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch (error) {
    // What JSON.stringify refuses is a bigint; anything else fails once more.
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, wholeIntegers, indent);
  }
}

function wholeIntegers(_name: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library's types do not know rawJSON yet
  return (JSON as unknown as RawJson).rawJSON(value.toString());
}

interface RawJson {
  rawJSON(text: string): unknown;
}
