/**
 * Long lists as protobuf, part by part. The length of a message stands before it, so that the first byte waits for the last
 * item, unless it is known how long each is: that is remembered of every object that was sent once, which costs a number where the
 * bytes would cost two thirds of the cache. An object never changes, so neither does its length. The few that are new are
 * encoded once to be measured, and again to be sent.
 */

import { assert } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { envelopeAround, readEnvelope } from '../codec/envelope.ts';
import type { ObjectCodec } from '../codec/object-codec.ts';
import { PART_COUNT, type PartedList } from '../handlers/wire.ts';
import type { StoredObject } from '../storage/storage.ts';
import { partsOf } from './list-parts.ts';

/** Of an object in one form: bytes it adds to a list. */
type Lengths = WeakMap<StoredObject, number>;

/** The fields of a list: 1 its metadata, 2 each item. */
const ITEM_TAG = 0x12;
/** Where more of a list is new, it is kept until all of it is made: a sixteenth more work at most otherwise. */
const NEW_SHARE = 16;

export class ProtobufLists {
  private readonly codec: ObjectCodec;
  /** By what objects are shown as. */
  private readonly known = new Map<string, Lengths>();

  constructor(codec: ObjectCodec) {
    this.codec = codec;
  }

  /** @param start the message of the list without an item, which all parts begin with */
  async *chunks(list: PartedList, start: Buffer): AsyncGenerator<Buffer, void> {
    const { stored } = list;
    const { apiVersion, kind } = list.head;
    const lengths = list.steady ? this.lengthsOf(`${kind} of ${list.apiVersion}`) : new WeakMap();
    const fresh = stored.filter((object) => !lengths.has(object));
    const made: Buffer[] = [];
    if (fresh.length * NEW_SHARE > stored.length || !list.steady) {
      for await (const items of this.items(list, stored, start, lengths)) made.push(items);
    } else {
      for await (const _items of this.items(list, fresh, start, lengths)) continue;
    }
    const size = totalOf(stored, lengths);
    const { before, after } = envelopeAround(apiVersion, kind, start.length + size);
    yield Buffer.concat([before, start]);
    let left = size;
    for await (const items of made.length > 0 ? made : this.items(list, stored, start, lengths)) {
      left -= items.length;
      // Rather no more of it than bytes that a reader takes for something else.
      assert(left >= 0, 'an object is as long as it was');
      yield items;
    }
    assert(left === 0, 'an object is as long as it was');
    yield after;
  }

  /** These objects as they stand in the list, part by part; their lengths are remembered. */
  private async *items(
    list: PartedList,
    stored: readonly StoredObject[],
    start: Buffer,
    lengths: Lengths,
  ): AsyncGenerator<Buffer, void> {
    let at = 0;
    for await (const part of partsOf(list, stored)) {
      const items = this.itemsOf(part, start);
      remember(lengths, stored.slice(at, at + PART_COUNT), items);
      at += PART_COUNT;
      yield items;
    }
  }

  private itemsOf(part: KubeObject, start: Buffer): Buffer {
    const envelope = this.codec.envelope(part);
    assert(envelope !== undefined, 'a part has the form its list has');
    const { raw } = readEnvelope(envelope);
    assert(raw.compare(start, 0, start.length, 0, start.length) === 0, 'parts of a list begin alike');
    return raw.subarray(start.length);
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

/** @param items of these objects, in order */
function remember(lengths: Lengths, stored: readonly StoredObject[], items: Buffer): void {
  let at = 0;
  for (const object of stored) {
    const length = itemLength(items, at);
    lengths.set(object, length);
    at += length;
  }
  assert(at === items.length, 'a part has an item for each of its objects');
}

function totalOf(stored: readonly StoredObject[], lengths: Lengths): number {
  let total = 0;
  for (const object of stored) {
    const length = lengths.get(object);
    assert(length !== undefined, 'each object was measured');
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
