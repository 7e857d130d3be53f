/**
 * The replicated command: what an entry asks the state machine to do, in etcd's own form, an
 * InternalRaftRequest (server raft_internal.proto) whose one command field holds the client's request
 * bytes as they came. Assembled once, read once per member; nothing is decoded here but the envelope.
 *
 * The header's ID names the proposal: 16 bits of the member's id, then a 48-bit counter that starts from
 * the boot time (etcd pkg/idutil). Waiters are filed under the 48 bits, a plain number.
 */
import { EMPTY } from '@keelson/base';
import type { Identity } from '../auth/identity.ts';

/** Field numbers of InternalRaftRequest. */
export const CommandKind = {
  Put: 4,
  DeleteRange: 5,
  Txn: 6,
  Compaction: 7,
  LeaseGrant: 8,
  LeaseRevoke: 9,
  Alarm: 10,
  LeaseCheckpoint: 11,
  AuthEnable: 1000,
  AuthDisable: 1011,
  Authenticate: 1012,
  AuthUserAdd: 1100,
  AuthUserDelete: 1101,
  AuthUserChangePassword: 1103,
  AuthUserGrantRole: 1104,
  AuthUserRevokeRole: 1105,
  AuthRoleAdd: 1200,
  AuthRoleDelete: 1201,
  AuthRoleGrantPermission: 1203,
  AuthRoleRevokePermission: 1204,
  ClusterVersionSet: 1300,
  ClusterMemberAttrSet: 1301,
  DowngradeInfoSet: 1302,
} as const;
export type CommandKind = (typeof CommandKind)[keyof typeof CommandKind];

/** A field that 3.7 has no more: requests of etcd up to 3.5, never proposed here (see v2-request.ts). */
export const V2_REQUEST = 2;

const HEADER_FIELD = 100;
/** Fields of the header: 2, a string, and 3, a varint. */
const USERNAME_TAG = 0x12;
const REVISION_TAG = 0x18;
const WIRE_LENGTH = 2;
const ID_TAG = 0x08;
const PUT_TAG = CommandKind.Put * 8 + WIRE_LENGTH;
const DELETE_TAG = CommandKind.DeleteRange * 8 + WIRE_LENGTH;
/** Fields of PutRequest; the first is DeleteRangeRequest's too. */
const KEY_TAG = 0x0a;
const VALUE_TAG = 0x12;
const LEASE_TAG = 0x18;
const LOW_BITS = 2 ** 48;

/** A proposal's identity: `owner` is 16 bits of the proposing member's id, `sequence` its 48-bit counter. */
export interface CommandId {
  readonly owner: number;
  readonly sequence: number;
}

export class Command implements CommandId {
  readonly owner: number;
  readonly sequence: number;
  /** A field number of InternalRaftRequest; kinds unknown to this version are answered, not ignored. */
  readonly kind: number;
  /** The request's protobuf bytes: a view into the entry. */
  readonly body: Buffer;
  /** In whose name; undefined for nobody's: auth was off, or the caller showed no token. */
  readonly identity: Identity | undefined;

  constructor(owner: number, sequence: number, kind: number, body: Buffer, identity?: Identity) {
    this.owner = owner;
    this.sequence = sequence;
    this.kind = kind;
    this.body = body;
    this.identity = identity;
  }
}

/** The envelope could not be read; `at` is the offset of the offending byte. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Wraps a request's bytes as the entry to propose; a fresh buffer of exact size. */
export function encodeCommand(id: CommandId, kind: CommandKind, body: Buffer, identity?: Identity): Buffer {
  const idBytes = varintSize64(id);
  const caller = identity === undefined ? EMPTY : encodeCaller(identity);
  const headerBytes = 1 + idBytes + caller.length;
  const size =
    varintSize(kind * 8) + varintSize(body.length) + body.length + 2 + varintSize(headerBytes) + headerBytes;
  const out = Buffer.allocUnsafe(size);
  let at = writeVarint(out, 0, kind * 8 + WIRE_LENGTH);
  at = writeVarint(out, at, body.length);
  out.set(body, at);
  at += body.length;
  at = writeVarint(out, at, HEADER_FIELD * 8 + WIRE_LENGTH);
  at = writeVarint(out, at, headerBytes);
  out[at++] = ID_TAG;
  writeVarint64(out, at, id);
  out.set(caller, at + idBytes);
  return out;
}

