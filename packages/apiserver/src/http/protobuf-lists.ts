/**
 * Long lists as protobuf, part by part. The length of a message stands before it, so that the first byte waits for the last
 * item, unless it is known how long each is: that is remembered of every object that was sent once, which costs a number where the
 * bytes would cost two thirds of the cache. An object never changes, so neither does its length.
 */

import { assert } from '@keelson/base';

import { envelopeAround, readEnvelope } from '../codec/envelope.ts';
import type { ObjectCodec } from '../codec/object-codec.ts';
import type { ListPart, PartedList } from '../handlers/wire.ts';
import type { StoredObject } from '../storage/storage.ts';

/** Of an object in one form: bytes it adds to a list. */
type Lengths = WeakMap<StoredObject, number>;

/** The fields of a list: 1 its metadata, 2 each item. */
const ITEM_TAG = 0x12;

export class ProtobufLists {
  private readonly codec: ObjectCodec;
  /** By what objects are shown as. */
  private readonly known = new Map<string, Lengths>();

  constructor(codec: ObjectCodec) {
    this.codec = codec;
  }

  /** @param start the message of the list without an item, which all parts begin with */
  async *chunks(list: PartedList, start: Buffer): AsyncGenerator<Buffer, void> {
    const { stored, parts } = list;
    const { apiVersion, kind } = list.head;
    const lengths = list.steady ? this.lengthsOf(`${kind} of ${list.apiVersion}`) : new WeakMap();
    const itemBytes = totalOf(stored, lengths);
    if (itemBytes === undefined) {
      const made: Buffer[] = [];
      let size = start.length;
      for await (const part of parts) {
        const items = this.itemsOf(part, start, lengths);
        made.push(items);
        size += items.length;
      }
      const { before, after } = envelopeAround(apiVersion, kind, size);
      yield Buffer.concat([before, start]);
      yield* made;
      yield after;
      return;
    }
    const { before, after } = envelopeAround(apiVersion, kind, start.length + itemBytes);
    yield Buffer.concat([before, start]);
    let left = itemBytes;
    for await (const part of parts) {
      const items = this.itemsOf(part, start, lengths);
      left -= items.length;
      yield items;
    }
    assert(left === 0, 'an object is as long as it was');
    yield after;
  }

  /** A part's items as they stand in the list; their lengths are remembered. */
  private itemsOf({ list, stored }: ListPart, start: Buffer, lengths: Lengths): Buffer {
    const envelope = this.codec.envelope(list);
    assert(envelope !== undefined, 'a part has the form its list has');
    const { raw } = readEnvelope(envelope);
    assert(raw.compare(start, 0, start.length, 0, start.length) === 0, 'parts of a list begin alike');
    const items = raw.subarray(start.length);
    let at = 0;
    for (const object of stored) {
      const length = itemLength(items, at);
      lengths.set(object, length);
      at += length;
    }
    assert(at === items.length, 'a part has an item for each of its objects');
    return items;
  }

  private lengthsOf(form: string): Lengths {
    let lengths = this.known.get(form);
    if (lengths === undefined) {
      lengths = new WeakMap();
      this.known.set(form, lengths);
    }
    return lengths;
  }
}

/** Undefined: not known of all. */
function totalOf(stored: readonly StoredObject[], lengths: Lengths): number | undefined {
  let total = 0;
  for (const object of stored) {
    const length = lengths.get(object);
    if (length === undefined) return undefined;
    total += length;
  }
  return total;
}

/** Of the item that begins there, with its tag and length. */
function itemLength(items: Buffer, at: number): number {
  assert(items[at] === ITEM_TAG, 'an item has the number of items');
  let length = 0;
  let scale = 1;
  for (let index = at + 1; ; index += 1) {
    const byte = items[index];
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) return index + 1 - at + length;
    scale *= 128;
  }
}
