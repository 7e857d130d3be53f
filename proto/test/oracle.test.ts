/** Every message, random, against protobufjs built from the same .proto files: byte for byte, and back. */
// oxlint-disable typescript/no-unsafe-type-assertion -- the tests look into messages by name, where types end
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import protobuf from 'protobufjs';
import { loadRoot, type MessageModel } from '../generator/model.ts';
import { messageArbitrary } from './arbitrary.ts';
import { canonical, messageOf, messages } from './codecs.ts';

const RUNS = 40;
const DEPTH = 3;
/** Unknown fields go first, in the middle and last: below, between and above etcd's numbers. */
const UNKNOWN_NUMBERS = [90, 999, 9901, 536_870_911];

interface LongStatic {
  fromString(text: string, unsigned: boolean): object;
}
/** protobufjs's own 64-bit integers; its types leave the static side out. */
const Long = protobuf.util.Long as unknown as LongStatic;

const root = loadRoot();
const strangers = withUnknownFields(loadRoot());

/** The protobufjs message that says the same, present fields only. */
function toOracle(
  from: protobuf.Root,
  message: MessageModel,
  value: object,
  extra: object,
): protobuf.Message {
  const properties: Record<string, unknown> = { ...extra };
  for (const field of message.fields) {
    const given = (value as Record<string, unknown>)[field.property];
    const { type } = field;
    const one = (item: unknown): unknown => {
      if (type.is === 'message') return toOracle(from, messageOf(type.fullName).model, item as object, extra);
      if (type.is === 'scalar' && type.kind !== undefined) {
        return Long.fromString(String(item), type.scalar === 'uint64');
      }
      return item;
    };
    if (Array.isArray(given)) {
      if (given.length > 0) properties[field.name] = given.map(one);
    } else if (given !== undefined && !(field.presence === 'implicit' && isZero(given))) {
      properties[field.name] = one(given);
    }
  }
  return from.lookupType(message.fullName).create(properties);
}

function isZero(value: unknown): boolean {
  return Buffer.isBuffer(value)
    ? value.length === 0
    : value === 0 || value === 0n || value === false || value === '';
}

/** Adds one field of each wire type to every message. */
function withUnknownFields(target: protobuf.Root): protobuf.Root {
  const types = ['fixed64', 'string', 'fixed32', 'sint64'];
  for (const fullName of messages.keys()) {
    const type = target.lookupType(fullName);
    UNKNOWN_NUMBERS.forEach((number, i) => type.add(new protobuf.Field(`unknown${i}`, number, types[i])));
  }
  return target;
}

test('every message of every .proto file is generated', () => {
  expect(messages.size).toBeGreaterThan(130);
});

describe.each([...messages.keys()])('%s', (fullName) => {
  const { model, encode, decode } = messageOf(fullName);
  const type = root.lookupType(fullName);
  const arbitrary = messageArbitrary(model, DEPTH);

  test('encodes as protobufjs does, and decodes what it encodes', () => {
    fc.assert(
      fc.property(arbitrary, (message) => {
        const want = Buffer.from(type.encode(toOracle(root, model, message, {})).finish());
        expect(encode(message).toString('hex')).toBe(want.toString('hex'));
        expect(canonical(model, decode(want))).toBe(canonical(model, message));
      }),
      { numRuns: RUNS },
    );
  });

  test('skips unknown fields at every level', () => {
    const stranger = strangers.lookupType(fullName);
    const extra = fc.record({
      unknown0: fc.integer(),
      unknown1: fc.string(),
      unknown2: fc.nat(),
      unknown3: fc.integer(),
    });
    fc.assert(
      fc.property(arbitrary, extra, (message, fields) => {
        const bytes = stranger.encode(toOracle(strangers, model, message, fields)).finish();
        expect(canonical(model, decode(bytes))).toBe(canonical(model, message));
      }),
      { numRuns: RUNS / 2 },
    );
  });
});
