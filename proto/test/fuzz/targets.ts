/**
 * Fuzz targets of the generated decoders, every message of every .proto file: alone against their own encoders, which
 * is fast, and against two codecs that share nothing with them, the dumb twin and protobufjs.
 */
// oxlint-disable typescript/no-unsafe-type-assertion -- the tests look into messages by name, where types end
import protobuf from 'protobufjs';
import { Mutator } from '../../../packages/base/test/fuzz/mutator.ts';
import { promiseSame, type Execution, type FuzzTarget } from '../../../packages/base/test/fuzz/target.ts';
import { ProtoError } from '../../gen/index.ts';
import { loadRoot, type FieldModel, type MessageModel } from '../../generator/model.ts';
import { canonical, messageOf, messages, type GeneratedMessage } from '../codecs.ts';
import { Refusal, referenceDecode } from '../reference-decoder.ts';
import { WireMaker } from './wire-maker.ts';

const all: readonly GeneratedMessage[] = [...messages.values()];

/** What was accepted has one meaning: its encoding reads as itself. */
function accepted(message: GeneratedMessage, bytes: Buffer): Buffer | string {
  let value: object;
  try {
    value = message.decode(bytes);
  } catch (error) {
    if (error instanceof ProtoError) return error.code;
    throw error;
  }
  const once = message.encode(value);
  const twice = message.encode(message.decode(once));
  if (!once.equals(twice))
    promiseSame(
      `${message.model.fullName} of ${bytes.toString('hex')}`,
      twice.toString('hex'),
      once.toString('hex'),
    );
  return once;
}

function openFast(): Execution {
  const maker = new WireMaker(8);
  const mutator = new Mutator([Buffer.alloc(0)]);
  return (prng) => {
    const message = prng.pick(all);
    let bytes = maker.make(prng, message.model);
    if (prng.below(4) === 0) bytes = mutator.of(prng, bytes);
    const result = accepted(message, bytes);
    return typeof result === 'string' ? result : 'accepted';
  };
}

function openTwin(): Execution {
  const maker = new WireMaker(10);
  const mutator = new Mutator([Buffer.alloc(0)]);
  return (prng) => {
    const message = prng.pick(all);
    let bytes = maker.make(prng, message.model);
    if (prng.below(4) === 0) bytes = mutator.of(prng, bytes);
    const got = textOf(message, () => message.decode(bytes));
    const want = textOf(message, () => referenceDecode(message.model, bytes));
    promiseSame(`${message.model.fullName} of ${bytes.toString('hex')}`, got, want);
    return got.startsWith('{') ? 'accepted' : got;
  };
}

function textOf(message: GeneratedMessage, decode: () => object): string {
  try {
    return canonical(message.model, decode());
  } catch (error) {
    if (error instanceof ProtoError) return error.code;
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** Requests, as the API's services name them. */
const requests = all.filter(
  ({ model }) => model.fullName.endsWith('Request') || model.fullName.endsWith('RequestOp'),
);

function openProtobufjs(): Execution {
  const root = loadRoot();
  const types = new Map(requests.map(({ model }) => [model.fullName, root.lookupType(model.fullName)]));
  const maker = new WireMaker(0);
  return (prng) => {
    const message = prng.pick(requests);
    // As the encoder writes it: protobufjs replaces a message that comes twice where every other codec merges.
    const decoded = textAndValue(message, maker.make(prng, message.model));
    const bytes = message.encode(decoded);
    const theirs = types.get(message.model.fullName)!.decode(bytes);
    promiseSame(
      `${message.model.fullName} of ${bytes.toString('hex')}`,
      canonical(message.model, message.decode(bytes)),
      canonical(message.model, fromOracle(message.model, theirs)),
    );
    return 'accepted';
  };
}

function textAndValue(message: GeneratedMessage, bytes: Buffer): object {
  return message.decode(bytes);
}

/** Their message as one of ours. */
function fromOracle(model: MessageModel, value: protobuf.Message): object {
  const out: Record<string, unknown> = {};
  const source = value as unknown as Record<string, unknown>;
  for (const field of model.fields) {
    const given = Object.hasOwn(source, field.name) ? source[field.name] : undefined;
    if (Array.isArray(given)) out[field.property] = given.map((item) => one(field, item));
    else if (given !== undefined && given !== null) out[field.property] = one(field, given);
  }
  return messageOf(model.fullName).create(out);
}

function one(field: FieldModel, item: unknown): unknown {
  const { type } = field;
  if (type.is === 'message') return fromOracle(messageOf(type.fullName).model, item as protobuf.Message);
  if (item instanceof Uint8Array) return Buffer.from(item);
  if (type.is !== 'scalar' || type.kind === undefined) return item;
  const whole = BigInt(String(item));
  if (type.kind === 'id') return whole;
  const most = 2n ** 53n - 1n;
  return Number(whole > most ? most : whole < -most ? -most : whole);
}

export const protoTargets: readonly FuzzTarget[] = [
  {
    name: 'protobuf',
    gateExecutions: 60_000,
    outcomes: ['accepted', 'TRUNCATED', 'VARINT', 'FIELD_NUMBER', 'WIRE_TYPE', 'GROUP', 'UTF8'],
    open: openFast,
  },
  {
    name: 'protobuf-twin',
    gateExecutions: 6_000,
    outcomes: ['accepted', 'TRUNCATED', 'UTF8'],
    open: openTwin,
  },
  { name: 'protobuf-protobufjs', gateExecutions: 4_000, outcomes: ['accepted'], open: openProtobufjs },
];
