/**
 * ASN.1 in DER, as far as certificates and revocation lists need it: values out, and a walk over what came in.
 * Pure. No certificate is judged here. (ITU-T X.690; tags and forms as RFC 5280 uses them.)
 */

export const Tag = {
  Boolean: 0x01,
  Integer: 0x02,
  BitString: 0x03,
  OctetString: 0x04,
  ObjectId: 0x06,
  Utf8String: 0x0c,
  UtcTime: 0x17,
  GeneralizedTime: 0x18,
  Sequence: 0x30,
  Set: 0x31,
} as const;

/** A tag of the context: [n], constructed or not. */
export function contextTag(n: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | n;
}

// Out.

/** One value: tag, length, and the contents one behind the other. */
export function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const bytes = contents.reduce((sum, content) => sum + content.length, 0);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(bytes)]), ...contents]);
}

export function sequence(...contents: readonly Buffer[]): Buffer {
  return der(Tag.Sequence, ...contents);
}

/** A non-negative integer. */
export function integer(value: bigint): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  // A leading one bit would make it negative.
  return der(Tag.Integer, ...(bytes[0] >= 0x80 ? [Buffer.from([0])] : []), bytes);
}

/** "1.2.840.10045.4.3.2" */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(Tag.ObjectId, Buffer.from(bytes));
}

export function bitString(bytes: Buffer, unusedBits = 0): Buffer {
  return der(Tag.BitString, Buffer.from([unusedBits]), bytes);
}

/** RFC 5280 §4.1.2.5: two digits of the year until 2049, four from then on; to the second, in UTC. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return digits >= '2050'
    ? der(Tag.GeneralizedTime, Buffer.from(digits, 'latin1'))
    : der(Tag.UtcTime, Buffer.from(digits.slice(2), 'latin1'));
}

function lengthOf(bytes: number): number[] {
  if (bytes < 0x80) return [bytes];
  const size: number[] = [];
  for (let left = bytes; left > 0; left = Math.floor(left / 256)) size.unshift(left & 0xff);
  return [0x80 | size.length, ...size];
}

// In.

/** The bytes are no DER of the expected shape. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

export interface DerValue {
  readonly tag: number;
  /** Without tag and length. A view. */
  readonly content: Buffer;
  /** With tag and length. A view. */
  readonly whole: Buffer;
}

/** The values that stand one behind the other in `bytes`. @throws DerError */
export function derValues(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 2) throw new DerError('a value without length');
    const tag = bytes[at];
    let start = at + 2;
    let length = bytes[at + 1];
    if (length >= 0x80) {
      const size = length & 0x7f;
      if (size === 0 || size > 4 || bytes.length - start < size) throw new DerError('a length of a bad form');
      length = bytes.readUIntBE(start, size);
      start += size;
    }
    const end = start + length;
    if (end > bytes.length) throw new DerError('a value longer than what holds it');
    values.push({ tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) });
    at = end;
  }
  return values;
}

/** The values inside one that must have this tag. @throws DerError */
export function inside(value: DerValue | undefined, tag: number): DerValue[] {
  if (value?.tag !== tag) throw new DerError('not the value that must be here');
  return derValues(value.content);
}

/** The blocks of this label in a PEM text, decoded. */
export function pemBlocks(text: string, label: string): Buffer[] {
  const pattern = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`, 'g');
  return [...text.matchAll(pattern)].map(([, base64]) => Buffer.from(base64, 'base64'));
}

export function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
