/**
 * OpenAPI documents as protobuf, in gnostic's messages: what client-go asks for where it wants version 2. The tables of
 * gnostic-messages.ts say which member goes into which field; here is the one walk over the JSON.
 *
 * Members that begin with `x-` are vendor extensions, written as YAML text as gnostic does; ours is YAML's JSON form.
 * A member that the table lacks stops it: to leave it out would lose it in silence.
 */

import { assert } from '@keelson/base';

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { BYTES, FIXED64, ProtobufWriter, VARINT } from '../codec/protobuf-wire.ts';
import {
  MESSAGES_V2,
  MESSAGES_V3,
  type MemberKind,
  type Message,
  type Messages,
} from './gnostic-messages.ts';

export class Gnostic {
  private readonly messages: Messages;

  constructor(version: 'v2' | 'v3') {
    this.messages = version === 'v2' ? MESSAGES_V2 : MESSAGES_V3;
  }

  /** A member of the document, with its tag. */
  member(name: string, value: Json): Buffer {
    const writer = new ProtobufWriter(256);
    const [field, kind] = this.memberOf('Document', name);
    this.value(writer, field, kind, value);
    return writer.finish();
  }

  /** One entry of an object with free names, `{1 name, 2 value}`, with the tag of the field that repeats it. */
  entry(message: string, field: number, name: string, value: JsonObject): Buffer {
    const writer = new ProtobufWriter(1024);
    this.named(writer, message, field, name, value);
    return writer.finish();
  }

  /** What stands before a message that is put together from parts. */
  static header(field: number, size: number): Buffer {
    const writer = new ProtobufWriter(16);
    writer.varint(size);
    writer.tag(field, BYTES);
    return writer.finish();
  }

  private memberOf(message: string, name: string): readonly [number, MemberKind] {
    const member = this.messages[message]?.members[name];
    assert(member !== undefined, `no field for ${name} in ${message}`);
    return member;
  }

  private messageOf(name: string): Message {
    const message = this.messages[name];
    assert(message !== undefined, `no message ${name}`);
    return message;
  }

  /** Everything is written from its end: the members in reverse, contents before their tags. */
  private message(writer: ProtobufWriter, name: string, value: Json): void {
    const message = this.messageOf(name);
    const { box, choose, extensions, free } = message;
    if (box !== undefined) {
      for (const item of boxed(box, value)) this.value(writer, 1, box, item);
      return;
    }
    if (typeof value === 'boolean' && message.flag !== undefined) {
      writer.varint(value ? 1 : 0);
      writer.tag(message.flag, VARINT);
      return;
    }
    assert(isJsonObject(value), `a ${name} is an object`);
    if (choose !== undefined) {
      const [field, chosen] = choose(value);
      this.submessage(writer, field, chosen, value);
      return;
    }
    for (const member of Object.keys(value).toReversed()) {
      const inner = value[member];
      if (free !== undefined) {
        this.named(writer, free, 1, member, inner);
      } else if (member.startsWith('x-')) {
        assert(extensions > 0, `a ${name} has no extensions`);
        this.extension(writer, extensions, member, inner);
      } else {
        const [field, kind] = this.memberOf(name, member);
        this.value(writer, field, kind, inner);
      }
    }
  }

  private submessage(writer: ProtobufWriter, field: number, name: string, value: Json): void {
    const end = writer.size;
    this.message(writer, name, value);
    writer.varint(writer.size - end);
    writer.tag(field, BYTES);
  }

  private value(writer: ProtobufWriter, field: number, kind: MemberKind, value: Json): void {
    if (typeof kind !== 'string') {
      this.structured(writer, field, kind, value);
      return;
    }
    switch (kind) {
      case 'text':
        text(writer, field, value);
        return;
      case 'texts':
        for (const item of list(value).toReversed()) text(writer, field, item);
        return;
      case 'flag':
        if (value === true) truth(writer, field);
        return;
      case 'number':
        assert(typeof value === 'number', 'a number was expected');
        writer.double(value);
        writer.tag(field, FIXED64);
        return;
      case 'count':
        assert(typeof value === 'number', 'a whole number was expected');
        writer.varint(value);
        writer.tag(field, VARINT);
        return;
      case 'any':
        anything(writer, field, value);
        return;
      case 'anys':
        for (const item of list(value).toReversed()) anything(writer, field, item);
        return;
      case 'plain':
        plain(writer, field, value);
    }
  }

  private structured(
    writer: ProtobufWriter,
    field: number,
    kind: Exclude<MemberKind, string>,
    value: Json,
  ): void {
    if ('message' in kind) {
      this.submessage(writer, field, kind.message, value);
    } else if ('messages' in kind) {
      for (const item of list(value).toReversed()) this.submessage(writer, field, kind.messages, item);
    } else {
      assert(isJsonObject(value), 'what has free names is an object');
      const end = writer.size;
      for (const name of Object.keys(value).toReversed()) {
        this.named(writer, kind.named, kind.field, name, value[name]);
      }
      writer.varint(writer.size - end);
      writer.tag(field, BYTES);
    }
  }

  private named(writer: ProtobufWriter, message: string, field: number, name: string, value: Json): void {
    const end = writer.size;
    this.submessage(writer, 2, message, value);
    text(writer, 1, name);
    writer.varint(writer.size - end);
    writer.tag(field, BYTES);
  }

  private extension(writer: ProtobufWriter, field: number, name: string, value: Json): void {
    const end = writer.size;
    anything(writer, 2, value);
    text(writer, 1, name);
    writer.varint(writer.size - end);
    writer.tag(field, BYTES);
  }
}

/** What lies in a box: each item of a list in a field of its own, unless the field takes lists as they are. */
function boxed(box: MemberKind, value: Json): readonly Json[] {
  return Array.isArray(value) && box !== 'texts' ? value.toReversed() : [value];
}

function list(value: Json): readonly Json[] {
  assert(Array.isArray(value), 'a list was expected');
  return value;
}

function text(writer: ProtobufWriter, field: number, value: Json): void {
  assert(typeof value === 'string', 'a text was expected');
  writer.string(value);
  writer.tag(field, BYTES);
}

function truth(writer: ProtobufWriter, field: number): void {
  writer.varint(1);
  writer.tag(field, VARINT);
}

/** gnostic's Any: {2 yaml}. */
function anything(writer: ProtobufWriter, field: number, value: Json): void {
  const end = writer.size;
  text(writer, 2, `${JSON.stringify(value)}\n`);
  writer.varint(writer.size - end);
  writer.tag(field, BYTES);
}

/** gnostic's DefaultType: {1 number, 2 boolean, 3 string}. */
function plain(writer: ProtobufWriter, field: number, value: Json): void {
  const end = writer.size;
  if (typeof value === 'number') {
    writer.double(value);
    writer.tag(1, FIXED64);
  } else if (typeof value === 'boolean') {
    writer.varint(value ? 1 : 0);
    writer.tag(2, VARINT);
  } else if (typeof value === 'string') {
    text(writer, 3, value);
  } else {
    return;
  }
  writer.varint(writer.size - end);
  writer.tag(field, BYTES);
}
