/** A collector of spans, as OpenTelemetry's protocol has it over gRPC: what it is sent, taken apart. */

import { MethodTable, nativeServer, type MethodDescriptor, type RpcServer } from '../src/index.ts';

/** A message as the wire has it, by field number: varints and fixed ones as bigints, the rest as bytes. */
export type Fields = ReadonlyMap<number, readonly (bigint | Buffer)[]>;

function fieldsOf(bytes: Buffer): Fields {
  const fields = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    let value: bigint | Buffer;
    if (tag % 8 === 0) value = varint();
    else {
      const length = tag % 8 === 2 ? Number(varint()) : tag % 8 === 1 ? 8 : 4;
      const part = bytes.subarray(at, at + length);
      if (part.length !== length) throw new Error('a field is cut short');
      at += length;
      value = tag % 8 === 2 ? part : tag % 8 === 1 ? part.readBigUInt64LE() : BigInt(part.readUInt32LE());
    }
    const field = Math.floor(tag / 8);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

const messages = (fields: Fields, field: number): Buffer[] =>
  (fields.get(field) ?? []).filter((value) => Buffer.isBuffer(value));
export const text = (fields: Fields, field: number): string => messages(fields, field).join('');
const hex = (fields: Fields, field: number): string =>
  messages(fields, field)
    .map((value) => value.toString('hex'))
    .join('');
export const int = (fields: Fields, field: number): bigint => {
  const [value] = fields.get(field) ?? [0n];
  return typeof value === 'bigint' ? value : -1n;
};

function attributesOf(fields: Fields, field: number): Record<string, unknown> {
  return Object.fromEntries(
    messages(fields, field).map((each) => {
      const pair = fieldsOf(each);
      const value = fieldsOf(messages(pair, 2)[0]);
      if (value.has(1)) return [text(pair, 1), text(value, 1)];
      return [text(pair, 1), value.has(2) ? int(value, 2) === 1n : Number(BigInt.asIntN(64, int(value, 3)))];
    }),
  );
}

export interface Seen {
  readonly resource: Record<string, unknown>;
  readonly traceId: string;
  readonly id: string;
  readonly parent: string;
  readonly state: string;
  readonly name: string;
  readonly kind: number;
  readonly tookMs: number;
  readonly sinceMs: number;
  readonly attributes: Record<string, unknown>;
  readonly events: readonly string[];
  readonly status: Fields | undefined;
}

export class Collector {
  readonly spans: Seen[] = [];
  readonly server: RpcServer;

  constructor() {
    const raw = { encode: (bytes: Buffer) => bytes, decode: (bytes: Uint8Array) => Buffer.from(bytes) };
    const method: MethodDescriptor<Buffer, Buffer> = {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      kind: 'unary',
      request: raw,
      response: raw,
    };
    const table = new MethodTable().unary(method, (request) => {
      this.take(request);
      return Buffer.alloc(0);
    });
    this.server = nativeServer(table, {});
  }

  async listen(): Promise<string> {
    const { port } = await this.server.listen({ host: '127.0.0.1', port: 0 });
    return `127.0.0.1:${port}`;
  }

  private take(request: Buffer): void {
    for (const ofResource of messages(fieldsOf(request), 1).map(fieldsOf)) {
      const resource = attributesOf(fieldsOf(messages(ofResource, 1)[0]), 1);
      for (const scoped of messages(ofResource, 2).map(fieldsOf))
        for (const span of messages(scoped, 2).map(fieldsOf)) this.spans.push(seen(resource, span));
    }
  }
}

function seen(resource: Record<string, unknown>, span: Fields): Seen {
  const [status] = messages(span, 15);
  return {
    resource,
    traceId: hex(span, 1),
    id: hex(span, 2),
    parent: hex(span, 4),
    state: text(span, 3),
    name: text(span, 5),
    kind: Number(int(span, 6)),
    sinceMs: Number(int(span, 7)) / 1e6,
    tookMs: Number(int(span, 8) - int(span, 7)) / 1e6,
    attributes: attributesOf(span, 9),
    events: messages(span, 11).map((event) => text(fieldsOf(event), 2)),
    status: status === undefined ? undefined : fieldsOf(status),
  };
}
