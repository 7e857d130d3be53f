/**
 * Header blocks as what they mean: the head of a request, of a response, of trailers. Here the rules of
 * RFC 9113 §8 (pseudo-headers, case, connection-specific fields) and of gRPC meet the fields; a head is
 * computed once for a block that comes again and again, so it is never changed. Texts are grpc-go's.
 */
import { isGrpcContentType, isReserved, parseTimeout, percentDecode } from './grpc.ts';
import type { HeaderBlock, HeaderDecoder } from './hpack.ts';
import { StatusCode, statusCodeFrom } from './status.ts';

/** A request that is answered by the transport itself. */
export interface EarlyAnswer {
  readonly httpStatus: string;
  readonly code: StatusCode;
  readonly text: string;
}

export interface RequestHead {
  /** What breaks RFC 9113: the stream is reset with PROTOCOL_ERROR. */
  readonly malformed: string | undefined;
  readonly refused: EarlyAnswer | undefined;
  readonly path: string;
  readonly timeoutMs: number | undefined;
  /** grpc-encoding; '' when absent. */
  readonly encoding: string;
  /** Whether answers may be compressed. */
  readonly acceptsGzip: boolean;
  /** The application's headers, name, value, … */
  readonly pairs: readonly string[];
  /** content-length; -1 when absent. */
  readonly contentLength: number;
}

export interface ResponseHead {
  readonly malformed: string | undefined;
  /** ':status'; undefined in trailers. */
  readonly status: string | undefined;
  readonly contentType: string | undefined;
  readonly encoding: string;
  /** grpc-status; undefined when absent. */
  readonly code: StatusCode | undefined;
  readonly message: string;
  readonly pairs: readonly string[];
  /** content-length; -1 when absent. */
  readonly contentLength: number;
}

/** §8.2.2: fields that speak of one connection. */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** §8.2.1: no NUL, LF or CR, and no space or tab at either end. */
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;

/** What a field owes for its name; undefined when it pays. */
function malformedField(name: string, value: string): string | undefined {
  if (CONNECTION_SPECIFIC.has(name)) return `field ${name}`;
  if (!NAME.test(name)) return 'a field name with characters it may not have';
  if (name === 'te' && value !== 'trailers') return 'te other than trailers';
  return undefined;
}

function malformedValue(name: string): string {
  return `field ${name} with NUL, CR, LF or space at an end`;
}

/**
 * §8.1.1: how many bytes of content there are to be. @returns the text of what is wrong; a second value that
 * differs from the one before is wrong, too
 */
function parseContentLength(value: string, before: number): number | string {
  if (!/^\d{1,15}$/.test(value)) return 'a content-length that is no number';
  const length = Number(value);
  return before >= 0 && before !== length ? 'two lengths of one content' : length;
}

export function requestHead(block: HeaderBlock): RequestHead {
  const pairs: string[] = [];
  let malformed: string | undefined;
  let method: string | undefined;
  let scheme: string | undefined;
  let path: string | undefined;
  let authority: string | undefined;
  let contentType = '';
  let timeout: number | string | undefined;
  let encoding = '';
  let acceptsGzip = false;
  let contentLength = -1;
  let hosts = 0;
  let regular = false;
  const fields = block.fields;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    if (BAD_VALUE.test(value)) malformed ??= malformedValue(name);
    if (name.charCodeAt(0) === 0x3a) {
      let twice = false;
      if (name === ':path') {
        twice = path !== undefined;
        path = value;
      } else if (name === ':method') {
        twice = method !== undefined;
        method = value;
      } else if (name === ':scheme') {
        twice = scheme !== undefined;
        scheme = value;
      } else if (name === ':authority') {
        twice = authority !== undefined;
        authority = value;
      } else {
        malformed ??= `pseudo-header ${name}`;
      }
      if (twice) malformed ??= `${name} twice`;
      if (regular) malformed ??= 'a pseudo-header behind a field';
      continue;
    }
    regular = true;
    if (name === 'content-type') contentType = value;
    else if (name === 'grpc-timeout') timeout = parseTimeout(value);
    else if (name === 'grpc-encoding') encoding = value;
    else if (name === 'grpc-accept-encoding')
      acceptsGzip = value.split(',').some((word) => word.trim() === 'gzip');
    else if (name === 'content-length') {
      const length = parseContentLength(value, contentLength);
      if (typeof length === 'string') malformed ??= length;
      else contentLength = length;
    } else {
      if (name === 'host' && ++hosts > 1) malformed ??= 'host twice';
      malformed ??= malformedField(name, value);
      if (!isReserved(name)) pairs.push(name, value);
    }
  }
  if (!block.excessive) malformed ??= malformedTarget(method, scheme, path, authority);
  return {
    malformed,
    refused:
      malformed === undefined ? refusal(block.excessive, method, contentType, timeout, encoding) : undefined,
    path: path ?? '',
    timeoutMs: typeof timeout === 'number' ? timeout : undefined,
    encoding,
    acceptsGzip,
    pairs,
    contentLength,
  };
}

