/**
 * What the literals of an expression mean: numbers with their bounds, strings and bytes with their escapes.
 * A literal that means nothing is told by a text, CEL-go's own.
 */

import { type Constant } from './ast.ts';

export const INT_MIN = -(2n ** 63n);
export const INT_MAX = 2n ** 63n - 1n;
export const UINT_MAX = 2n ** 64n - 1n;

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** @param text the digits as written, with the sign */
export function intLiteral(text: string): Constant | string {
  const negative = text.startsWith('-');
  const value = BigInt(negative ? text.slice(1) : text) * (negative ? -1n : 1n);
  return value < INT_MIN || value > INT_MAX ? 'invalid int literal' : { kind: 'int', value };
}

export function uintLiteral(text: string): Constant | string {
  const value = BigInt(text.slice(0, -1));
  return value > UINT_MAX ? 'invalid uint literal' : { kind: 'uint', value };
}

export function doubleLiteral(text: string): Constant | string {
  const value = Number(text);
  return Number.isFinite(value) ? { kind: 'double', value } : 'invalid double literal';
}

/** @param text with prefix and quotes, as the lexer let it pass */
export function stringLiteral(text: string): Constant | string {
  const { body, raw } = unquote(text);
  if (raw) return { kind: 'string', value: body };
  let value = '';
  for (let i = 0; i < body.length;) {
    if (body[i] !== '\\') {
      value += body[i++];
      continue;
    }
    const escape = readEscape(body, i);
    if (escape.point > 0x10ffff || (escape.point >= 0xd800 && escape.point <= 0xdfff)) {
      return 'invalid unicode code point';
    }
    value += String.fromCodePoint(escape.point);
    i = escape.end;
  }
  return { kind: 'string', value };
}

export function bytesLiteral(text: string): Constant | string {
  const { body, raw } = unquote(text.slice(1));
  const encoder = new TextEncoder();
  if (raw) return { kind: 'bytes', value: encoder.encode(body) };
  const bytes: number[] = [];
  for (let i = 0; i < body.length;) {
    if (body[i] !== '\\') {
      const point = String.fromCodePoint(body.codePointAt(i) ?? 0);
      bytes.push(...encoder.encode(point));
      i += point.length;
      continue;
    }
    if (body[i + 1] === 'u' || body[i + 1] === 'U') return 'unable to unescape string';
    const escape = readEscape(body, i);
    bytes.push(escape.point);
    i = escape.end;
  }
  return { kind: 'bytes', value: Uint8Array.from(bytes) };
}

function unquote(text: string): { readonly body: string; readonly raw: boolean } {
  const raw = text.startsWith('r') || text.startsWith('R');
  const quoted = raw ? text.slice(1) : text;
  const width = quoted.length >= 6 && quoted.startsWith(quoted[0].repeat(3)) ? 3 : 1;
  // A carriage return is a line's end, as Go's source reading has it.
  return { body: quoted.slice(width, -width).replaceAll('\r\n', '\n').replaceAll('\r', '\n'), raw };
}

function readEscape(body: string, at: number): { readonly point: number; readonly end: number } {
  const letter = body[at + 1];
  const simple = SIMPLE_ESCAPES[letter];
  if (simple !== undefined) return { point: simple.charCodeAt(0), end: at + 2 };
  if (letter === 'x' || letter === 'X') {
    return { point: Number.parseInt(body.slice(at + 2, at + 4), 16), end: at + 4 };
  }
  if (letter === 'u') return { point: Number.parseInt(body.slice(at + 2, at + 6), 16), end: at + 6 };
  if (letter === 'U') return { point: Number.parseInt(body.slice(at + 2, at + 10), 16), end: at + 10 };
  if (letter >= '0' && letter <= '3') {
    return { point: Number.parseInt(body.slice(at + 1, at + 4), 8), end: at + 4 };
  }
  return { point: letter.charCodeAt(0), end: at + 2 };
}
