/**
 * How many bytes entries take as raftpb, which is the unit of every size bound of the core. The figures
 * follow raftpb.Entry (type 1, term 2, index 3, data 4; the first three always present). Nothing is
 * encoded here.
 */
import type { Entry } from './types.ts';

/** Bytes of `value` as a protobuf varint; 0 ≤ value ≤ 2^53-1. */
export function varintSize(value: number): number {
  let size = 1;
  let rest = value;
  while (rest >= 128) {
    rest = Math.floor(rest / 128);
    size++;
  }
  return size;
}

/** Encoded size of one entry. */
export function entrySize(entry: Entry): number {
  const length = entry.dataLength;
  const size = 4 + varintSize(entry.term) + varintSize(entry.index);
  return length === 0 ? size : size + 1 + varintSize(length) + length;
}

/** Summed encoded size. */
export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entrySize(entries[i]);
  return size;
}

/** Summed payload: what proposals are charged for while uncommitted. */
export function payloadsSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i++) size += entries[i].dataLength;
  return size;
}

/**
 * Where to stop so that entries[start, end) stay within `bytesMax`, though never before one entry.
 * `end` when all fit.
 */
export function limitEnd(entries: readonly Entry[], start: number, end: number, bytesMax: number): number {
  if (start >= end || bytesMax === Infinity) return end;
  let size = entrySize(entries[start]);
  for (let i = start + 1; i < end; i++) {
    size += entrySize(entries[i]);
    if (size > bytesMax) return i;
  }
  return end;
}
