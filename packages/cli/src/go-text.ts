/**
 * Texts as Go programs read and write them, because etcdctl is one: quoted strings, integers, durations,
 * sizes, and the error texts that go with them. Pure functions; formats are those of Go's strconv, time and
 * of the humanize package that etcdctl uses.
 */

import { goEscape } from '@keelson/base';

/** A text that is not what it should be; the message is Go's. */
export class GoTextError extends Error {
  override readonly name = 'GoTextError';
}

const ESCAPED_FIRST = 0xdc00;

/**
 * Bytes as a string that keeps bytes that are not UTF-8: each becomes a lone surrogate, which no valid text
 * has. `bytesOf` is the way back.
 */
export function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (!text.includes('\ufffd')) return text;
  let kept = '';
  for (const { text: character, byte } of runes(bytes)) {
    kept += byte === undefined ? character : String.fromCharCode(ESCAPED_FIRST + byte);
  }
  return kept;
}

/** The bytes of a string: UTF-8, and a byte for each that `textOf` kept. */
export function bytesOf(text: string): Buffer {
  if (!/[\udc80-\udcff]/.test(text)) return Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  for (const character of text) {
    const code = character.charCodeAt(0);
    const lone = character.length === 1 && code >= 0xdc80 && code <= 0xdcff;
    parts.push(lone ? Buffer.from([code - ESCAPED_FIRST]) : Buffer.from(character, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** Characters of UTF-8 bytes in order; `byte` is set for one that belongs to no character. */
function* runes(bytes: Uint8Array): Generator<{ text: string; byte: number | undefined }, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at] ?? 0;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    let text: string | undefined;
    try {
      text = decoder.decode(bytes.subarray(at, at + length));
    } catch {
      text = undefined;
    }
    if (text === undefined) {
      yield { text: '', byte: first };
      at += 1;
    } else {
      yield { text, byte: undefined };
      at += length;
    }
  }
}

/** %q: bytes in double quotes, with what cannot be printed escaped. */
export function quote(bytes: Uint8Array): string {
  let quoted = '"';
  for (const { text, byte } of runes(bytes)) {
    quoted += byte === undefined ? goEscape(text) : `\\x${byte.toString(16)}`;
  }
  return `${quoted}"`;
}

export const quoteText = (text: string): string => quote(bytesOf(text));

const ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  "'": 39,
  '"': 34,
};

/**
 * Reads the quoted string that `text` starts with.
 * @returns its content (see textOf) and how many characters of `text` it took
 * @throws GoTextError when there is none, or it does not end
 */
export function unquote(text: string): { value: string; length: number } {
  const match = /^(?:"((?:[^"\\\n]|\\.)*)"|`([^`]*)`)/u.exec(text);
  if (match === null) throw new GoTextError('expected quoted string');
  const [whole, interpreted, raw] = match;
  if (interpreted === undefined) return { value: raw ?? '', length: whole.length };
  const parts: Buffer[] = [];
  const pieces = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))|[^\\]+/gu;
  for (const [piece, byte, short, long, octal, named] of interpreted.matchAll(pieces)) {
    const point = short ?? long;
    if (byte !== undefined) parts.push(Buffer.from([Number.parseInt(byte, 16)]));
    else if (octal !== undefined) parts.push(Buffer.from([Number.parseInt(octal, 8) & 0xff]));
    else if (point !== undefined) parts.push(Buffer.from(String.fromCodePoint(Number.parseInt(point, 16))));
    else if (named !== undefined) {
      const code = ESCAPES[named];
      if (code === undefined || named === "'") throw new GoTextError('invalid syntax');
      parts.push(Buffer.from([code]));
    } else parts.push(bytesOf(piece));
  }
  return { value: textOf(Buffer.concat(parts)), length: whole.length };
}

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** strconv.ParseInt(text, base, 64). @throws GoTextError with Go's text */
export function parseInt64(text: string, base: 10 | 16 = 10): bigint {
  const digits = base === 10 ? /^[+-]?[0-9]+$/ : /^[+-]?[0-9a-fA-F]+$/;
  const fail = (why: string): GoTextError =>
    new GoTextError(`strconv.ParseInt: parsing ${quoteText(text)}: ${why}`);
  if (!digits.test(text)) throw fail('invalid syntax');
  const negative = text.startsWith('-');
  const magnitude = BigInt((base === 16 ? '0x' : '') + text.replace(/^[+-]/, ''));
  const value = negative ? -magnitude : magnitude;
  if (value > INT64_MAX || value < INT64_MIN) throw fail('value out of range');
  return value;
}