/** §8.3.1, and §8.5 for CONNECT, which names an authority and nothing else. */
function malformedTarget(
  method: string | undefined,
  scheme: string | undefined,
  path: string | undefined,
  authority: string | undefined,
): string | undefined {
  if (method === 'CONNECT') {
    const whole = scheme === undefined && path === undefined && authority !== undefined;
    return whole ? undefined : 'CONNECT with a scheme or path, or without authority';
  }
  if (method === undefined || scheme === undefined || path === undefined || path === '')
    return 'a request without method, scheme or path';
  return undefined;
}

function refusal(
  excessive: boolean,
  method: string | undefined,
  contentType: string,
  timeout: number | string | undefined,
  encoding: string,
): EarlyAnswer | undefined {
  const code = StatusCode.Internal;
  if (excessive)
    return { httpStatus: '431', code: StatusCode.ResourceExhausted, text: 'header list too large' };
  if (!isGrpcContentType(contentType))
    return {
      httpStatus: '415',
      code,
      text: `invalid gRPC request content-type ${JSON.stringify(contentType)}`,
    };
  if (method !== 'POST') {
    const text = `Received a HEADERS frame with :method ${JSON.stringify(method)} which should be POST`;
    return { httpStatus: '405', code, text };
  }
  if (typeof timeout === 'string')
    return { httpStatus: '400', code, text: `malformed grpc-timeout: ${timeout}` };
  if (encoding !== '' && encoding !== 'identity' && encoding !== 'gzip') {
    const text = `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`;
    return { httpStatus: '200', code: StatusCode.Unimplemented, text };
  }
  return undefined;
}

/** Trailers of a request: they carry nothing gRPC knows, but must be well-formed (§8.1). */
export function malformedTrailers(block: HeaderBlock): string | undefined {
  for (let i = 0; i < block.fields.length; i += 2) {
    const name = block.fields[i];
    const value = block.fields[i + 1];
    if (name.startsWith(':')) return 'a pseudo-header in trailers';
    if (BAD_VALUE.test(value)) return malformedValue(name);
    const malformed = malformedField(name, value);
    if (malformed !== undefined) return malformed;
  }
  return undefined;
}

