/**
 * The words of the core: entries, messages, hard state, snapshots. Numbers we count (term, index) are
 * `number`; node ids are etcd's 64-bit member ids and stay `bigint`. Names and numeric values are
 * raftpb's, so the store's codec maps one to one.
 */
import { EMPTY } from '@keelson/base';

export type NodeId = bigint;

/** "No node": no leader, no vote. */
export const NONE: NodeId = 0n;
/** Pseudo ids of the storage threads in asynchronous mode (messages to self's disk and state machine). */
export const APPEND_THREAD: NodeId = 0xffff_ffff_ffff_ffffn;
export const APPLY_THREAD: NodeId = 0xffff_ffff_ffff_fffen;

export const EntryType = { Normal: 0, ConfChange: 1, ConfChangeV2: 2 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/**
 * One item of the log. Law: (term, index) names an entry's content for ever (log matching, Raft §5.3).
 * Entries and their data are never mutated once made.
 *
 * A log keeps them by the hundred thousand, so an entry is one object: its payload is a stretch of bytes that it may
 * share with its neighbours, and so is its encoded form, of which the payload is usually the end.
 */
export class Entry {
  readonly term: number;
  readonly index: number;
  readonly type: EntryType;
  /** What the payload and the encoded form lie in. */
  private bytes: Buffer;
  private dataStart: number;
  private dataEnd: number;
  /** -1 when the entry has no encoded form yet. */
  private encodedFrom: number;
  private encodedTo: number;

  constructor(
    term: number,
    index: number,
    type: EntryType = EntryType.Normal,
    bytes: Buffer = EMPTY,
    dataStart = 0,
    dataEnd: number = bytes.length,
  ) {
    this.term = term;
    this.index = index;
    this.type = type;
    this.bytes = bytes;
    this.dataStart = dataStart;
    this.dataEnd = dataEnd;
    this.encodedFrom = -1;
    this.encodedTo = -1;
  }

  /** The payload: a view, made for the caller unless the entry has bytes of its own. */
  get data(): Buffer {
    const { bytes, dataStart, dataEnd } = this;
    return dataStart === 0 && dataEnd === bytes.length ? bytes : bytes.subarray(dataStart, dataEnd);
  }

  get dataLength(): number {
    return this.dataEnd - this.dataStart;
  }

  /** Payload and encoded form lie in here: [dataOffset, + dataLength) and [encodedStart, encodedEnd). */
  get block(): Buffer {
    return this.bytes;
  }

  get dataOffset(): number {
    return this.dataStart;
  }

  /** Where the encoded form begins in `block`; -1 for an entry that has none. */
  get encodedStart(): number {
    return this.encodedFrom;
  }

  get encodedEnd(): number {
    return this.encodedTo;
  }

  /**
   * This entry as raftpb bytes, for the driver's codec: encoded once for the WAL and every peer. The core never
   * reads it. A view, as `data` is.
   */
  get encoded(): Buffer | undefined {
    const { bytes, encodedFrom, encodedTo } = this;
    if (encodedFrom < 0) return undefined;
    return encodedFrom === 0 && encodedTo === bytes.length ? bytes : bytes.subarray(encodedFrom, encodedTo);
  }

  /**
   * Moves the entry to where it has been encoded: bytes[start, end), with the same payload from `dataStart` on.
   * What it lay in before is free.
   */
  encodedIn(block: Buffer, start: number, end: number, dataStart: number): void {
    this.dataEnd = dataStart + this.dataLength;
    this.dataStart = dataStart;
    this.bytes = block;
    this.encodedFrom = start;
    this.encodedTo = end;
  }

  /** Its encoded form is not to be used: the entry will get another term and index. */
  forgetEncoded(): void {
    this.encodedFrom = -1;
    this.encodedTo = -1;
  }

  /** The same payload at a place in the log. */
  placedAt(term: number, index: number): Entry {
    return new Entry(term, index, this.type, this.bytes, this.dataStart, this.dataEnd);
  }
}

export const MessageType = {
  Hup: 0,
  Beat: 1,
  Prop: 2,
  App: 3,
  AppResp: 4,
  Vote: 5,
  VoteResp: 6,
  Snap: 7,
  Heartbeat: 8,
  HeartbeatResp: 9,
  Unreachable: 10,
  SnapStatus: 11,
  CheckQuorum: 12,
  TransferLeader: 13,
  TimeoutNow: 14,
  ReadIndex: 15,
  ReadIndexResp: 16,
  PreVote: 17,
  PreVoteResp: 18,
  StorageAppend: 19,
  StorageAppendResp: 20,
  StorageApply: 21,
  StorageApplyResp: 22,
  ForgetLeader: 23,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** Membership as snapshots and the state machine carry it; ids ascending. */
export interface ConfState {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly votersOutgoing: readonly NodeId[];
  readonly learnersNext: readonly NodeId[];
  readonly autoLeave: boolean;
}

export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

/** State up to and including `index`. Law: every entry at or below `index` is committed. */
export class Snapshot {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  readonly data: Buffer;

  constructor(index: number, term: number, confState: ConfState, data: Buffer = EMPTY) {
    this.index = index;
    this.term = term;
    this.confState = confState;
    this.data = data;
  }
}

/** What must be durable before a promise made from it leaves this node (thesis §3.8). */
export interface HardState {
  readonly term: number;
  readonly vote: NodeId;
  readonly commit: number;
}

/** Volatile facts worth telling the application when they change. */
export interface SoftState {
  readonly lead: NodeId;
  readonly role: Role;
}

export const Role = { Follower: 0, Candidate: 1, Leader: 2, PreCandidate: 3 } as const;
export type Role = (typeof Role)[keyof typeof Role];

/** A read that may be served once the state machine has applied `index`. */
export interface ReadState {
  readonly index: number;
  readonly context: Buffer;
}

/** Fields of {@link Message}; all that are left out are 0, NONE, empty or undefined. */
export interface MessageFields {
  to?: NodeId;
  from?: NodeId;
  term?: number;
  logTerm?: number;
  index?: number;
  entries?: readonly Entry[];
  commit?: number;
  vote?: NodeId;
  snapshot?: Snapshot | undefined;
  reject?: boolean;
  rejectHint?: number;
  context?: Buffer;
  responses?: readonly Message[];
}

const NO_ENTRIES: readonly Entry[] = [];
const NO_RESPONSES: readonly Message[] = [];

/** What one node says to another, or to its own storage. One shape for all types (raftpb.Message). */
export class Message {
  type: MessageType;
  to: NodeId;
  from: NodeId;
  term: number;
  logTerm: number;
  index: number;
  entries: readonly Entry[];
  commit: number;
  vote: NodeId;
  snapshot: Snapshot | undefined;
  reject: boolean;
  rejectHint: number;
  context: Buffer;
  responses: readonly Message[];

  constructor(type: MessageType, fields: MessageFields = {}) {
    this.type = type;
    this.to = fields.to ?? NONE;
    this.from = fields.from ?? NONE;
    this.term = fields.term ?? 0;
    this.logTerm = fields.logTerm ?? 0;
    this.index = fields.index ?? 0;
    this.entries = fields.entries ?? NO_ENTRIES;
    this.commit = fields.commit ?? 0;
    this.vote = fields.vote ?? NONE;
    this.snapshot = fields.snapshot;
    this.reject = fields.reject ?? false;
    this.rejectHint = fields.rejectHint ?? 0;
    this.context = fields.context ?? EMPTY;
    this.responses = fields.responses ?? NO_RESPONSES;
  }
}

export const ConfChangeType = { AddNode: 0, RemoveNode: 1, UpdateNode: 2, AddLearnerNode: 3 } as const;
export type ConfChangeType = (typeof ConfChangeType)[keyof typeof ConfChangeType];

export const ConfChangeTransition = { Auto: 0, JointImplicit: 1, JointExplicit: 2 } as const;
export type ConfChangeTransition = (typeof ConfChangeTransition)[keyof typeof ConfChangeTransition];

export interface ConfChangeSingle {
  readonly type: ConfChangeType;
  readonly nodeId: NodeId;
}

/** A membership change. `id` is only carried by the v1 form. An empty change list leaves a joint config. */
export interface ConfChangeV2 {
  readonly transition: ConfChangeTransition;
  readonly changes: readonly ConfChangeSingle[];
  readonly context: Buffer;
}

/** The v1 form: one change, EntryType.ConfChange on the log. */
export interface ConfChange {
  readonly id: bigint;
  readonly type: ConfChangeType;
  readonly nodeId: NodeId;
  readonly context: Buffer;
}
