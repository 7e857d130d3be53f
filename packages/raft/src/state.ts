/**
 * The fields of one node, and the few moves every role shares: sending, appending to one's own log,
 * starting a term afresh. What a node does with a message is decided in the files above this one.
 */
import { assert, hexId } from '@keelson/base';
import type { RaftLogLevel, SettledConfig } from './config.ts';
import { payloadsSize } from './entry-size.ts';
import { RaftLog } from './log.ts';
import { ReadQueue } from './read-queue.ts';
import { Tracker } from './tracker.ts';
import {
  Entry,
  type HardState,
  Message,
  MessageType,
  NONE,
  type NodeId,
  type ReadState,
  Role,
} from './types.ts';

/**
 * Laws: term never falls; vote is given once a term; `lead` is NONE or the one leader of `term`;
 * leadTransferee, pendingConfIndex and uncommittedSize mean something on a leader only.
 */
export class RaftState {
  readonly id: NodeId;
  /** The id as log lines print it. */
  readonly name: string;
  readonly config: SettledConfig;
  readonly log: RaftLog;
  readonly tracker: Tracker;

  term = 0;
  vote: NodeId = NONE;
  lead: NodeId = NONE;
  role: Role = Role.Follower;
  isLearner = false;

  /** Who is to lead next, while proposals wait for it; NONE otherwise. */
  leadTransferee: NodeId = NONE;
  /** No conf change is admitted until this index is applied. */
  pendingConfIndex = 0;
  /** Payload of own-term entries not yet applied. */
  uncommittedSize = 0;

  electionElapsed = 0;
  heartbeatElapsed = 0;
  randomizedElectionTimeout = 0;

  /** May leave at once. */
  messages: Message[] = [];
  /** May leave (or be stepped here) only when everything unstable so far is durable. */
  afterAppend: Message[] = [];
  readStates: ReadState[] = [];
  readonly reads = new ReadQueue();
  /** Reads that came before this leader committed an entry of its own term. */
  earlyReads: Message[] = [];

  constructor(config: SettledConfig) {
    this.id = config.id;
    this.name = hexId(config.id);
    this.config = config;
    this.log = new RaftLog(config.storage, config.logger, config.maxCommittedSizePerReady);
    this.tracker = new Tracker(config.maxInflightMsgs, config.maxInflightBytes);
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** Writes a log line; `build` runs only when the level is on. */
  print(level: RaftLogLevel, build: () => string): void {
    if (this.config.logger.enabled(level)) this.config.logger.log(level, build());
  }

  /**
   * Queues a message, setting sender and term. Votes carry the term they are about, set by the caller;
   * proposals and reads carry none, since whoever leads when they arrive may take them.
   */
  send(message: Message): void {
    if (message.from === NONE) message.from = this.id;
    switch (message.type) {
      case MessageType.Vote:
      case MessageType.VoteResp:
      case MessageType.PreVote:
      case MessageType.PreVoteResp:
        assert(message.term !== 0, 'a vote is sent without its term');
        break;
      case MessageType.Prop:
      case MessageType.ReadIndex:
        assert(message.term === 0, 'a proposal or read is sent with a term');
        break;
      default:
        assert(message.term === 0, 'the term is set by send');
        message.term = this.term;
    }
    switch (message.type) {
      case MessageType.AppResp:
      case MessageType.VoteResp:
      case MessageType.PreVoteResp:
        this.afterAppend.push(message);
        break;
      default:
        assert(message.to !== this.id, 'a message that needs no durability is sent to oneself');
        this.messages.push(message);
    }
  }

  /**
   * Appends to the own log under the current term, unless too much is uncommitted already. The entries
   * given are patterns (type and data), copied unless they are in their place already; the acknowledgement
   * to oneself follows once they are durable.
   *
   * @returns false when refused
   */
  appendOwn(patterns: readonly Entry[]): boolean {
    const payload = payloadsSize(patterns);
    // An empty proposal (a new leader's, leaving a joint config) is never refused, nor is the first one.
    const over = this.uncommittedSize + payload > this.config.maxUncommittedEntriesSize;
    if (over && this.uncommittedSize > 0 && payload > 0) {
      this.print(
        'warn',
        () =>
          `${this.name} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
      );
      return false;
    }
    this.uncommittedSize += payload;
    const first = this.log.lastIndex() + 1;
    const entries: Entry[] = [];
    for (let i = 0; i < patterns.length; i++) {
      const pattern = patterns[i];
      const placed = pattern.term === this.term && pattern.index === first + i;
      entries.push(placed ? pattern : pattern.placedAt(this.term, first + i));
    }
    const last = this.log.append(entries);
    this.send(new Message(MessageType.AppResp, { to: this.id, index: last }));
    return true;
  }

  /** Applied entries no longer count as uncommitted. */
  releaseUncommitted(size: number): void {
    this.uncommittedSize = size > this.uncommittedSize ? 0 : this.uncommittedSize - size;
  }

  /** Nothing known about anyone, in `term`: the start of every role but pre-candidate. */
  reset(term: number): void {
    assert(term >= this.term, () => `term falls from ${this.term} to ${term}`);
    if (this.term !== term) {
      this.term = term;
      this.vote = NONE;
    }
    this.lead = NONE;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.randomizedElectionTimeout =
      this.config.electionTick + this.config.prng.below(this.config.electionTick);
    this.leadTransferee = NONE;
    this.tracker.votes.clear();
    const last = this.log.lastIndex();
    for (const progress of this.tracker.progresses) {
      progress.forget(progress.id === this.id ? last : 0, last + 1);
    }
    this.pendingConfIndex = 0;
    this.uncommittedSize = 0;
    this.reads.clear();
    this.earlyReads = [];
  }

  /** Whether this node may campaign: a voter, as far as it knows, with no snapshot half applied. */
  promotable(): boolean {
    const progress = this.tracker.get(this.id);
    return progress !== undefined && !progress.isLearner && !this.log.hasUnstableSnapshot();
  }

  /** Whether an entry of this term is committed: only then is the commit index known to be current. */
  committedInTerm(): boolean {
    return this.log.termOrZero(this.log.committed) === this.term;
  }
}
