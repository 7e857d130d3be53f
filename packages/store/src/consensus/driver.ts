/**
 * The turn: everything that arrived since the last one goes into raft together, raft answers with one
 * Ready, and its parts leave for the peers, the WAL and the state machine. All waiting happens between
 * turns: disk and peers answer through the inbox. While one sync runs, what arrives becomes the next
 * batch, so load makes batches larger and not queues longer.
 *
 * It owns no timer: `tick` is called by its owner. It knows raft and the order things must happen in, and
 * nothing of what commands mean.
 */
import {
  Message,
  MessageType,
  NONE,
  Role,
  StorageError,
  type AppendWork,
  type ApplyWork,
  type ConfChange,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  type HardState,
  type NodeId,
  type RawNode,
  type Ready,
  type SoftState,
} from '@keelson/raft';
import { StoreError } from '../errors.ts';
import { RAFT_MESSAGE_BYTES_MAX } from '../limits.ts';
import type { LogTail } from './log-storage.ts';
import type { Proposals, QueuedCommand } from './proposals.ts';
import type { Reads } from './reads.ts';

/** The durable log; wal/wal.ts in production. Calls are made and done in order. */
export interface DurableLog {
  append(batch: {
    readonly entries: readonly Entry[];
    readonly hardState: HardState | undefined;
    readonly mustSync: boolean;
  }): Promise<void>;
}

/** Messages to the other members; peer/transport.ts in production. */
export interface MessageSender {
  send(messages: readonly Message[]): void;
}

/** What the driver hands work to. */
export interface DriverHandlers {
  /** Applies committed entries in order, synchronously; afterwards their results are with the waiters. */
  apply(entries: readonly Entry[]): void;
  /** The leader or this member's role changed. */
  leadership(soft: SoftState, term: number): void;
  /** A follower needs state that the log no longer has: send it the snapshot this message asks for. */
  sendSnapshot(message: Message): void;
  /**
   * Makes a received snapshot and the rest of its work durable and current: .snap file, WAL marker, entries
   * and hard state, backend, state machine. Later appends wait for it.
   */
  installSnapshot(work: AppendWork): Promise<void>;
  /** The WAL or a snapshot could not be written, or a law is broken: the member must stop. */
  fatal(error: Error): void;
}

export interface DriverOptions {
  readonly id: NodeId;
  /** Runs a task soon, after what is already pending (setImmediate in production). */
  readonly defer: (task: () => void) => void;
  readonly monotonicMs: () => number;
  /** Messages from peers waiting for the next turn; beyond it they are dropped, as a full network would. */
  readonly inboxMax: number;
}

export interface DriverCounters {
  turns: number;
  inboxDropped: number;
  proposalsCommitted: number;
  leaderChanges: number;
}

/** Readys handled in one turn before the event loop gets its chance. */
const READYS_PER_TURN_MAX = 16;
/** Bytes a follower passes on to the leader in one message: as an append's, one command more at most. */
const FORWARD_BYTES_MAX = RAFT_MESSAGE_BYTES_MAX;

export class Driver {
  readonly node: RawNode;
  private readonly tail: LogTail;
  private readonly log: DurableLog;
  private readonly sender: MessageSender;
  private readonly proposals: Proposals;
  private readonly reads: Reads;
  private readonly handlers: DriverHandlers;
  private readonly options: DriverOptions;
  readonly counters: DriverCounters = {
    turns: 0,
    inboxDropped: 0,
    proposalsCommitted: 0,
    leaderChanges: 0,
  };

  private inbox: Message[] = [];
  private tasks: (() => void)[] = [];
  private scheduled = false;
  private stopped = false;
  /** A snapshot is being installed; appends that come meanwhile wait in `behindSnapshot`. */
  private installing = false;
  private behindSnapshot: AppendWork[] = [];
  private leader: NodeId = 0n;
  private roleNow: Role = Role.Follower;
  private index = 0;
  private committedIndex = 0;
  private termNow = 0;

  constructor(
    node: RawNode,
    tail: LogTail,
    log: DurableLog,
    sender: MessageSender,
    proposals: Proposals,
    reads: Reads,
    handlers: DriverHandlers,
    options: DriverOptions,
    appliedIndex: number,
  ) {
    this.node = node;
    this.tail = tail;
    this.log = log;
    this.sender = sender;
    this.proposals = proposals;
    this.reads = reads;
    this.handlers = handlers;
    this.options = options;
    this.index = appliedIndex;
    const status = node.basicStatus();
    this.committedIndex = status.commit;
    this.termNow = status.term;
  }

