/**
 * raft's messages and entries as raftpb bytes and back: pure, no streams, no sockets. Scalars are always
 * written, zeros too, in field order, because that is what every etcd from 3.0 on sends (proto2 with
 * non-nullable fields); absent ones read as zero. An entry that carries its encoded form is copied from
 * there and never encoded twice; a decoded entry keeps the bytes it came as, so that the follower's log
 * writes them as they are. (raft/raftpb/raft.proto; numbers in docs/formats/peer.md.)
 */
import { EMPTY } from '@keelson/base';
import {
  type ConfState,
  EMPTY_CONF_STATE,
  Entry,
  EntryType,
  Message,
  MessageType,
  NONE,
  type NodeId,
  Snapshot,
} from '@keelson/raft';
import { encodeEntries } from '../wal/entry-codec.ts';
import { PeerError } from './peer-error.ts';
import { FieldReader, countSize, idSize, writeCount, writeId } from './protobuf.ts';

/** Responses inside responses: local storage messages nest once; more is garbage. */
const RESPONSE_DEPTH_MAX = 4;

/** One-byte tags: field number × 8 + wire type. */
const TAG_VARINT = 0;
const TAG_BYTES = 2;

function bytesFieldSize(length: number): number {
  return 1 + countSize(length) + length;
}

// ---- entries -------------------------------------------------------------------------------------

function isEntryType(type: number): type is EntryType {
  return type <= EntryType.ConfChangeV2;
}

/**
 * An entry from its raftpb bytes, bytes[start, end), which stay its encoded form: the caller gives them away.
 * Unlike the log's own decoder it takes entries without term and index, as a proposal has them; those of
 * a MsgApp must also pass assertEntriesFollow(), and are then what the log's decoder reads.
 * @throws PeerError 'MALFORMED'
 */
export function decodeEntry(bytes: Buffer, start = 0, end: number = bytes.length): Entry {
  let type = 0;
  let term = 0;
  let index = 0;
  let dataStart = end;
  let dataEnd = end;
  const reader = new FieldReader(bytes, start, end);
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        type = reader.countField();
        break;
      case 2:
        term = reader.countField();
        break;
      case 3:
        index = reader.countField();
        break;
      case 4:
        dataEnd = reader.bytesEnd();
        dataStart = reader.bytesStart;
        break;
      default:
        reader.skip();
    }
  }
  if (!isEntryType(type)) throw new PeerError('MALFORMED', `entry type ${type}`);
  const entry = new Entry(term, index, type, bytes, dataStart, dataEnd);
  entry.encodedIn(bytes, start, end, dataStart);
  return entry;
}

// ---- snapshots -----------------------------------------------------------------------------------

function idsSize(ids: readonly NodeId[]): number {
  let size = ids.length;
  for (const id of ids) size += idSize(id);
  return size;
}

function writeIds(target: Buffer, at: number, tag: number, ids: readonly NodeId[]): number {
  for (const id of ids) {
    target[at++] = tag;
    at = writeId(target, at, id);
  }
  return at;
}

function confStateSize(state: ConfState): number {
  return (
    idsSize(state.voters) +
    idsSize(state.learners) +
    idsSize(state.votersOutgoing) +
    idsSize(state.learnersNext) +
    2
  );
}

function metadataSize(snapshot: Snapshot): number {
  return (
    bytesFieldSize(confStateSize(snapshot.confState)) +
    2 +
    countSize(snapshot.index) +
    countSize(snapshot.term)
  );
}

function snapshotSize(snapshot: Snapshot): number {
  const dataSize = snapshot.data.length === 0 ? 0 : bytesFieldSize(snapshot.data.length);
  return dataSize + bytesFieldSize(metadataSize(snapshot));
}

function writeSnapshot(target: Buffer, at: number, snapshot: Snapshot): number {
  if (snapshot.data.length > 0) {
    target[at++] = 0x0a;
    at = writeCount(target, at, snapshot.data.length);
    at += snapshot.data.copy(target, at);
  }
  target[at++] = 0x12;
  at = writeCount(target, at, metadataSize(snapshot));
  const state = snapshot.confState;
  target[at++] = 0x0a;
  at = writeCount(target, at, confStateSize(state));
  at = writeIds(target, at, 0x08, state.voters);
  at = writeIds(target, at, 0x10, state.learners);
  at = writeIds(target, at, 0x18, state.votersOutgoing);
  at = writeIds(target, at, 0x20, state.learnersNext);
  target[at++] = 0x28;
  target[at++] = state.autoLeave ? 1 : 0;
  target[at++] = 0x10;
  at = writeCount(target, at, snapshot.index);
  target[at++] = 0x18;
  return writeCount(target, at, snapshot.term);
}