/** The header's fields username and auth_revision, each left out when it is zero. */
function encodeCaller({ username, revision }: Identity): Buffer {
  const name = Buffer.from(username, 'utf8');
  const nameBytes = name.length === 0 ? 0 : 1 + varintSize(name.length) + name.length;
  const out = Buffer.allocUnsafe(nameBytes + (revision === 0 ? 0 : 1 + varintSize(revision)));
  let at = 0;
  if (nameBytes > 0) {
    out[at++] = USERNAME_TAG;
    at = writeVarint(out, at, name.length);
    out.set(name, at);
    at += name.length;
  }
  if (revision > 0) {
    out[at++] = REVISION_TAG;
    writeVarint(out, at, revision);
  }
  return out;
}

/**
 * Reads the envelope of an entry's data.
 * @throws CommandError on bytes that are not an InternalRaftRequest with at most one command
 */
export function decodeCommand(data: Buffer): Command {
  const reader = new Reader(data);
  let owner = 0;
  let sequence = 0;
  let kind = 0;
  let body: Buffer = EMPTY;
  let username = '';
  let revision = 0;
  while (reader.at < data.length) {
    const tag = reader.varint();
    const field = Math.floor(tag / 8);
    if ((tag & 7) !== WIRE_LENGTH) {
      reader.skip(tag & 7);
      continue;
    }
    const bytes = reader.bytes();
    if (field === HEADER_FIELD) {
      const header = new Reader(bytes);
      while (header.at < bytes.length) {
        const headerTag = header.varint();
        if (headerTag === ID_TAG) {
          [owner, sequence] = header.varint64();
        } else if (headerTag === USERNAME_TAG) username = header.bytes().toString('utf8');
        else if (headerTag === REVISION_TAG) {
          const [high, low] = header.varint64();
          revision = Math.min(high * LOW_BITS + low, Number.MAX_SAFE_INTEGER);
        } else header.skip(headerTag & 7);
      }
    } else if (field === V2_REQUEST && isV2Method(bytes)) {
      // No envelope at all: its other fields would pass for commands.
      return new Command(0, 0, field, data);
    } else {
      kind = field;
      body = bytes;
    }
  }
  const identity = username === '' && revision === 0 ? undefined : { username, revision };
  return new Command(owner, sequence, kind, body, identity);
}

/**
 * A put or a delete as nearly all of them are: by nobody in particular, of one key; a put with a value and maybe a
 * lease, a delete that wants nothing back. One object reads entry after entry in place, so that the commonest
 * commands of all cost no object of their own.
 */
export class LoneWrite implements CommandId {
  kind: typeof CommandKind.Put | typeof CommandKind.DeleteRange = CommandKind.Put;
  owner = 0;
  sequence = 0;
  /** The key in its in-memory form. */
  key = '';
  /** A put's: data[valueStart, valueEnd) of what was read. */
  valueStart = 0;
  valueEnd = 0;
  /** 0n for none. */
  lease = 0n;

  /**
   * @returns whether the entry's data, data[start, end), is such a write: anything else, damage too, is for
   *   decodeCommand. When it is not, the fields mean nothing.
   */
  read(data: Buffer, start = 0, end: number = data.length): boolean {
    const tag = data[start];
    if (start === end || (tag !== PUT_TAG && tag !== DELETE_TAG)) return false;
    this.kind = tag === PUT_TAG ? CommandKind.Put : CommandKind.DeleteRange;
    const body = afterShortLength(data, start + 1);
    const bodyEnd = body + shortLength(data, start + 1);
    return bodyEnd < end && this.readBody(data, body, bodyEnd) && this.readHeader(data, bodyEnd, end);
  }

  private readBody(data: Buffer, start: number, end: number): boolean {
    let at = start;
    if (data[at++] !== KEY_TAG) return false;
    const keyLength = data[at++];
    if (keyLength >= 0x80 || keyLength === 0 || at + keyLength > end) return false;
    this.key = data.toString('latin1', at, at + keyLength);
    at += keyLength;
    this.valueStart = at;
    this.valueEnd = at;
    this.lease = 0n;
    if (at === end) return true;
    if (this.kind !== CommandKind.Put) return false;
    if (data[at] === VALUE_TAG) {
      const length = shortLength(data, at + 1);
      at = afterShortLength(data, at + 1);
      if (at + length > end) return false;
      this.valueStart = at;
      at += length;
      this.valueEnd = at;
      if (at === end) return true;
    }
    if (data[at] !== LEASE_TAG) return false;
    const lease = readInt64(data, at + 1, end);
    if (lease === undefined) return false;
    this.lease = lease;
    return true;
  }

