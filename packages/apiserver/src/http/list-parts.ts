/**
 * A long list as bytes, of parts that are lists themselves: each is encoded by itself, and what they have in common is
 * sent once. So encoding never takes longer than one part does, and JSON leaves before the last part is made.
 */

import { assert } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { envelopeAround, readEnvelope } from '../codec/envelope.ts';
import type { ObjectCodec } from '../codec/object-codec.ts';

/** Every list ends so: its items, or rows, are its last member. */
const END = Buffer.from(']}\n');
const COMMA = Buffer.from(',');

/** @param head the list without an item, whose JSON all parts begin with */
export async function* jsonList(
  codec: ObjectCodec,
  head: KubeObject,
  parts: AsyncIterable<KubeObject>,
): AsyncGenerator<Buffer, void> {
  const empty = codec.json(head);
  const start = empty.subarray(0, empty.length - END.length);
  let before: Buffer = start;
  for await (const part of parts) {
    const whole = codec.json(part);
    assert(whole.compare(start, 0, start.length, 0, start.length) === 0, 'parts of a list begin alike');
    const items = whole.subarray(start.length, whole.length - END.length);
    if (items.length === 0) continue;
    yield Buffer.concat([before, items]);
    before = COMMA;
  }
  yield before === start ? empty : END;
}

/**
 * The length of a message stands before it, so that the first byte waits for the last part.
 *
 * @param start the message of the list without an item, which all parts begin with
 */
export async function* protobufList(
  codec: ObjectCodec,
  { apiVersion, kind }: KubeObject,
  start: Buffer,
  parts: AsyncIterable<KubeObject>,
): AsyncGenerator<Buffer, void> {
  const made: Buffer[] = [start];
  let size = start.length;
  for await (const part of parts) {
    const envelope = codec.envelope(part);
    assert(envelope !== undefined, 'a part has the form its list has');
    const { raw } = readEnvelope(envelope);
    assert(raw.compare(start, 0, start.length, 0, start.length) === 0, 'parts of a list begin alike');
    made.push(raw.subarray(start.length));
    size += raw.length - start.length;
  }
  const { before, after } = envelopeAround(apiVersion, kind, size);
  yield before;
  yield* made;
  yield after;
}