export function responseHead(block: HeaderBlock): ResponseHead {
  const pairs: string[] = [];
  let malformed: string | undefined = block.excessive ? 'header list too large' : undefined;
  let status: string | undefined;
  let contentType: string | undefined;
  let encoding = '';
  let code: StatusCode | undefined;
  let message = '';
  let contentLength = -1;
  for (let i = 0; i < block.fields.length; i += 2) {
    const name = block.fields[i];
    const value = block.fields[i + 1];
    if (BAD_VALUE.test(value)) malformed ??= malformedValue(name);
    if (name === ':status') {
      if (status !== undefined || i > 0) malformed ??= ':status twice or behind a field';
      status = value;
    } else if (name.startsWith(':')) malformed ??= `pseudo-header ${name}`;
    else if (name === 'content-type') contentType = value;
    else if (name === 'grpc-encoding') encoding = value;
    else if (name === 'grpc-status')
      code = /^\d{1,9}$/.test(value) ? statusCodeFrom(Number(value)) : StatusCode.Unknown;
    else if (name === 'grpc-message') message = percentDecode(value);
    else if (name === 'content-length') {
      const length = parseContentLength(value, contentLength);
      if (typeof length === 'string') malformed ??= length;
      else contentLength = length;
    } else {
      malformed ??= malformedField(name, value);
      if (!isReserved(name)) pairs.push(name, value);
    }
  }
  return { malformed, status, contentType, encoding, code, message, pairs, contentLength };
}

/** Blocks up to this size are remembered: a unary call's are a few bytes once both tables are warm. */
const REMEMBERED_BYTES = 256;
const REMEMBERED_COUNT = 256;
/** Blocks up to this size are also looked for among the latest two, byte by byte: cheaper than a native call. */
const LATEST_BYTES = 48;

/** A short block and what it meant. */
interface Latest<T> {
  readonly bytes: Uint8Array;
  length: number;
  head: T | undefined;
}

/**
 * Decodes blocks, and remembers what a block meant while the dynamic table stays as it was: a block that
 * does not change the table means the same each time. Most calls of a connection send one of few blocks; those
 * of the calls before, a request's or a response's and its trailers, are found without making a string.
 */
export class HeadReader<T> {
  private readonly decoder: HeaderDecoder;
  private readonly read: (block: HeaderBlock) => T;
  private readonly known = new Map<string, T>();
  private knownVersion = 0;
  private readonly latest: Latest<T>;
  private readonly other: Latest<T>;
  private otherIsNext = false;

  constructor(decoder: HeaderDecoder, read: (block: HeaderBlock) => T) {
    this.decoder = decoder;
    this.read = read;
    this.latest = { bytes: new Uint8Array(LATEST_BYTES), length: -1, head: undefined };
    this.other = { bytes: new Uint8Array(LATEST_BYTES), length: -1, head: undefined };
  }

  /** @throws ConnectionError CompressionError */
  head(bytes: Buffer, start: number, end: number): T {
    const version = this.decoder.version;
    if (this.knownVersion !== version) {
      this.known.clear();
      this.latest.length = -1;
      this.other.length = -1;
      this.knownVersion = version;
    }
    if (end - start > LATEST_BYTES) return this.long(bytes, start, end, version);
    const latest = same(this.latest, bytes, start, end) ?? same(this.other, bytes, start, end);
    if (latest !== undefined) return latest;
    const head = this.long(bytes, start, end, version);
    if (this.decoder.version === version) this.keep(head, bytes, start, end);
    return head;
  }

  private long(bytes: Buffer, start: number, end: number, version: number): T {
    const key = end - start <= REMEMBERED_BYTES ? bytes.toString('latin1', start, end) : undefined;
    if (key !== undefined && this.known.size > 0) {
      const known = this.known.get(key);
      if (known !== undefined) return known;
    }
    const head = this.read(this.decoder.decode(bytes, start, end));
    if (key !== undefined && this.decoder.version === version) {
      if (this.known.size >= REMEMBERED_COUNT) this.known.clear();
      this.known.set(key, head);
    }
    return head;
  }

  private keep(head: T, bytes: Buffer, start: number, end: number): void {
    const place = this.otherIsNext ? this.other : this.latest;
    this.otherIsNext = !this.otherIsNext;
    for (let i = start; i < end; i++) place.bytes[i - start] = bytes[i];
    place.length = end - start;
    place.head = head;
  }
}

function same<T>(latest: Latest<T>, bytes: Buffer, start: number, end: number): T | undefined {
  if (latest.length !== end - start) return undefined;
  for (let i = start; i < end; i++) if (latest.bytes[i - start] !== bytes[i]) return undefined;
  return latest.head;
}