/** strconv.ParseUint(text, base, 64). @throws GoTextError with Go's text */
export function parseUint64(text: string, base: 10 | 16 = 10): bigint {
  const fail = (why: string): GoTextError =>
    new GoTextError(`strconv.ParseUint: parsing ${quoteText(text)}: ${why}`);
  if (!(base === 10 ? /^[0-9]+$/ : /^[0-9a-fA-F]+$/).test(text)) throw fail('invalid syntax');
  const value = BigInt((base === 16 ? '0x' : '') + text);
  if (value >= 2n ** 64n) throw fail('value out of range');
  return value;
}

/** An int64 that is counted with, as a number: what is beyond 2^53-1 stays there, and compares the same. */
export function countOf(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  if (value > limit) return Number.MAX_SAFE_INTEGER;
  return value < -limit ? -Number.MAX_SAFE_INTEGER : Number(value);
}

/** strconv.ParseBool. @throws GoTextError with Go's text */
export function parseBool(text: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  throw new GoTextError(`strconv.ParseBool: parsing ${quoteText(text)}: invalid syntax`);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** time.ParseDuration, in milliseconds. @throws GoTextError with Go's text */
export function parseDurationMs(text: string): number {
  const fail = new GoTextError(`time: invalid duration ${quoteText(text)}`);
  const signed = /^([+-]?)(.+)$/u.exec(text);
  if (signed === null) throw fail;
  const [, sign, amount = ''] = signed;
  if (amount === '0') return 0;
  if (/^[0-9.]+$/.test(amount)) throw new GoTextError(`time: missing unit in duration ${quoteText(text)}`);
  if (!/^(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+$/u.test(amount)) throw fail;
  let total = 0;
  for (const [, value, unit = ''] of amount.matchAll(/([0-9.]+)(ns|us|µs|μs|ms|s|m|h)/gu)) {
    total += Number(value) * (UNIT_MS[unit] ?? 0);
  }
  return sign === '-' ? -total : total;
}

/** time.Duration's String(): "1.5s", "993.2µs", "1h0m0.25s". */
export function formatDurationMs(durationMs: number): string {
  const nanos = Math.round(durationMs * 1e6);
  if (nanos === 0) return '0s';
  const sign = nanos < 0 ? '-' : '';
  const size = Math.abs(nanos);
  if (size < 1e3) return `${sign}${size}ns`;
  if (size < 1e6) return `${sign}${decimal(size, 1e3)}µs`;
  if (size < 1e9) return `${sign}${decimal(size, 1e6)}ms`;
  const minutes = Math.floor(size / 60e9);
  const seconds = `${decimal(size - minutes * 60e9, 1e9)}s`;
  if (minutes === 0) return sign + seconds;
  if (minutes < 60) return `${sign}${minutes}m${seconds}`;
  return `${sign}${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}

/** `size / unit` without trailing zeros, exactly. */
function decimal(size: number, unit: number): string {
  const digits = String(unit).length - 1;
  const fraction = String(size % unit)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return `${Math.floor(size / unit)}${fraction === '' ? '' : `.${fraction}`}`;
}

const SIZES: readonly string[] = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** A size as people read it, in powers of 1000: "999 B", "1.0 kB", "25 kB". */
export function formatSize(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log(bytes) / Math.log(1000)), SIZES.length - 1);
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : roundHalfEven(value)} ${SIZES[power]}`;
}

function roundHalfEven(value: number): string {
  const floor = Math.floor(value);
  if (value - floor === 0.5) return String(floor % 2 === 0 ? floor : floor + 1);
  return String(Math.round(value));
}

/** Lower-case hex of an id, as Go's %x: negative numbers keep their sign. */
export function idHex(id: bigint, digits = 0): string {
  return id < 0n
    ? `-${(-id).toString(16).padStart(Math.max(0, digits - 1), '0')}`
    : id.toString(16).padStart(digits, '0');
}
