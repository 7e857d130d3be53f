/**
 * Spans as OpenTelemetry's protocol carries them: the request of TraceService.Export in protobuf, field numbers from
 * opentelemetry-proto 1 (trace.proto, common.proto, resource.proto, trace_service.proto). Written only; the one thing
 * read is how many spans the collector refused. Each message is written whole before the one around it: a batch is
 * some hundred small messages a second at most, and needs no better.
 */
import type { MethodDescriptor } from '../method-table.ts';
import type { Attribute, AttributeValue, Span, SpanEvent } from './span.ts';

/** Whose spans they are. */
export interface Resource {
  readonly serviceName: string;
  /** "" for none. */
  readonly instanceId: string;
  /** Which program recorded them, and its version. */
  readonly scope: string;
  readonly scopeVersion: string;
}

export interface ExportAnswer {
  readonly rejectedSpans: number;
}

export interface Batch {
  readonly resource: Resource;
  readonly spans: readonly Span[];
}

export const EXPORT: MethodDescriptor<Batch, ExportAnswer> = {
  path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  kind: 'unary',
  request: { encode: encodeBatch, decode: () => unreadable() },
  response: { encode: () => unreadable(), decode: decodeAnswer },
};

function unreadable(): never {
  throw new TypeError('only a collector reads batches and writes answers');
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;
const STATUS_ERROR = 2;
/** In the flags of a span: it is sampled. */
const FLAG_SAMPLED = 1;
/** In the flags of a span: whether its parent is in another process is known. */
const FLAG_REMOTE_KNOWN = 0x100;
const FLAG_REMOTE = 0x200;

/** A message's fields, in the order they are put. */
class Fields {
  private readonly pieces: Buffer[] = [];

  bytes(field: number, value: Buffer): this {
    this.pieces.push(varint(field * 8 + DELIMITED), varint(value.length), value);
    return this;
  }

  text(field: number, value: string): this {
    return value === '' ? this : this.bytes(field, Buffer.from(value, 'utf8'));
  }

  message(field: number, value: Fields): this {
    return this.bytes(field, value.encoded());
  }

  /** A plain number, or an int64 in two's complement. */
  varint(field: number, value: number | bigint): this {
    this.pieces.push(varint(field * 8 + VARINT), wideVarint(BigInt.asUintN(64, BigInt(value))));
    return this;
  }

  fixed64(field: number, value: bigint): this {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigUInt64LE(value);
    this.pieces.push(varint(field * 8 + FIXED64), bytes);
    return this;
  }

  fixed32(field: number, value: number): this {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32LE(value);
    this.pieces.push(varint(field * 8 + FIXED32), bytes);
    return this;
  }

  encoded(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

/** Tags and lengths. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function wideVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function encodeBatch({ resource, spans }: Batch): Buffer {
  const ofResource = new Fields().message(1, keyValue({ key: 'service.name', value: resource.serviceName }));
  if (resource.instanceId !== '')
    ofResource.message(1, keyValue({ key: 'service.instance.id', value: resource.instanceId }));
  const scoped = new Fields().message(1, new Fields().text(1, resource.scope).text(2, resource.scopeVersion));
  for (const span of spans) scoped.message(2, spanFields(span));
  return new Fields().message(1, new Fields().message(1, ofResource).message(2, scoped)).encoded();
}

function spanFields(span: Span): Fields {
  const { start } = span;
  const fields = new Fields()
    .bytes(1, Buffer.from(start.traceId, 'hex'))
    .bytes(2, Buffer.from(start.spanId, 'hex'))
    .text(3, start.state);
  if (start.parentId !== '') fields.bytes(4, Buffer.from(start.parentId, 'hex'));
  fields
    .text(5, start.name)
    .varint(6, start.kind)
    .fixed64(7, nanoseconds(start.epochMs, start.startMs))
    .fixed64(8, nanoseconds(start.epochMs, span.endMs ?? start.startMs));
  for (const attribute of span.attributes) fields.message(9, keyValue(attribute));
  for (const event of span.events) fields.message(11, eventFields(start.epochMs, event));
  if (span.errorText !== undefined)
    fields.message(15, new Fields().text(2, span.errorText).varint(3, STATUS_ERROR));
  return fields.fixed32(16, FLAG_SAMPLED | FLAG_REMOTE_KNOWN | (start.remote ? FLAG_REMOTE : 0));
}

function eventFields(epochMs: number, { name, atMs, attributes }: SpanEvent): Fields {
  const fields = new Fields().fixed64(1, nanoseconds(epochMs, atMs)).text(2, name);
  for (const attribute of attributes) fields.message(3, keyValue(attribute));
  return fields;
}

function keyValue({ key, value }: Attribute): Fields {
  return new Fields().text(1, key).message(2, anyValue(value));
}

/** A oneof: the member is written also where it is zero or empty. */
function anyValue(value: AttributeValue): Fields {
  const fields = new Fields();
  if (typeof value === 'string') return fields.bytes(1, Buffer.from(value, 'utf8'));
  return typeof value === 'boolean' ? fields.varint(2, value ? 1 : 0) : fields.varint(3, value);
}

/** Since 1970; what a double knows of it: microseconds. */
function nanoseconds(epochMs: number, monotonicMs: number): bigint {
  return BigInt(Math.round((epochMs + monotonicMs) * 1_000)) * 1_000n;
}

const PARTIAL_SUCCESS = 1 * 8 + DELIMITED;
const REJECTED_SPANS = 1 * 8 + VARINT;

/** ExportTraceServiceResponse{ partial_success{ rejected_spans } }; anything else in it is passed over. */
function decodeAnswer(bytes: Uint8Array): ExportAnswer {
  const partial = fieldsOf(bytes).get(PARTIAL_SUCCESS);
  const rejected = partial instanceof Uint8Array ? fieldsOf(partial).get(REJECTED_SPANS) : undefined;
  return { rejectedSpans: typeof rejected === 'number' ? rejected : 0 };
}

/** Varints and delimited fields by tag, the last of each; what follows something else is not looked at. */
function fieldsOf(bytes: Uint8Array): Map<number, number | Uint8Array> {
  const fields = new Map<number, number | Uint8Array>();
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let shift = 1; at < bytes.length; shift *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const tag = next();
    const value = next();
    if (tag % 8 === VARINT) fields.set(tag, value);
    else if (tag % 8 === DELIMITED) {
      fields.set(tag, bytes.subarray(at, at + value));
      at += value;
    } else break;
  }
  return fields;
}
