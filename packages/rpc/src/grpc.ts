/**
 * gRPC over HTTP/2 as far as it is text and bytes: message framing, timeouts, status messages, content
 * types, compression, metadata in headers (the protocol's PROTOCOL-HTTP2.md; texts are grpc-go's). No
 * frames, no state of a call.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { readUint32 } from './frames.ts';
import { Metadata } from './metadata.ts';
import { StatusCode } from './status.ts';

/** The compressed flag and the length in front of every message. */
export const PREFIX_BYTES = 5;

/** "application/grpc", alone or with a subtype. */
export function isGrpcContentType(value: string): boolean {
  if (value === 'application/grpc') return true;
  const type = value.toLowerCase();
  return type.startsWith('application/grpc') && (type[16] === '+' || type[16] === ';');
}

/** Every unit in milliseconds. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
const quoted = (text: string): string => JSON.stringify(text);

/** grpc-timeout in milliseconds, or the text of what is wrong with it. */
export function parseTimeout(text: string): number | string {
  if (text.length < 2) return `transport: timeout string is too short: ${quoted(text)}`;
  if (text.length > 9) return `transport: timeout string is too long: ${quoted(text)}`;
  const unit = UNITS[text[text.length - 1]];
  if (unit === undefined) return `transport: timeout unit is not recognized: ${quoted(text)}`;
  let value = 0;
  for (let i = 0; i < text.length - 1; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9)
      return `strconv.ParseUint: parsing ${quoted(text.slice(0, -1))}: invalid syntax`;
    value = value * 10 + digit;
  }
  return value * unit;
}

/** At most eight digits, rounded up, in the finest unit that holds them. */
export function formatTimeout(timeoutMs: number): string {
  const ms = Math.max(0, timeoutMs);
  if (ms <= 99_999_999) return `${Math.ceil(ms)}m`;
  if (ms / 1000 <= 99_999_999) return `${Math.ceil(ms / 1000)}S`;
  return `${Math.min(99_999_999, Math.ceil(ms / 3_600_000))}H`;
}

/** A status message as grpc-message: UTF-8, with everything but printable ASCII and "%" escaped. */
export function percentEncode(text: string): string {
  if (/^[ -$&-~]*$/.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Undoes percentEncode; an escape that is none stays as it is, as grpc-go does it. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  const raw = text.replace(/%([0-9A-Fa-f]{2})/g, (_all, digits: string) =>
    String.fromCharCode(parseInt(digits, 16)),
  );
  return Buffer.from(raw, 'latin1').toString('utf8');
}

/** Headers that HTTP/2 and gRPC own; the application does not see them. As the grpc-js twin. */
const RESERVED: ReadonlySet<string> = new Set([
  'content-type',
  'te',
  'date',
  'user-agent',
  'trailer',
  'content-length',
  'host',
]);

export function isReserved(name: string): boolean {
  return RESERVED.has(name) || name.startsWith('grpc-') || name.startsWith(':');
}

/** Application headers, name, value, name, value, as Metadata. Values of "-bin" keys are base64. */
export function metadataFrom(pairs: readonly string[]): Metadata {
  const metadata = new Metadata();
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i];
    const value = pairs[i + 1];
    if (!name.endsWith('-bin')) metadata.addReceived(name, value);
    else for (const part of value.split(',')) metadata.addReceived(name, Buffer.from(part, 'base64'));
  }
  return metadata;
}

/** Calls `field` for each header of `metadata`. Base64 without padding, as the protocol asks of senders. */
export function eachHeader(metadata: Metadata, field: (name: string, value: string) => void): void {
  for (const [name, values] of metadata.entries()) {
    if (isReserved(name)) continue;
    for (const value of values) {
      field(name, typeof value === 'string' ? value : value.toString('base64').replace(/=+$/, ''));
    }
  }
}

/** What a message that cannot be taken ends its call with. */
export interface Refusal {
  readonly code: StatusCode;
  readonly text: string;
}

/** The prefix announces more than we take. */
export function tooLarge(bytes: number, bytesMax: number): Refusal {
  return {
    code: StatusCode.ResourceExhausted,
    text: `grpc: received message larger than max (${bytes} vs. ${bytesMax})`,
  };
}

/** A received message as its own bytes, by its prefix's flag and the call's grpc-encoding. */
export function inflate(flag: number, bytes: Buffer, encoding: string, bytesMax: number): Buffer | Refusal {
  if (flag === 0) return bytes;
  if (flag !== 1) {
    return { code: StatusCode.Internal, text: `grpc: received unexpected payload format ${flag}` };
  }
  if (encoding !== 'gzip') {
    const text =
      encoding === '' || encoding === 'identity'
        ? 'grpc: compressed flag set with identity or empty encoding'
        : `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`;
    return {
      code: encoding === '' || encoding === 'identity' ? StatusCode.Internal : StatusCode.Unimplemented,
      text,
    };
  }
  try {
    return gunzipSync(bytes, { maxOutputLength: bytesMax });
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') {
      // The real size is not known: decompressing stopped at the bound.
      return {
        code: StatusCode.ResourceExhausted,
        text: `grpc: message after decompression larger than max ${bytesMax}`,
      };
    }
    const why = error instanceof Error ? error.message : String(error);
    return { code: StatusCode.Internal, text: `grpc: failed to decompress the received message: ${why}` };
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

/** Synchronous: messages of a call keep their order, and the sizes that use it are small. */
export function deflate(bytes: Buffer): Buffer {
  return gzipSync(bytes, { level: 1 });
}

/** Room taken for a message before any of it came. */
const FIRST_ROOM_BYTES = 4096;

/**
 * Puts a message together that came in pieces. Memory follows the bytes that came, not the length that was
 * announced: a lie about the length costs the liar as much as us.
 */
export class MessageReader {
  private readonly prefix = Buffer.alloc(PREFIX_BYTES);
  private prefixFilled = 0;
  private body: Buffer = Buffer.alloc(0);
  private filled = 0;
  /** The announced length; -1 before it is known. */
  length = -1;

  /** True between two messages. */
  get empty(): boolean {
    return this.prefixFilled === 0;
  }

  get flag(): number {
    return this.prefix[0];
  }

  /** Takes what belongs to the current message. @returns how many bytes that was */
  feed(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (this.prefixFilled < PREFIX_BYTES && at < end) this.prefix[this.prefixFilled++] = bytes[at++];
    if (this.prefixFilled < PREFIX_BYTES) return at - start;
    if (this.length < 0) this.length = readUint32(this.prefix, 1);
    const take = Math.min(end - at, this.length - this.filled);
    if (take > 0) {
      if (this.filled + take > this.body.length) this.grow(this.filled + take);
      bytes.copy(this.body, this.filled, at, at + take);
      this.filled += take;
    }
    return at + take - start;
  }

  /** True while the length is announced and above the bound. To be asked before the body is fed. */
  get complete(): boolean {
    return this.length >= 0 && this.filled === this.length;
  }

  /** The complete message; the reader is then ready for the next. */
  take(): Buffer {
    const message = this.body.subarray(0, this.filled);
    this.body = Buffer.alloc(0);
    this.filled = 0;
    this.prefixFilled = 0;
    this.length = -1;
    return message;
  }

  private grow(bytes: number): void {
    const room = Math.min(this.length, Math.max(bytes, this.body.length * 2, FIRST_ROOM_BYTES));
    const larger = Buffer.allocUnsafeSlow(room);
    this.body.copy(larger, 0, 0, this.filled);
    this.body = larger;
  }
}
