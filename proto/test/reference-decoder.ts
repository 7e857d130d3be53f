/**
 * The dumb twin of the generated decoders: interprets the model over bigints, one rule of the wire format
 * after the other, slow and plain. What it returns or refuses, the generated decoders must as well.
 */
// oxlint-disable typescript/no-unsafe-type-assertion -- the tests look into messages by name, where types end
import { isUtf8 } from 'node:buffer';
import type { FieldModel, MessageModel } from '../generator/model.ts';
import { messageOf } from './codecs.ts';

/** A refusal, by the code ProtoError would carry. */
export class Refusal extends Error {}

type Plain = Record<string, unknown>;

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

export function referenceDecode(message: MessageModel, bytes: Uint8Array, depthMax = 100): Plain {
  return merge(message, {}, bytes, 1, depthMax);
}

function merge(
  message: MessageModel,
  target: Plain,
  bytes: Uint8Array,
  depth: number,
  depthMax: number,
): Plain {
  if (depth > depthMax) throw new Refusal('DEPTH');
  for (const field of message.fields) target[field.property] ??= initial(field);
  const cursor: Cursor = { bytes, at: 0 };
  while (cursor.at < bytes.length) {
    const [number, wire] = tag(cursor);
    const field = message.fields.find((candidate) => candidate.number === number);
    const own = field === undefined ? undefined : wireType(field);
    if (field !== undefined && wire === own) {
      if (field.type.is === 'message' && depth + 1 > depthMax) throw new Refusal('DEPTH');
      for (const other of message.fields) {
        if (field.oneof !== undefined && other.oneof === field.oneof && other !== field) {
          target[other.property] = undefined;
        }
      }
      if (field.type.is === 'message') {
        const inner = messageOf(field.type.fullName).model;
        const content = delimited(cursor);
        if (field.repeated)
          (target[field.property] as Plain[]).push(merge(inner, {}, content, depth + 1, depthMax));
        else
          target[field.property] = merge(
            inner,
            (target[field.property] ?? {}) as Plain,
            content,
            depth + 1,
            depthMax,
          );
      } else if (field.repeated) (target[field.property] as unknown[]).push(scalar(field, cursor));
      else target[field.property] = scalar(field, cursor);
    } else if (field?.repeated === true && own === 0 && wire === 2) {
      const content: Cursor = { bytes: delimited(cursor), at: 0 };
      while (content.at < content.bytes.length)
        (target[field.property] as unknown[]).push(scalar(field, content));
    } else skip(cursor, number, wire, depth, depthMax);
  }
  return target;
}

function initial(field: FieldModel): unknown {
  if (field.repeated) return [];
  if (field.presence === 'explicit') return undefined;
  const { type } = field;
  if (type.is === 'message') return merge(messageOf(type.fullName).model, {}, new Uint8Array(), 1, 100);
  if (type.is === 'enum') return 0;
  if (type.scalar === 'bool') return false;
  if (type.scalar === 'string') return '';
  if (type.scalar === 'bytes') return Buffer.alloc(0);
  return type.kind === 'id' ? 0n : 0;
}

function wireType(field: FieldModel): number {
  const { type } = field;
  return type.is === 'message' || (type.is === 'scalar' && /^(bytes|string)$/.test(type.scalar)) ? 2 : 0;
}

function scalar(field: FieldModel, cursor: Cursor): unknown {
  const { type } = field;
  if (type.is === 'scalar' && type.scalar === 'bytes') return Buffer.from(delimited(cursor));
  if (type.is === 'scalar' && type.scalar === 'string') {
    const content = delimited(cursor);
    if (!isUtf8(content)) throw new Refusal('UTF8');
    return Buffer.from(content).toString('utf8');
  }
  const value = varint(cursor);
  if (type.is !== 'scalar' || type.scalar === 'int32') return Number(BigInt.asIntN(32, value));
  if (type.scalar === 'bool') return value !== 0n;
  if (type.scalar === 'uint32') return Number(BigInt.asUintN(32, value));
  const whole = type.scalar === 'int64' ? BigInt.asIntN(64, value) : value;
  if (type.kind === 'id') return whole;
  const most = 2n ** 53n - 1n;
  return Number(whole > most ? most : whole < -most ? -most : whole);
}

function varint(cursor: Cursor): bigint {
  let value = 0n;
  for (let i = 0n; ; i++) {
    if (cursor.at >= cursor.bytes.length) throw new Refusal('TRUNCATED');
    const byte = cursor.bytes[cursor.at++];
    if (i === 9n && byte > 1) throw new Refusal('VARINT');
    value |= BigInt(byte & 0x7f) << (7n * i);
    if (byte < 0x80) return value;
  }
}

function tag(cursor: Cursor): [number: number, wire: number] {
  const value = varint(cursor);
  const number = value >> 3n;
  if (number < 1n || number >= 2n ** 29n) throw new Refusal('FIELD_NUMBER');
  return [Number(number), Number(value & 7n)];
}

function take(cursor: Cursor, count: bigint): Uint8Array {
  if (count > BigInt(cursor.bytes.length - cursor.at)) throw new Refusal('TRUNCATED');
  const from = cursor.at;
  cursor.at += Number(count);
  return cursor.bytes.subarray(from, cursor.at);
}

function delimited(cursor: Cursor): Uint8Array {
  return take(cursor, varint(cursor));
}

function skip(cursor: Cursor, number: number, wire: number, depth: number, depthMax: number): void {
  if (wire === 0) varint(cursor);
  else if (wire === 1) take(cursor, 8n);
  else if (wire === 2) delimited(cursor);
  else if (wire === 5) take(cursor, 4n);
  else if (wire === 4) throw new Refusal('GROUP');
  else if (wire !== 3) throw new Refusal('WIRE_TYPE');
  else {
    if (depth + 1 > depthMax) throw new Refusal('DEPTH');
    for (;;) {
      if (cursor.at >= cursor.bytes.length) throw new Refusal('TRUNCATED');
      const [innerNumber, innerWire] = tag(cursor);
      if (innerWire === 4) {
        if (innerNumber !== number) throw new Refusal('GROUP');
        return;
      }
      skip(cursor, innerNumber, innerWire, depth + 1, depthMax);
    }
  }
}