  get role(): Role {
    return this.roleNow;
  }

  get leaderId(): NodeId {
    return this.leader;
  }

  get term(): number {
    return this.termNow;
  }

  get appliedIndex(): number {
    return this.index;
  }

  /** Messages that wait for the next turn. */
  get inboxLength(): number {
    return this.inbox.length;
  }

  get commitIndex(): number {
    return this.committedIndex;
  }

  /** One heartbeat interval has passed. */
  tick(): void {
    if (this.stopped) return;
    try {
      this.node.tick();
    } catch (error) {
      this.fatal(error);
    }
    this.schedule();
  }

  /** Messages from a peer, for the next turn. */
  receive(message: Message): void {
    if (this.inbox.length >= this.options.inboxMax) {
      this.counters.inboxDropped++;
      return;
    }
    this.inbox.push(message);
    this.schedule();
  }

  /** Something for raft between turns: a conf change, a transfer, a report of the transport. */
  run(task: (node: RawNode) => void): void {
    this.tasks.push(() => task(this.node));
    this.schedule();
  }

  /** New proposals or readers wait: there is a reason for a turn. */
  wake(): void {
    this.schedule();
  }

  /** @returns whether raft took the change; its result comes when it is applied */
  proposeConfChange(change: ConfChange | ConfChangeV2): Promise<'ok' | 'dropped'> {
    return new Promise((resolve) => {
      this.run((node) => resolve(node.proposeConfChange(change)));
    });
  }

  applyConfChange(change: ConfChange | ConfChangeV2): ConfState {
    return this.node.applyConfChange(change);
  }

  stop(): void {
    this.stopped = true;
    this.inbox = [];
    this.tasks = [];
  }

  private schedule(): void {
    if (this.scheduled || this.stopped) return;
    this.scheduled = true;
    this.options.defer(() => {
      this.scheduled = false;
      this.turn();
    });
  }

  private turn(): void {
    if (this.stopped) return;
    try {
      this.counters.turns++;
      this.takeInbox();
      this.propose();
      this.askReadIndex();
      let readys = 0;
      while (this.node.hasReady() && !this.stopped) {
        if (readys++ === READYS_PER_TURN_MAX) {
          this.schedule();
          return;
        }
        this.handle(this.node.ready());
      }
    } catch (error) {
      this.fatal(error);
    }
  }

  private takeInbox(): void {
    const tasks = this.tasks;
    if (tasks.length > 0) {
      this.tasks = [];
      for (const task of tasks) task();
    }
    const inbox = this.inbox;
    if (inbox.length > 0) {
      this.inbox = [];
      for (const message of inbox) this.node.step(message);
    }
  }

  private propose(): void {
    if (this.proposals.queuedCount === 0) return;
    // What raft knows now: the inbox may just have taken the leader away, or leadership from this member.
    const { lead, role } = this.node.basicStatus();
    // Without a leader nothing can be proposed; the commands wait in their queue until their time is up.
    if (lead === NONE) return;
    const leads = role === Role.Leader;
    const commands = this.proposals.take(leads);
    // A follower's go over the network as one message, which must stay within what the leader reads.
    const bytesMax = leads ? Infinity : FORWARD_BYTES_MAX;
    for (let first = 0; first < commands.length;) {
      let end = first;
      let bytes = 0;
      while (end < commands.length && (end === first || bytes + commands[end].data.length <= bytesMax))
        bytes += commands[end++].data.length;
      this.proposeTogether(end - first === commands.length ? commands : commands.slice(first, end));
      first = end;
    }
  }

  private proposeTogether(commands: readonly QueuedCommand[]): void {
    const data = commands.map((command) => command.data);
    if (this.node.propose(data) === 'dropped')
      this.proposals.drop(commands, new StoreError('PROPOSAL_DROPPED'));
  }

  private askReadIndex(): void {
    // Asked without a leader, raft would drop the question and only the retry would repeat it.
    if (this.reads.isIdle || this.node.basicStatus().lead === NONE) return;
    const context = this.reads.next(this.options.monotonicMs());
    if (context !== undefined) this.node.readIndex(context);
  }

