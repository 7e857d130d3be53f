/**
 * A history: what clients asked and were answered, what watchers were told, and what is known of the members, each
 * with its place in one order. It holds facts only; what they mean is the checker's to say.
 *
 * **Order.** One recorder, in one process, counts its events: `called`, `returned` and `seq` are places in that one count,
 * all different. What returned at a lower place than another was called at happened before it. Times (`…Ms`) are of
 * one monotonic clock of any beginning; they serve the laws of leases and the reports only.
 */
import type { KeyValue, Request, Response } from './request.ts';

export type Outcome =
  | { readonly kind: 'ok'; readonly response: Response }
  /** It certainly did nothing, now and later. */
  | { readonly kind: 'refused'; readonly code: string; readonly text: string }
  /** It may take effect: at once, later, or never. */
  | { readonly kind: 'unknown'; readonly code?: string; readonly text?: string };

export interface Operation {
  readonly type: 'operation';
  /** From 0, in the order of calls. */
  readonly id: number;
  readonly client: number;
  /** The member asked, by the recorder's name; undefined: any. */
  readonly member?: string;
  /** As whom; undefined: without a name. */
  readonly user?: string;
  readonly called: number;
  readonly callMs: number;
  /** Undefined: never. An unknown outcome may have one: when its client gave up. */
  readonly returned?: number;
  readonly returnMs?: number;
  readonly request: Request;
  readonly outcome: Outcome;
}

/** A watch as it was asked for. */
export interface Watch {
  readonly type: 'watch';
  /** The recorder's own number, all watches of a history counted. */
  readonly watch: number;
  /** The recorder's number of the stream it is on; progress of the whole stream concerns all its watches. */
  readonly stream: number;
  readonly client: number;
  readonly member?: string;
  readonly user?: string;
  readonly called: number;
  readonly callMs: number;
  readonly key: string;
  readonly end?: string;
  /** Undefined or 0: what comes after its creation. */
  readonly start?: number;
  readonly noPut?: boolean;
  readonly noDelete?: boolean;
  readonly prevKv?: boolean;
  readonly progressNotify?: boolean;
  readonly fragment?: boolean;
  /** The recorder's number of the watch that this one goes on for. */
  readonly resumes?: number;
}

export interface WatchEvent {
  readonly kind: 'put' | 'delete';
  /** Of a delete: key and mod; create and version 0, value ''. */
  readonly kv: KeyValue;
  readonly prev?: KeyValue;
}

/** One response, as it came. */
export interface WatchResponse {
  readonly type: 'watchResponse';
  /** Undefined: of the whole stream (watch id -1): a progress report, or a refusal that names no watch. */
  readonly watch?: number;
  readonly stream: number;
  readonly seq: number;
  readonly ms: number;
  /** Of its header. */
  readonly revision: number;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly reason?: string;
  readonly fragment?: boolean;
  readonly events?: readonly WatchEvent[];
}

/** The client asked to end a watch; the answer may still be preceded by events. */
export interface WatchCancel {
  readonly type: 'watchCancel';
  readonly watch: number;
  readonly seq: number;
  readonly ms: number;
}

/** A stream ended, by the client or by what happened to it; its watches are told nothing more. */
export interface StreamEnd {
  readonly type: 'streamEnd';
  readonly stream: number;
  readonly seq: number;
  readonly ms: number;
  readonly code?: string;
  readonly text?: string;
}

/** What is known of members, or was done to them. */
export type Fact =
  /** A member's process ended without warning, or all its state in memory was lost. */
  | { readonly type: 'crash'; readonly seq: number; readonly ms: number; readonly member: string }
  | { readonly type: 'start'; readonly seq: number; readonly ms: number; readonly member: string }
  /** A member that runs has come to know that it only learns. */
  | { readonly type: 'learns'; readonly seq: number; readonly ms: number; readonly member: string }
  /** Any other fault, or its end (`heals`). `writesWithinMs`: a write must be acknowledged within this time from now. */
  | {
      readonly type: 'fault';
      readonly seq: number;
      readonly ms: number;
      readonly name: string;
      readonly members?: readonly string[];
      readonly heals?: boolean;
      readonly writesWithinMs?: number;
    }
  | {
      readonly type: 'leader';
      readonly seq: number;
      readonly ms: number;
      readonly member: string;
      readonly term: number;
    }
  /** A member's hash of its keys, as HashKV tells or as read from it; also taken from `hashKv` operations. */
  | {
      readonly type: 'hash';
      readonly seq: number;
      readonly ms: number;
      readonly member: string;
      readonly revision: number;
      /** -1: never compacted. */
      readonly compactRevision: number;
      readonly hash: number;
    }
  /**
   * All that happened at a revision, in order, as a member applied it: from the merged logs, or from inside. Events
   * need no `prev`. `operation`: whose it was; `lease`: it ended this one, by itself.
   */
  | {
      readonly type: 'applied';
      readonly seq: number;
      readonly ms: number;
      readonly member?: string;
      readonly revision: number;
      readonly events: readonly WatchEvent[];
      readonly operation?: number;
      readonly expired?: string;
    }
  /** Faults are over and all is quiet: each open watch has been told all that is not later than `revision`. */
  | { readonly type: 'settled'; readonly seq: number; readonly ms: number; readonly revision: number };

/** The first line. What the store held when the history began; by default nothing, at revision 1. */
export interface Beginning {
  readonly type: 'history';
  readonly format: 1;
  readonly name?: string;
  readonly revision?: number;
  /** Undefined: never compacted. */
  readonly compactRevision?: number;
  readonly kvs?: readonly KeyValue[];
  /** Leases that were there, with the seconds they were granted. */
  readonly leases?: readonly { readonly id: string; readonly ttl: number }[];
  /** Members that count from the beginning. */
  readonly members?: readonly string[];
  /** Milliseconds that the fastest member's clock counts in one of the recorder's; 1 by default. Leases are over by so much sooner. */
  readonly fastestClock?: number;
  /** How long a cluster may be without a leader unnoticed; the laws of late expiry need it. */
  readonly electionTimeoutMs?: number;
}

export type WatchRecord = Watch | WatchResponse | WatchCancel | StreamEnd;
export type HistoryRecord = Beginning | Operation | WatchRecord | Fact;

export interface History {
  readonly beginning: Beginning;
  /** In the order of their ids. */
  readonly operations: readonly Operation[];
  /** In the order they were written down, which is the order of their places. */
  readonly watches: readonly WatchRecord[];
  readonly facts: readonly Fact[];
}
