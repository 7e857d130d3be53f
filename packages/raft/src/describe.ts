/**
 * One-line forms of what the core works with, in etcd-io/raft's words: log lines and the data-driven
 * tests share them. Nothing here decides anything, and nothing on the hot path calls it.
 */
import { hexId } from '@keelson/base';
import { asV2 } from './conf-change.ts';
import { decodeConfChangeEntry } from './conf-change-codec.ts';
import type { AppendWork, ApplyWork, Ready } from './ready.ts';
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type ConfChange,
  type ConfChangeSingle,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  Message,
  MessageType,
  NONE,
  type NodeId,
  type Snapshot,
  type SoftState,
} from './types.ts';

/** Text of an entry's payload. */
export type DataFormat = (data: Buffer) => string;

const MESSAGE_NAMES: readonly string[] = Object.keys(MessageType).map((name) => `Msg${name}`);
const ROLE_NAMES = ['StateFollower', 'StateCandidate', 'StateLeader', 'StatePreCandidate'] as const;
const ENTRY_NAMES = ['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2'] as const;
const CHANGE_NAMES = [
  'ConfChangeAddNode',
  'ConfChangeRemoveNode',
  'ConfChangeUpdateNode',
  'ConfChangeAddLearnerNode',
] as const;
const TRANSITION_NAMES = [
  'ConfChangeTransitionAuto',
  'ConfChangeTransitionJointImplicit',
  'ConfChangeTransitionJointExplicit',
] as const;

export function messageTypeName(type: MessageType): string {
  return MESSAGE_NAMES[type] ?? String(type);
}

export function roleName(role: SoftState['role']): string {
  return ROLE_NAMES[role];
}

/** Bytes in double quotes with Go's escapes (%q). Bytes that are not UTF-8 appear as \xNN. */
export function quoted(data: Buffer): string {
  let text = '"';
  for (let at = 0; at < data.length;) {
    const byte = data[at];
    const width = utf8Width(data, at);
    if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else if (width > 1) text += data.toString('utf8', at, at + width);
    else text += escaped(byte);
    at += width;
  }
  return `${text}"`;
}

const ESCAPES: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
};

function escaped(byte: number): string {
  return ESCAPES[byte] ?? `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** Length of the well-formed UTF-8 sequence at `at`, 1 when there is none. */
function utf8Width(data: Buffer, at: number): number {
  const byte = data[at];
  const width = byte < 0xc2 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 1;
  if (width === 1 || at + width > data.length) return 1;
  return data.toString('utf8', at, at + width).includes('\ufffd') ? 1 : width;
}

/** The changes as v1 l2 r3 u4: voter, learner, removal, update. */
export function describeChanges(changes: readonly ConfChangeSingle[]): string {
  return changes.map((change) => `${'vrul'[change.type]}${change.nodeId}`).join(' ');
}

/** A conf change as protobuf's text form. */
export function describeConfChange(change: ConfChange | ConfChangeV2): string {
  const parts: string[] = [];
  if ('changes' in change) {
    parts.push(`transition:${TRANSITION_NAMES[change.transition]}`);
    for (const single of change.changes) {
      parts.push(`changes:{type:${CHANGE_NAMES[single.type]} node_id:${single.nodeId}}`);
    }
  } else {
    parts.push(`type:${CHANGE_NAMES[change.type]} node_id:${change.nodeId}`);
  }
  if (change.context.length > 0) parts.push(`context:${quoted(change.context)}`);
  // The text form follows the order of declaration, in which the id of a V1 change is last.
  if ('id' in change && change.id !== 0n) parts.push(`id:${change.id}`);
  return parts.join(' ');
}

export function describeEntry(entry: Entry, format: DataFormat = quoted): string {
  let payload: string;
  if (entry.type === EntryType.Normal) {
    payload = format(entry.data);
  } else {
    const change = decodeConfChangeEntry(entry);
    payload = change === undefined ? 'malformed' : describeChanges(asV2(change).changes);
  }
  return `${entry.term}/${entry.index} ${ENTRY_NAMES[entry.type]}${payload === '' ? '' : ` ${payload}`}`;
}

/** One line an entry, each ended. */
export function describeEntries(entries: readonly Entry[], format: DataFormat = quoted): string {
  return entries.map((entry) => `${describeEntry(entry, format)}\n`).join('');
}

export function describeHardState(state: HardState): string {
  const vote = state.vote === NONE ? '' : ` Vote:${state.vote}`;
  return `Term:${state.term}${vote} Commit:${state.commit}`;
}

export function describeSoftState(state: SoftState): string {
  return `Lead:${state.lead} State:${roleName(state.role)}`;
}

export function describeConfState(state: ConfState): string {
  const list = (ids: readonly NodeId[]): string => `[${ids.join(' ')}]`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} ` +
    `Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  );
}

export function describeSnapshot(snapshot: Snapshot): string {
  return `Index:${snapshot.index} Term:${snapshot.term} ConfState:${describeConfState(snapshot.confState)}`;
}

function describeTarget(id: NodeId): string {
  if (id === NONE) return 'None';
  if (id === APPEND_THREAD) return 'AppendThread';
  return id === APPLY_THREAD ? 'ApplyThread' : hexId(id);
}

/** A message, without a final newline; several entries or responses take lines of their own. */
export function describeMessage(message: Message, format: DataFormat = quoted, indent = ''): string {
  const { entries, snapshot, responses } = message;
  let text =
    `${indent}${describeTarget(message.from)}->${describeTarget(message.to)} ${messageTypeName(message.type)} ` +
    `Term:${message.term} Log:${message.logTerm}/${message.index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== NONE) text += ` Vote:${message.vote}`;
  if (entries.length === 1) {
    text += ` Entries:[${describeEntry(entries[0], format)}]`;
  } else if (entries.length > 1) {
    const lines = entries.map((entry) => `\n${indent}  ${describeEntry(entry, format)}`);
    text += ` Entries:[${lines.join('')}\n${indent}]`;
  }
  if (snapshot !== undefined && snapshot.index !== 0)
    text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  if (responses.length > 0) {
    const lines = responses.map((response) => `\n${describeMessage(response, format, `${indent}  `)}`);
    text += ` Responses:[${lines.join('')}\n${indent}]`;
  }
  return text;
}

