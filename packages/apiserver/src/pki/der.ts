/**
 * DER, the encoding of certificates (X.690): values to bytes, and bytes to a tree of values that the caller
 * takes apart. Knows tags and lengths, no certificate.
 */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One value: its tag, its length, its contents. */
export function value(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = contents.length === 1 ? contents[0] : Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthBytes(body.length), body]);
}

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

export function sequence(...contents: readonly Buffer[]): Buffer {
  return value(TAG.sequence, ...contents);
}

/** A set of one value or of values already in order. */
export function set(...contents: readonly Buffer[]): Buffer {
  return value(TAG.set, ...contents);
}

/** A value under a number of its context, holding other values (`[3] EXPLICIT`). */
export function context(number: number, ...contents: readonly Buffer[]): Buffer {
  return value(0xa0 | number, ...contents);
}

/** Bytes under a number of their context (`[2] IMPLICIT`). */
export function contextBytes(number: number, bytes: Buffer): Buffer {
  return value(0x80 | number, bytes);
}

/** A whole number of any length from its bytes, big-endian and without sign. */
export function unsigned(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const digits = bytes.subarray(start);
  return value(TAG.integer, digits[0] >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

export function boolean(yes: boolean): Buffer {
  return value(TAG.boolean, Buffer.from([yes ? 0xff : 0]));
}

export function octets(bytes: Buffer): Buffer {
  return value(TAG.octetString, bytes);
}

/** Bits, the first in the highest place of the first byte. @param unused how many of the last byte do not count */
export function bits(bytes: Buffer, unused = 0): Buffer {
  return value(TAG.bitString, Buffer.from([unused]), bytes);
}

export function text(string: string): Buffer {
  return value(TAG.utf8String, Buffer.from(string, 'utf8'));
}

/** `2.5.4.3` and the like. */
export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const part of [first * 40 + second, ...rest]) {
    const digits = [part % 128];
    for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128)) {
      digits.unshift((left % 128) | 0x80);
    }
    bytes.push(...digits);
  }
  return value(TAG.oid, Buffer.from(bytes));
}

/** A moment in whole seconds: two digits of the year until 2049, four from then on (RFC 5280 §4.1.2.5). */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d{3}/g, '');
  return new Date(ms).getUTCFullYear() < 2050
    ? value(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : value(TAG.generalizedTime, Buffer.from(digits, 'latin1'));
}

/** A value that was read: its bytes, and those of its contents. Views of what was given, not copies. */
export interface DerValue {
  readonly tag: number;
  readonly bytes: Buffer;
  readonly contents: Buffer;
}

/** Bytes that are no DER. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** The values that lie one after the other in `bytes`. @throws DerError */
export function values(bytes: Buffer): DerValue[] {
  const found: DerValue[] = [];
  let at = 0;
  while (at < bytes.length) {
    const one = valueAt(bytes, at);
    found.push(one);
    at += one.bytes.length;
  }
  return found;
}

/** The one value that `bytes` are. @throws DerError */
export function only(bytes: Buffer): DerValue {
  const one = valueAt(bytes, 0);
  if (one.bytes.length !== bytes.length) throw new DerError('bytes behind the value');
  return one;
}

/** The values inside of a sequence, a set or a context. @throws DerError when it is another value */
export function inside(one: DerValue | undefined, tag: number = TAG.sequence): DerValue[] {
  if (one?.tag !== tag) throw new DerError(`expected tag ${tag}, found ${one?.tag}`);
  return values(one.contents);
}

function valueAt(bytes: Buffer, at: number): DerValue {
  if (at + 2 > bytes.length) throw new DerError('cut short');
  const tag = bytes[at];
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several bytes');
  let length = bytes[at + 1];
  let start = at + 2;
  if (length >= 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 4 || start + count > bytes.length)
      throw new DerError('a length that cannot be');
    length = 0;
    for (let index = 0; index < count; index += 1) length = length * 256 + bytes[start + index];
    start += count;
  }
  if (start + length > bytes.length) throw new DerError('cut short');
  return { tag, bytes: bytes.subarray(at, start + length), contents: bytes.subarray(start, start + length) };
}

/** An object identifier as dotted text. @throws DerError when the value is none */
export function readOid(one: DerValue | undefined): string {
  if (one?.tag !== TAG.oid || one.contents.length === 0) throw new DerError('no object identifier');
  const parts: number[] = [];
  let part = 0;
  let digits = 0;
  for (const byte of one.contents) {
    part = part * 128 + (byte & 0x7f);
    digits += 1;
    if (digits > 7) throw new DerError('an object identifier that is too long');
    if (byte < 0x80) {
      parts.push(part);
      part = 0;
      digits = 0;
    }
  }
  if (digits !== 0) throw new DerError('an object identifier that is cut short');
  const first = Math.min(2, Math.floor(parts[0] / 40));
  return [first, parts[0] - first * 40, ...parts.slice(1)].join('.');
}

/** The text of a string value of the kinds that names use; undefined for another kind or no valid UTF-8. */
export function readText(one: DerValue): string | undefined {
  switch (one.tag) {
    case TAG.utf8String: {
      const found = one.contents.toString('utf8');
      return Buffer.from(found, 'utf8').equals(one.contents) ? found : undefined;
    }
    case TAG.printableString:
    case TAG.ia5String:
      return one.contents.every((byte) => byte < 0x80) ? one.contents.toString('latin1') : undefined;
    default:
      return undefined;
  }
}
