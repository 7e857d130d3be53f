/**
 * Log entries ↔ raftpb.Entry bytes. An entry is encoded once: the bytes stay with it and go to the WAL and to
 * every peer. Also the other payloads of WAL records: hard state, snapshot marker,
 * metadata. Pure.
 */
import { assert } from '@keelson/base';
import { raftpb, walpb } from '@keelson/proto';
import { Entry, EntryType, type ConfState, type HardState } from '@keelson/raft';

/** What etcd keeps in a metadata record (etcdserverpb.Metadata, a message without a .proto of its own today). */
export interface WalMetadata {
  readonly memberId: bigint;
  readonly clusterId: bigint;
}

/** A snapshot that was durable before this was written. */
export interface SnapshotMarker {
  readonly index: number;
  readonly term: number;
  /** Undefined only in the first marker of a log (index 0) and in those of etcd before 3.5. */
  readonly confState: ConfState | undefined;
}

/** The entry as raftpb bytes: a view of what is kept with the entry, not to be changed. */
export function encodeEntry(entry: Entry): Buffer {
  if (entry.encodedStart < 0) encodeEntries([entry]);
  const { encoded } = entry;
  assert(encoded !== undefined, 'what was encoded has its bytes');
  return encoded;
}

/**
 * Gives those that have none their encoded form, side by side in one block of memory: entries of one turn live
 * equally long, and a block each would be work for the collector.
 */
export function encodeEntries(entries: readonly Entry[]): void {
  let bytes = 0;
  for (let i = 0; i < entries.length; i++)
    if (entries[i].encodedStart < 0) bytes += headBytes(entries[i]) + entries[i].dataLength;
  if (bytes === 0) return;
  const block = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (let i = 0; i < entries.length; i++)
    if (entries[i].encodedStart < 0) at = encodeInto(block, at, entries[i]);
  assert(at === bytes, 'entries take what they were measured to');
}

/** What comes before the payload, which is last. */
function headBytes({ term, index, dataLength }: Entry): number {
  return 4 + varintLength(term) + varintLength(index) + (dataLength === 0 ? 0 : 1 + varintLength(dataLength));
}

/** @returns its end */
function encodeInto(block: Buffer, start: number, entry: Entry): number {
  const { dataLength } = entry;
  block[start] = 0x08;
  block[start + 1] = entry.type;
  block[start + 2] = 0x10;
  let at = putVarint(block, start + 3, entry.term);
  block[at++] = 0x18;
  at = putVarint(block, at, entry.index);
  if (dataLength > 0) {
    block[at++] = 0x22;
    at = putVarint(block, at, dataLength);
    entry.block.copy(block, at, entry.dataOffset, entry.dataOffset + dataLength);
  }
  entry.encodedIn(block, start, at + dataLength, at);
  return at + dataLength;
}

/**
 * An entry that keeps `bytes` as its encoded form, its data inside: hand over bytes that nothing else
 * changes and that hold no larger slab alive.
 * @throws ProtoError for bytes that are no entry; RangeError for one that breaks a law of entries
 */
export function decodeEntry(bytes: Buffer): Entry {
  const { Term, Index, Type, Data } = raftpb.decodeEntry(bytes);
  if (Type !== EntryType.Normal && Type !== EntryType.ConfChange && Type !== EntryType.ConfChangeV2) {
    throw new RangeError(`entry of unknown type ${Type}`);
  }
  if (Term < 1 || Term >= Number.MAX_SAFE_INTEGER || Index < 1 || Index >= Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`entry with term ${Term} and index ${Index}`);
  }
  // A v1 change is never empty; a v2 one may be (it leaves a joint configuration).
  if (Type === EntryType.ConfChange && (Data === undefined || Data.length === 0)) {
    throw new RangeError('membership change without content');
  }
  const dataStart = Data === undefined ? bytes.length : Data.byteOffset - bytes.byteOffset;
  const entry = new Entry(Term, Index, Type, bytes, dataStart, dataStart + (Data?.length ?? 0));
  entry.encodedIn(bytes, 0, bytes.length, dataStart);
  return entry;
}

export function encodeHardState(state: HardState): Buffer {
  return raftpb.encodeHardState(new raftpb.HardState(state));
}

const HARD_STATE_TAGS: readonly number[] = [0x08, 0x10, 0x18];
const MARKER_TAGS: readonly number[] = [0x08, 0x10, 0x1a];

/**
 * No checksum covers the type of a record, and a record whose type has rotted may read as another kind, its other fields
 * being unknown there: so a hard state and a marker have no fields but their own.
 */
function requireFields(bytes: Buffer, tags: readonly number[], what: string): void {
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++];
    if (!tags.includes(tag)) throw new RangeError(`${what} with field tag ${tag}`);
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    if ((tag & 7) === 2) at += value;
  }
}

/** @throws ProtoError, RangeError */
export function decodeHardState(bytes: Buffer): HardState {
  requireFields(bytes, HARD_STATE_TAGS, 'hard state');
  const { term, vote, commit } = raftpb.decodeHardState(bytes);
  const unborn = term === 0 && (vote !== 0n || commit !== 0);
  if (unborn || term >= Number.MAX_SAFE_INTEGER || commit >= Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`hard state with term ${term} and commit ${commit}`);
  }
  return { term, vote, commit };
}

export function encodeConfState(state: ConfState): raftpb.ConfState {
  return new raftpb.ConfState({
    voters: [...state.voters],
    learners: [...state.learners],
    votersOutgoing: [...state.votersOutgoing],
    learnersNext: [...state.learnersNext],
    autoLeave: state.autoLeave,
  });
}

export function decodeConfState(state: raftpb.ConfState): ConfState {
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = state;
  return { voters, learners, votersOutgoing, learnersNext, autoLeave };
}

export function encodeSnapshotMarker({ index, term, confState }: SnapshotMarker): Buffer {
  const message = new walpb.Snapshot({ index, term });
  if (confState !== undefined) message.confState = encodeConfState(confState);
  return walpb.encodeSnapshot(message);
}

/** @throws ProtoError, RangeError */
export function decodeSnapshotMarker(bytes: Buffer): SnapshotMarker {
  requireFields(bytes, MARKER_TAGS, 'snapshot marker');
  const { index, term, confState } = walpb.decodeSnapshot(bytes);
  if (index >= Number.MAX_SAFE_INTEGER || term >= Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`snapshot marker with index ${index} and term ${term}`);
  }
  return { index, term, confState: confState === undefined ? undefined : decodeConfState(confState) };
}

/** Both ids are written, also when 0. */
export function encodeMetadata({ memberId, clusterId }: WalMetadata): Buffer {
  return Buffer.from([0x08, ...idVarint(memberId), 0x10, ...idVarint(clusterId)]);
}

/** @throws RangeError for other fields than the two ids */
export function decodeMetadata(bytes: Buffer): WalMetadata {
  let memberId = 0n;
  let clusterId = 0n;
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at++];
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.length || shift > 63n) throw new RangeError('metadata is cut');
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (tag === 0x08) memberId = BigInt.asUintN(64, value);
    else if (tag === 0x10) clusterId = BigInt.asUintN(64, value);
    else throw new RangeError(`metadata with unknown field tag ${tag}`);
  }
  return { memberId, clusterId };
}

function idVarint(id: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, id);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}

function varintLength(value: number): number {
  let length = 1;
  while (value > 0x7f) {
    value = Math.floor(value / 128);
    length++;
  }
  return length;
}

function putVarint(bytes: Buffer, at: number, value: number): number {
  while (value > 0x7f) {
    bytes[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  bytes[at++] = value;
  return at;
}
