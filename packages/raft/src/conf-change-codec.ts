/**
 * Membership changes as raftpb bytes: what Entry.data of a conf change holds. Only the three messages of
 * a change are known here; everything else on the wire is the driver's. Field numbers and the habit of
 * writing every scalar, zero or not, are raftpb's (proto2, as etcd marshals it):
 *
 *   ConfChange        id=1 type=2 node_id=3 context=4
 *   ConfChangeSingle  type=1 node_id=2
 *   ConfChangeV2      transition=1 changes=2 (repeated) context=3
 *
 * Decoding takes fields in any order, skips unknown ones and answers undefined for anything malformed.
 */
import { EMPTY } from '@keelson/base';
import {
  type ConfChange,
  type ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  type Entry,
  EntryType,
} from './types.ts';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const TYPES = Object.values(ConfChangeType);
const TRANSITIONS = Object.values(ConfChangeTransition);

/** The V1 form as bytes of an EntryType.ConfChange. */
export function encodeConfChange(change: ConfChange): Buffer {
  const out: number[] = [];
  putVarint(out, 1, change.id);
  putVarint(out, 2, BigInt(change.type));
  putVarint(out, 3, change.nodeId);
  if (change.context.length > 0) putBytes(out, 4, change.context);
  return Buffer.from(out);
}

/** The V2 form as bytes of an EntryType.ConfChangeV2. */
export function encodeConfChangeV2(change: ConfChangeV2): Buffer {
  const out: number[] = [];
  putVarint(out, 1, BigInt(change.transition));
  for (const single of change.changes) {
    const inner: number[] = [];
    putVarint(inner, 1, BigInt(single.type));
    putVarint(inner, 2, single.nodeId);
    putBytes(out, 2, inner);
  }
  if (change.context.length > 0) putBytes(out, 3, change.context);
  return Buffer.from(out);
}

/** Undefined when the bytes are not a ConfChange. */
export function decodeConfChange(data: Buffer): ConfChange | undefined {
  let id = 0n;
  let type = 0n;
  let nodeId = 0n;
  let context = EMPTY;
  const whole = readFields(data, (field, value) => {
    if (typeof value === 'bigint') {
      if (field === 1) id = value;
      else if (field === 2) type = value;
      else if (field === 3) nodeId = value;
      return true;
    }
    if (field === 4) context = value;
    return true;
  });
  const known = confChangeType(type);
  return whole && known !== undefined ? { id, type: known, nodeId, context } : undefined;
}

/** Undefined when the bytes are not a ConfChangeV2. No bytes at all are the change that leaves a joint one. */
export function decodeConfChangeV2(data: Buffer): ConfChangeV2 | undefined {
  let transition = 0n;
  let context = EMPTY;
  const changes: ConfChangeSingle[] = [];
  const whole = readFields(data, (field, value) => {
    if (typeof value === 'bigint') {
      if (field === 1) transition = value;
      return true;
    }
    if (field === 3) context = value;
    if (field !== 2) return true;
    const single = decodeSingle(value);
    if (single === undefined) return false;
    changes.push(single);
    return true;
  });
  const known = TRANSITIONS.find((each) => BigInt(each) === transition);
  return whole && known !== undefined ? { transition: known, changes, context } : undefined;
}

/** The change an entry carries, in the form it was proposed; undefined for normal or malformed entries. */
export function decodeConfChangeEntry(entry: Entry): ConfChange | ConfChangeV2 | undefined {
  if (entry.type === EntryType.ConfChange) return decodeConfChange(entry.data);
  return entry.type === EntryType.ConfChangeV2 ? decodeConfChangeV2(entry.data) : undefined;
}

function decodeSingle(data: Buffer): ConfChangeSingle | undefined {
  let type = 0n;
  let nodeId = 0n;
  const whole = readFields(data, (field, value) => {
    if (typeof value === 'bigint') {
      if (field === 1) type = value;
      else if (field === 2) nodeId = value;
    }
    return true;
  });
  const known = confChangeType(type);
  return whole && known !== undefined ? { type: known, nodeId } : undefined;
}

function confChangeType(value: bigint): ConfChangeType | undefined {
  return TYPES.find((each) => BigInt(each) === value);
}

function putVarint(out: number[], field: number, value: bigint): void {
  out.push((field << 3) | VARINT);
  putRaw(out, value);
}

function putBytes(out: number[], field: number, bytes: ArrayLike<number>): void {
  out.push((field << 3) | BYTES);
  putRaw(out, BigInt(bytes.length));
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i]);
}

function putRaw(out: number[], value: bigint): void {
  let rest = BigInt.asUintN(64, value);
  while (rest >= 128n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
}

/** Walks all fields; false when the bytes end early, are malformed, or `take` refuses one. */
function readFields(data: Buffer, take: (field: number, value: bigint | Buffer) => boolean): boolean {
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= data.length) return undefined;
      const byte = data[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    return undefined;
  };
  while (at < data.length) {
    const key = varint();
    if (key === undefined || key >> 3n === 0n || key > 0xffff_ffffn) return false;
    const field = Number(key >> 3n);
    const wire = Number(key & 7n);
    if (wire === VARINT) {
      const value = varint();
      if (value === undefined || !take(field, value)) return false;
    } else if (wire === BYTES) {
      const length = varint();
      if (length === undefined || length > BigInt(data.length - at)) return false;
      const end = at + Number(length);
      if (!take(field, data.subarray(at, end))) return false;
      at = end;
    } else if (wire === FIXED64 || wire === FIXED32) {
      at += wire === FIXED64 ? 8 : 4;
      if (at > data.length) return false;
    } else {
      return false;
    }
  }
  return true;
}
