/**
 * Bytes that look like a message: fields of the model in any order and number, in their own wire type or another, with
 * overlong varints, lengths that lie, groups, fields nobody knows, messages inside messages. Structure-aware where a
 * mutator of bytes would hardly ever get past the first length. Written into one scratch buffer.
 */
import type { Prng } from '@keelson/base';
import type { FieldModel, MessageModel } from '../../generator/model.ts';
import { messageOf } from '../codecs.ts';

const TEXTS: readonly Buffer[] = ['', 'k', 'key', '\0', 'ä€😀', 'x'.repeat(130)].map((text) =>
  Buffer.from(text),
);
const BROKEN_TEXTS: readonly Buffer[] = [
  Buffer.from([0xff]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xc0, 0xaf]),
];
const SCRATCH_BYTES = 64 * 1024;

export class WireMaker {
  private readonly scratch = Buffer.alloc(SCRATCH_BYTES);
  private at = 0;
  /** Of 64: how many fields are not what the model says. */
  private readonly faults: number;

  /** @param faults of 64 fields, how many are broken or strange; 0 makes well-formed messages only */
  constructor(faults: number) {
    this.faults = faults;
  }

  /** A view that is valid until the next call. */
  make(prng: Prng, model: MessageModel): Buffer {
    this.at = 0;
    this.message(prng, model, 3);
    if (this.faults > 0 && prng.below(16) === 0) this.at = prng.below(this.at + 1);
    return this.scratch.subarray(0, this.at);
  }

  private message(prng: Prng, model: MessageModel, depth: number): void {
    const { fields } = model;
    for (let left = prng.below(6); left > 0 && this.at < SCRATCH_BYTES / 2; left--) {
      const strange = prng.below(64) < this.faults;
      if (strange && prng.chance(1, 2)) this.stranger(prng, model, depth);
      else if (fields.length > 0) this.field(prng, prng.pick(fields), depth, strange);
    }
  }

  private field(prng: Prng, field: FieldModel, depth: number, strange: boolean): void {
    const { type, number } = field;
    if (type.is === 'message') {
      if (depth > 0) this.nested(prng, number, messageOf(type.fullName).model, depth - 1, strange);
      return;
    }
    if (type.is === 'scalar' && (type.scalar === 'bytes' || type.scalar === 'string')) {
      this.tag(number, 2);
      const broken = strange || (type.scalar === 'bytes' && prng.chance(1, 4));
      const text = prng.pick(broken ? BROKEN_TEXTS : TEXTS);
      this.varint(text.length + (strange && prng.chance(1, 4) ? prng.below(1000) : 0));
      this.at += text.copy(this.scratch, this.at);
      return;
    }
    if (field.repeated && prng.chance(1, 2)) {
      this.tag(number, 2);
      const lengthAt = this.at++;
      for (let left = prng.below(4); left > 0; left--) this.value(prng, strange);
      this.scratch[lengthAt] = this.at - lengthAt - 1;
      return;
    }
    this.tag(number, 0);
    this.value(prng, strange);
  }

  private nested(prng: Prng, number: number, model: MessageModel, depth: number, strange: boolean): void {
    this.tag(number, 2);
    const start = this.at;
    this.at += 3;
    this.message(prng, model, depth);
    // The length in three bytes, overlong where it is short: allowed, and met by no encoder of ours.
    const length = this.at - start - 3 + (strange ? prng.between(-2, 2) : 0);
    const said = Math.max(0, length);
    this.scratch[start] = (said & 0x7f) | 0x80;
    this.scratch[start + 1] = ((said >>> 7) & 0x7f) | 0x80;
    this.scratch[start + 2] = (said >>> 14) & 0x7f;
  }

  /** What no encoder of this model writes. */
  private stranger(prng: Prng, model: MessageModel, depth: number): void {
    const known = model.fields.length > 0 && prng.chance(1, 2);
    const number = known ? prng.pick(model.fields).number : prng.pick([15, 16, 999, 2 ** 29 - 1, 2 ** 29, 0]);
    const wire = prng.below(8);
    this.tag(number, wire);
    if (wire === 0) this.value(prng, true);
    else if (wire === 1) this.at += 8;
    else if (wire === 5) this.at += 4;
    else if (wire === 2) {
      const length = prng.below(8);
      this.varint(length);
      this.at += length;
    } else if (wire === 3) {
      if (depth > 0) this.message(prng, model, depth - 1);
      if (prng.chance(7, 8)) this.tag(number, 4);
    }
  }

  private value(prng: Prng, strange: boolean): void {
    const { scratch } = this;
    const kind = prng.below(8);
    if (kind < 4) scratch[this.at++] = prng.below(128);
    else if (kind < 6)
      this.varint(prng.pick([127, 128, 16_384, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53]));
    else {
      // Up to ten bytes, or eleven.
      const count = kind === 6 ? 10 : 1 + prng.below(strange ? 11 : 10);
      for (let i = 0; i < count - 1; i++) scratch[this.at++] = 0x80 | prng.below(128);
      scratch[this.at++] = count === 10 ? prng.below(strange ? 4 : 2) : prng.below(128);
    }
  }

  private tag(number: number, wire: number): void {
    this.varint(number * 8 + wire);
  }

  private varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.scratch[this.at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.scratch[this.at++] = rest;
  }
}