  /** The envelope's header, with an id and nothing else. */
  private readHeader(data: Buffer, start: number, end: number): boolean {
    if (end - start < 5 || data[start] !== 0xa2 || data[start + 1] !== 0x06) return false;
    if (data[start + 2] !== end - start - 3 || data[start + 3] !== ID_TAG) return false;
    let low = 0;
    let high = 0;
    let scale = 1;
    for (let at = start + 4, i = 0; at < end && i < 10; at++, i++) {
      const byte = data[at];
      if (i === 6) scale = 1;
      if (i === 9 && byte > 1) return false;
      if (i < 6) low += (byte & 0x7f) * scale;
      else high += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (byte < 0x80) {
        this.owner = Math.floor(high / 64) % 0x1_0000;
        this.sequence = (low + (high % 64) * 2 ** 42) % LOW_BITS;
        return at + 1 === end;
      }
    }
    return false;
  }
}

/** A length of one byte or two; Infinity for more, which are read the other way. */
function shortLength(data: Buffer, at: number): number {
  if (data[at] < 0x80) return data[at];
  return data[at + 1] < 0x80 ? (data[at] & 0x7f) + data[at + 1] * 0x80 : Infinity;
}

function afterShortLength(data: Buffer, at: number): number {
  return at + (data[at] < 0x80 ? 1 : 2);
}

/** A varint that ends just before `end`, as int64; undefined when it does not. */
function readInt64(data: Buffer, start: number, end: number): bigint | undefined {
  let value = 0n;
  for (let at = start, shift = 0n; at < end && at - start < 10; at++, shift += 7n) {
    const byte = data[at];
    if (shift === 63n && byte > 1) return undefined;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return at + 1 === end ? BigInt.asIntN(64, value) : undefined;
  }
  return undefined;
}

/**
 * Whether a field 2 holds the method of a bare v2 request (a word in capitals), and not a request inside the
 * envelope, which begins with the tag of its id.
 */
function isV2Method(bytes: Buffer): boolean {
  if (bytes.length === 0) return false;
  for (const byte of bytes) if (byte < 0x41 || byte > 0x5a) return false;
  return true;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

function writeVarint(out: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 0x80) {
    out[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[at++] = rest;
  return at;
}

/** 42 low bits as six groups of seven; the other 6 of the sequence and the 16 of the owner make 22 more. */
function varintSize64(id: CommandId): number {
  const high = id.owner * 64 + Math.floor(id.sequence / 2 ** 42);
  return high > 0 ? 6 + varintSize(high) : varintSize(id.sequence);
}

function writeVarint64(out: Buffer, start: number, id: CommandId): void {
  const high = id.owner * 64 + Math.floor(id.sequence / 2 ** 42);
  if (high === 0) {
    writeVarint(out, start, id.sequence);
    return;
  }
  let rest = id.sequence;
  let at = start;
  for (let i = 0; i < 6; i++) {
    out[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  writeVarint(out, at, high);
}

/** Protobuf fields, one after the other, with every length checked. */
export class Reader {
  at = 0;
  private readonly data: Buffer;

  constructor(data: Buffer) {
    this.data = data;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.next();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new CommandError(`varint too long at offset ${this.at}`);
  }

  varint64(): [owner: number, sequence: number] {
    let low = 0;
    let scale = 1;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.next();
      if (i < 6) low += (byte & 0x7f) * scale;
      else high += (byte & 0x7f) * 2 ** (7 * (i - 6));
      if (byte < 0x80) {
        const owner = Math.floor(high / 64) % 0x1_0000;
        return [owner, (low + (high % 64) * 2 ** 42) % LOW_BITS];
      }
      scale *= 0x80;
    }
    throw new CommandError(`varint too long at offset ${this.at}`);
  }

  bytes(): Buffer {
    const length = this.varint();
    if (length > this.data.length - this.at)
      throw new CommandError(`length ${length} at offset ${this.at} runs past the end`);
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }

  skip(wireType: number): void {
    if (wireType === 0) while (this.next() >= 0x80);
    else if (wireType === 1) this.at += 8;
    else if (wireType === WIRE_LENGTH) this.bytes();
    else if (wireType === 5) this.at += 4;
    else throw new CommandError(`wire type ${wireType} at offset ${this.at}`);
    if (this.at > this.data.length) throw new CommandError('truncated');
  }

  private next(): number {
    if (this.at >= this.data.length) throw new CommandError('truncated');
    return this.data[this.at++];
  }
}
