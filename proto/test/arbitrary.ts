/** Random messages from the model: edge values as often as plain ones, every field absent half of the time. */
import * as fc from 'fast-check';
import type { FieldModel, MessageModel } from '../generator/model.ts';
import { messageOf } from './codecs.ts';

const COUNT_EDGES = [0, 1, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 35]
  .concat([2 ** 42, 2 ** 49 - 1, 2 ** 49, Number.MAX_SAFE_INTEGER]); // prettier-ignore

const ID_EDGES = [0n, 1n, 127n, 128n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n]
  .concat([2n ** 56n - 1n, 2n ** 56n, 2n ** 62n, 2n ** 63n - 1n]); // prettier-ignore

const bytes = fc
  .oneof(
    { weight: 4, arbitrary: fc.uint8Array({ maxLength: 30 }) },
    fc.uint8Array({ minLength: 120, maxLength: 300 }),
  )
  .map((array) => Buffer.from(array));

const strings = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme-ascii', minLength: 100, maxLength: 200 }),
);

function valueArbitrary(field: FieldModel, depth: number): fc.Arbitrary<unknown> {
  const { type } = field;
  if (type.is === 'message') return messageArbitrary(messageOf(type.fullName).model, depth - 1);
  if (type.is === 'enum') return fc.oneof(fc.nat(25), fc.integer());
  switch (type.scalar) {
    case 'bool':
      return fc.boolean();
    case 'string':
      return strings;
    case 'bytes':
      return bytes;
    case 'int32':
      return fc.integer();
    case 'uint32':
      return fc.oneof(fc.nat(300), fc.nat(0xffff_ffff));
    case 'int64':
    case 'uint64':
      return integerArbitrary(type.scalar === 'int64', type.kind === 'id');
    default:
      throw new Error('a scalar without values');
  }
}

function integerArbitrary(signed: boolean, id: boolean): fc.Arbitrary<unknown> {
  if (id) {
    const negative = [...ID_EDGES.map((edge) => -edge), -(2n ** 63n)];
    const edges = [...ID_EDGES, ...(signed ? negative : [2n ** 63n, 2n ** 64n - 1n])];
    const all = signed ? fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) : fc.bigInt(0n, 2n ** 64n - 1n);
    return fc.oneof(fc.constantFrom(...edges), all);
  }
  const edges = signed ? [...COUNT_EDGES, ...COUNT_EDGES.map((edge) => 0 - edge)] : COUNT_EDGES;
  return fc.oneof(fc.constantFrom(...edges), signed ? fc.maxSafeInteger() : fc.maxSafeNat());
}

/** Messages of one type, with at most `depth` levels of messages within. */
export function messageArbitrary(message: MessageModel, depth: number): fc.Arbitrary<object> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of message.fields) {
    if (field.type.is === 'message' && depth === 0) continue;
    const one = valueArbitrary(field, depth);
    fields[field.property] = field.repeated ? fc.array(one, { maxLength: 3 }) : one;
  }
  const { create } = messageOf(message.fullName);
  return fc.record(fields, { requiredKeys: [] }).map((init) => create(oneOfEach(message, init)));
}

/** Keeps the first set member of each oneof. */
function oneOfEach(message: MessageModel, init: object): object {
  const taken = new Set<string>();
  const dropped = new Set<string>();
  for (const field of message.fields) {
    if (field.oneof === undefined || !(field.property in init)) continue;
    if (taken.has(field.oneof)) dropped.add(field.property);
    taken.add(field.oneof);
  }
  return Object.fromEntries(Object.entries(init).filter(([property]) => !dropped.has(property)));
}