  private handle(ready: Ready): void {
    if (ready.hardState !== undefined) {
      this.termNow = ready.hardState.term;
      this.committedIndex = Math.max(this.committedIndex, ready.hardState.commit);
    }
    if (ready.softState !== undefined) this.changeLeadership(ready.softState);
    for (const state of ready.readStates) this.reads.confirm(state.context, state.index);
    if (ready.readStates.length > 0) this.reads.applied(this.index);
    if (ready.messages.length > 0) this.send(ready.messages);
    if (ready.append !== undefined) this.persist(ready.append);
    if (ready.apply !== undefined) this.apply(ready.apply);
    // Readers that came while a round was in flight start the next one now.
    if (ready.readStates.length > 0 && this.reads.hasArrivals) this.askReadIndex();
  }

  private changeLeadership(soft: SoftState): void {
    const previous = this.leader;
    this.leader = soft.lead;
    this.roleNow = soft.role;
    if (soft.lead !== previous) {
      if (soft.lead !== 0n) {
        this.counters.leaderChanges++;
        this.reads.leaderChanged();
        this.schedule();
      }
    }
    this.handlers.leadership(soft, this.termNow);
  }

  private send(messages: readonly Message[]): void {
    let plain: Message[] | undefined;
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i];
      if (message.type === MessageType.Snap) {
        plain ??= messages.slice(0, i);
        this.handlers.sendSnapshot(message);
      } else plain?.push(message);
    }
    const rest = plain ?? messages;
    if (rest.length > 0) this.sender.send(rest);
  }

  private persist(work: AppendWork): void {
    if (this.installing) {
      this.behindSnapshot.push(work);
      return;
    }
    if (work.snapshot === undefined) {
      void this.persistNow(work);
      return;
    }
    this.installing = true;
    void this.persistNow(work).then(() => {
      this.installing = false;
      const behind = this.behindSnapshot;
      this.behindSnapshot = [];
      for (const next of behind) this.persist(next);
    });
  }

  /** Never rejects: what goes wrong here stops the member. */
  private async persistNow(work: AppendWork): Promise<void> {
    try {
      if (work.snapshot === undefined) await this.log.append(work);
      else await this.handlers.installSnapshot(work);
      if (this.stopped) return;
      if (work.snapshot !== undefined) {
        this.tail.applySnapshot(work.snapshot);
        this.index = Math.max(this.index, work.snapshot.index);
        this.reads.applied(this.index);
      }
      if (work.hardState !== undefined) this.tail.setHardState(work.hardState);
      this.tail.append(work.entries);
      this.deliver(work.responses);
    } catch (error) {
      this.fatal(error);
    }
  }

  /** Promises made from what is now durable may leave. */
  private deliver(responses: readonly Message[]): void {
    let outgoing: Message[] | undefined;
    for (const response of responses) {
      if (response.to !== this.options.id) (outgoing ??= []).push(response);
      else if (!this.isRepeated(response)) this.inbox.push(response);
    }
    if (outgoing !== undefined) this.sender.send(outgoing);
    this.schedule();
  }

  private stableIndex = 0;
  private stableTerm = 0;
  private stableNodeTerm = 0;

  /**
   * Every append's answer names the newest unstable entry, so those of appends without entries repeat what
   * raft has been told; it would look each one up in vain and say so in the log. One of another term of the
   * node does not: raft ignores an answer from before its term and needs the later one.
   */
  private isRepeated(response: Message): boolean {
    if (response.type !== MessageType.StorageAppendResp || response.snapshot !== undefined) return false;
    if (
      response.index === this.stableIndex &&
      response.logTerm === this.stableTerm &&
      response.term === this.stableNodeTerm
    )
      return true;
    this.stableNodeTerm = response.term;
    this.stableIndex = response.index;
    this.stableTerm = response.logTerm;
    return false;
  }

  private apply(work: ApplyWork): void {
    const entries = work.entries;
    this.handlers.apply(entries);
    const last = entries[entries.length - 1];
    if (last !== undefined) {
      this.index = last.index;
      this.counters.proposalsCommitted += entries.length;
    }
    for (const response of work.responses) this.node.step(response);
    this.reads.applied(this.index);
  }

  /** Term of an entry still in the tail, for a snapshot taken at its index. */
  termAt(index: number): number | undefined {
    const term = this.tail.term(index);
    return term === StorageError.Compacted || term === StorageError.Unavailable ? undefined : term;
  }

  private fatal(error: unknown): void {
    if (this.stopped) return;
    this.stop();
    this.handlers.fatal(error instanceof Error ? error : new Error(String(error)));
  }
}