function decodeConfState(bytes: Buffer): ConfState {
  const voters: NodeId[] = [];
  const learners: NodeId[] = [];
  const votersOutgoing: NodeId[] = [];
  const learnersNext: NodeId[] = [];
  let autoLeave = false;
  const reader = new FieldReader(bytes);
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        reader.idsField(voters);
        break;
      case 2:
        reader.idsField(learners);
        break;
      case 3:
        reader.idsField(votersOutgoing);
        break;
      case 4:
        reader.idsField(learnersNext);
        break;
      case 5:
        autoLeave = reader.boolField();
        break;
      default:
        reader.skip();
    }
  }
  return { voters, learners, votersOutgoing, learnersNext, autoLeave };
}

/** undefined for the empty snapshot (index 0) that older etcds attach to every message. */
function decodeSnapshot(bytes: Buffer): Snapshot | undefined {
  let data = EMPTY;
  let index = 0;
  let term = 0;
  let confState = EMPTY_CONF_STATE;
  const reader = new FieldReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) data = reader.bytesField();
    else if (reader.field === 2) {
      const metadata = new FieldReader(reader.bytesField());
      while (metadata.next()) {
        if (metadata.field === 1) confState = decodeConfState(metadata.bytesField());
        else if (metadata.field === 2) index = metadata.countField();
        else if (metadata.field === 3) term = metadata.countField();
        else metadata.skip();
      }
    } else reader.skip();
  }
  return index === 0 ? undefined : new Snapshot(index, term, confState, data);
}

// ---- messages ------------------------------------------------------------------------------------

function isMessageType(type: number): type is MessageType {
  return type <= MessageType.ForgetLeader;
}

/** Bytes of the message as raftpb. Encodes entries that were not yet. */
export function messageSize(message: Message): number {
  let size =
    countSize(message.type) +
    idSize(message.to) +
    idSize(message.from) +
    countSize(message.term) +
    countSize(message.logTerm) +
    countSize(message.index) +
    countSize(message.commit) +
    countSize(message.rejectHint) +
    idSize(message.vote) +
    1 + // reject
    10; // ten tags
  const entries = message.entries;
  encodeEntries(entries);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i];
    size += bytesFieldSize(entry.encodedEnd - entry.encodedStart);
  }
  if (message.snapshot !== undefined) size += bytesFieldSize(snapshotSize(message.snapshot));
  if (message.context.length > 0) size += bytesFieldSize(message.context.length);
  for (const response of message.responses) size += bytesFieldSize(messageSize(response));
  return size;
}

/** Writes the message at `at` (messageSize bytes must be there); answers the offset after it. */
export function writeMessage(target: Buffer, at: number, message: Message): number {
  target[at++] = 1 * 8 + TAG_VARINT;
  at = writeCount(target, at, message.type);
  target[at++] = 2 * 8 + TAG_VARINT;
  at = writeId(target, at, message.to);
  target[at++] = 3 * 8 + TAG_VARINT;
  at = writeId(target, at, message.from);
  target[at++] = 4 * 8 + TAG_VARINT;
  at = writeCount(target, at, message.term);
  target[at++] = 5 * 8 + TAG_VARINT;
  at = writeCount(target, at, message.logTerm);
  target[at++] = 6 * 8 + TAG_VARINT;
  at = writeCount(target, at, message.index);
  const entries = message.entries;
  for (let i = 0; i < entries.length; i++) {
    const { block, encodedStart, encodedEnd } = entries[i];
    target[at++] = 7 * 8 + TAG_BYTES;
    at = writeCount(target, at, encodedEnd - encodedStart);
    at += block.copy(target, at, encodedStart, encodedEnd);
  }
  target[at++] = 8 * 8 + TAG_VARINT;
  at = writeCount(target, at, message.commit);
  if (message.snapshot !== undefined) {
    target[at++] = 9 * 8 + TAG_BYTES;
    at = writeCount(target, at, snapshotSize(message.snapshot));
    at = writeSnapshot(target, at, message.snapshot);
  }
  target[at++] = 10 * 8 + TAG_VARINT;
  target[at++] = message.reject ? 1 : 0;
  target[at++] = 11 * 8 + TAG_VARINT;
  at = writeCount(target, at, message.rejectHint);
  if (message.context.length > 0) {
    target[at++] = 12 * 8 + TAG_BYTES;
    at = writeCount(target, at, message.context.length);
    at += message.context.copy(target, at);
  }
  target[at++] = 13 * 8 + TAG_VARINT;
  at = writeId(target, at, message.vote);
  for (const response of message.responses) {
    target[at++] = 14 * 8 + TAG_BYTES;
    at = writeCount(target, at, messageSize(response));
    at = writeMessage(target, at, response);
  }
  return at;
}

/** The message as fresh raftpb bytes. */
export function encodeMessage(message: Message): Buffer {
  const target = Buffer.allocUnsafe(messageSize(message));
  writeMessage(target, 0, message);
  return target;
}