/** Append work as the message to the append thread that etcd-io/raft would make of it. */
export function appendWorkMessage(id: NodeId, work: AppendWork): Message {
  return new Message(MessageType.StorageAppend, {
    to: APPEND_THREAD,
    from: id,
    term: work.hardState?.term ?? 0,
    vote: work.hardState?.vote ?? NONE,
    commit: work.hardState?.commit ?? 0,
    entries: work.entries,
    snapshot: work.snapshot,
    responses: work.responses,
  });
}

/** Apply work as the message to the apply thread that etcd-io/raft would make of it. */
export function applyWorkMessage(id: NodeId, work: ApplyWork): Message {
  return new Message(MessageType.StorageApply, {
    to: APPLY_THREAD,
    from: id,
    entries: work.entries,
    responses: work.responses,
  });
}

/** A whole Ready of node `id`; `<empty Ready>` (no newline) when it asks for nothing. */
export function describeReady(id: NodeId, ready: Ready, format: DataFormat = quoted): string {
  let text = '';
  if (ready.softState !== undefined) text += `${describeSoftState(ready.softState)}\n`;
  if (ready.hardState !== undefined) text += `HardState ${describeHardState(ready.hardState)}\n`;
  if (ready.readStates.length > 0) {
    const states = ready.readStates.map((state) => `{${state.index} [${[...state.context].join(' ')}]}`);
    text += `ReadStates [${states.join(' ')}]\n`;
  }
  if (ready.entries.length > 0) text += `Entries:\n${describeEntries(ready.entries, format)}`;
  if (ready.snapshot !== undefined) text += `Snapshot ${describeSnapshot(ready.snapshot)}\n`;
  if (ready.committedEntries.length > 0) {
    text += `CommittedEntries:\n${describeEntries(ready.committedEntries, format)}`;
  }
  const messages = [...ready.messages];
  if (ready.append !== undefined) messages.push(appendWorkMessage(id, ready.append));
  if (ready.apply !== undefined) messages.push(applyWorkMessage(id, ready.apply));
  if (messages.length > 0) {
    text += `Messages:\n${messages.map((message) => `${describeMessage(message, format)}\n`).join('')}`;
  }
  return text === '' ? '<empty Ready>' : `Ready MustSync=${ready.mustSync}:\n${text}`;
}