/**
 * A message from raftpb bytes; entries, context and snapshot data are views of `bytes`, which the caller
 * gives away. A type that a later version may have added reads as MsgHup, which mayStep() never lets in, so
 * that it costs one message and not the connection.
 *
 * Entries of a MsgProp do not keep their bytes: their term and index are still to be given.
 * @throws PeerError 'MALFORMED'
 */
export function decodeMessage(bytes: Buffer, depth = 0): Message {
  const message = new Message(MessageType.Hup);
  let entries: Entry[] | undefined;
  let responses: Message[] | undefined;
  const reader = new FieldReader(bytes);
  while (reader.next()) {
    switch (reader.field) {
      case 1: {
        const type = reader.countField();
        message.type = isMessageType(type) ? type : MessageType.Hup;
        break;
      }
      case 2:
        message.to = reader.idField();
        break;
      case 3:
        message.from = reader.idField();
        break;
      case 4:
        message.term = reader.countField();
        break;
      case 5:
        message.logTerm = reader.countField();
        break;
      case 6:
        message.index = reader.countField();
        break;
      case 7:
        {
          const end = reader.bytesEnd();
          (entries ??= []).push(decodeEntry(bytes, reader.bytesStart, end));
        }
        break;
      case 8:
        message.commit = reader.countField();
        break;
      case 9:
        message.snapshot = decodeSnapshot(reader.bytesField());
        break;
      case 10:
        message.reject = reader.boolField();
        break;
      case 11:
        message.rejectHint = reader.countField();
        break;
      case 12:
        message.context = reader.bytesField();
        break;
      case 13:
        message.vote = reader.idField();
        break;
      case 14:
        if (depth >= RESPONSE_DEPTH_MAX) throw new PeerError('MALFORMED', 'responses nest too deep');
        (responses ??= []).push(decodeMessage(reader.bytesField(), depth + 1));
        break;
      default:
        reader.skip();
    }
  }
  if (entries !== undefined) {
    if (message.type === MessageType.Prop) for (const entry of entries) entry.forgetEncoded();
    message.entries = entries;
  }
  if (responses !== undefined) message.responses = responses;
  return message;
}

// ---- which messages may come from another member ---------------------------------------------------

/** 1 for the types that one member may send another; the others are local or unknown. */
const FROM_PEERS: readonly boolean[] = Array.from({ length: 24 }, (_, type) => {
  switch (type) {
    case MessageType.Prop:
    case MessageType.App:
    case MessageType.AppResp:
    case MessageType.Vote:
    case MessageType.VoteResp:
    case MessageType.Snap:
    case MessageType.Heartbeat:
    case MessageType.HeartbeatResp:
    case MessageType.TransferLeader:
    case MessageType.TimeoutNow:
    case MessageType.ReadIndex:
    case MessageType.ReadIndexResp:
    case MessageType.PreVote:
    case MessageType.PreVoteResp:
      return true;
    default:
      return false;
  }
});

/** The link's own keepalive on the message stream: a heartbeat from nobody to nobody. */
export function isLinkHeartbeat(message: Message): boolean {
  return message.type === MessageType.Heartbeat && message.from === NONE && message.to === NONE;
}

/**
 * Whether a message that arrived from member `peer` may be stepped by member `local`: of a type that
 * travels, addressed to us, and from the member at the other end. Proposals, reads and leader transfers
 * are forwarded and may name another origin (raft follower.stepFollower); only those may have term 0, by
 * which the core knows what is told it from within and skips the rules of terms.
 */
export function mayStep(message: Message, local: NodeId, peer: NodeId): boolean {
  if (!FROM_PEERS[message.type] || message.to !== local || message.from === NONE) return false;
  const forwarded =
    message.type === MessageType.Prop ||
    message.type === MessageType.ReadIndex ||
    message.type === MessageType.TransferLeader;
  return forwarded || (message.from === peer && message.term > 0);
}

/**
 * Laws of a MsgApp's entries: indexes follow `index` without gap, terms start at 1 and never fall, a v1
 * membership change has content. Their bytes go to our log as they are, so what is let in here must be
 * readable there.
 * @throws PeerError 'MALFORMED'
 */
export function assertEntriesFollow(entries: readonly Entry[], index: number, term: number): void {
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i];
    if (entry.index !== index + 1 + i || entry.term < term || entry.term < 1) {
      throw new PeerError(
        'MALFORMED',
        `entry ${entry.term}/${entry.index} cannot follow ${term}/${index + i}`,
      );
    }
    if (entry.type === EntryType.ConfChange && entry.dataLength === 0) {
      throw new PeerError('MALFORMED', 'membership change without content');
    }
    term = entry.term;
  }
}

/**
 * A message as a peer may send it: decoded, and when it is a MsgApp, with entries that may follow.
 * @throws PeerError 'MALFORMED'
 */
export function decodePeerMessage(bytes: Buffer): Message {
  const message = decodeMessage(bytes);
  if (message.type === MessageType.App) {
    assertEntriesFollow(message.entries, message.index, message.logTerm);
  }
  return message;
}
