/**
 * The one class a driver holds. It turns calls into steps of the core and the core's output into Ready;
 * it has no thread, no timer and no queue of its own. Not re-entrant: one call at a time.
 *
 * Asynchronous storage writes are native: each Ready hands out work whose responses the driver delivers
 * when the work is done. The synchronous mode (advance) keeps those responses here and steps them itself.
 */
import { assert } from '@keelson/base';
import { encodeConfChange, encodeConfChangeV2 } from './conf-change-codec.ts';
import type { RaftConfig } from './config.ts';
import { entriesSize } from './entry-size.ts';
import type { StepOutcome } from './follower.ts';
import { handleProposal } from './leader.ts';
import { applyConfChange } from './membership.ts';
import { createState, startCampaign, step, tick } from './raft.ts';
import type { AppendWork, ApplyWork, Ready } from './ready.ts';
import type { RaftState } from './state.ts';
import { type BasicStatus, basicStatus, fullStatus, type Status } from './status.ts';
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type ConfChange,
  type ConfChangeV2,
  type ConfState,
  Entry,
  EntryType,
  type HardState,
  Message,
  MessageType,
  type NodeId,
  type ReadState,
  Role,
  type Snapshot,
  type SoftState,
} from './types.ts';

/**
 * 'dropped': a proposal nobody took. 'local-message': the network must not bring what only a node tells
 * itself. 'peer-not-found': a response from a node that is not in the configuration (removed, or not yet in).
 */
export type StepResult = StepOutcome | 'local-message' | 'peer-not-found';

const NO_MESSAGES: readonly Message[] = [];
const NO_ENTRIES: readonly Entry[] = [];
const NO_READ_STATES: readonly ReadState[] = [];

export class RawNode {
  readonly id: NodeId;
  private readonly state: RaftState;
  private readonly async: boolean;
  private softState: SoftState;
  private hardState: HardState;
  /** Synchronous mode: what advance() steps. */
  private onAdvance: Message[] = [];

  /** @throws RaftConfigError when the configuration cannot work */
  constructor(config: RaftConfig) {
    this.state = createState(config);
    this.id = this.state.id;
    this.async = this.state.config.asyncStorageWrites;
    this.softState = { lead: this.state.lead, role: this.state.role };
    this.hardState = this.state.hardState();
  }

  /** One tick of the clock that electionTick and heartbeatTick count. */
  tick(): void {
    tick(this.state);
  }

  /** Campaign now, without waiting for the timeout. */
  campaign(): void {
    startCampaign(this.state);
  }

  /** Proposes entries, in one message; they stay together in the log or are dropped together. */
  propose(data: readonly Buffer[]): StepOutcome {
    const { state } = this;
    // A leader knows their place already, so these very objects can go into its log.
    const leads = state.role === Role.Leader;
    const term = leads ? state.term : 0;
    const last = leads ? state.log.lastIndex() : 0;
    const entries: Entry[] = [];
    for (let i = 0; i < data.length; i++) {
      entries.push(new Entry(term, leads ? last + 1 + i : 0, EntryType.Normal, data[i]));
    }
    return this.proposeEntries(entries);
  }

  /** Proposes a membership change; a v1 change stays one on the log. */
  proposeConfChange(change: ConfChange | ConfChangeV2): StepOutcome {
    const entry =
      'changes' in change
        ? new Entry(0, 0, EntryType.ConfChangeV2, encodeConfChangeV2(change))
        : new Entry(0, 0, EntryType.ConfChange, encodeConfChange(change));
    return this.proposeEntries([entry]);
  }

  private proposeEntries(entries: readonly Entry[]): StepOutcome {
    if (this.state.role === Role.Leader) return handleProposal(this.state, entries);
    return step(this.state, new Message(MessageType.Prop, { from: this.id, entries }));
  }

  /**
   * Puts a committed change in force; called while applying its entry, on every node alike. A change
   * that the state machine refuses is passed with its node ids set to 0.
   */
  applyConfChange(change: ConfChange | ConfChangeV2): ConfState {
    return applyConfChange(this.state, change);
  }

  /**
   * Asks for an index to read at; the answer is a ReadState with the same context, or nothing at all
   * (no leader, leader lost): then ask again with a new context. `context` is not empty and never reused.
   */
  readIndex(context: Buffer): void {
    assert(context.length > 0, 'a read needs a context to be told apart');
    const entries = [new Entry(0, 0, EntryType.Normal, context)];
    step(this.state, new Message(MessageType.ReadIndex, { entries }));
  }

  /** Takes a message from a peer, or a response of append or apply work. */
  step(message: Message): StepResult {
    const fromStorage = message.from === APPEND_THREAD || message.from === APPLY_THREAD;
    if (!fromStorage) {
      if (isLocal(message.type)) return 'local-message';
      if (isResponse(message.type) && this.state.tracker.get(message.from) === undefined)
        return 'peer-not-found';
    }
    return step(this.state, message);
  }

  /** Sending to `id` failed: stop sending ahead until it answers again. */
  reportUnreachable(id: NodeId): void {
    step(this.state, new Message(MessageType.Unreachable, { from: id }));
  }

  /** What became of the snapshot for `id`. Without a report the peer gets nothing more until it answers itself. */
  reportSnapshot(id: NodeId, ok: boolean): void {
    step(this.state, new Message(MessageType.SnapStatus, { from: id, reject: !ok }));
  }

  /** Asks that `to` become leader; proposals are dropped until it does or an election timeout has passed. */
  transferLeader(to: NodeId): void {
    step(this.state, new Message(MessageType.TransferLeader, { from: to }));
  }

  /** A follower believes its leader dead and lets go of it, so that it grants pre-votes at once. */
  forgetLeader(): void {
    step(this.state, new Message(MessageType.ForgetLeader));
  }

  status(): Status {
    return fullStatus(this.state);
  }

  basicStatus(): BasicStatus {
    return basicStatus(this.state);
  }

  /** Sets the ticks of silence after which this node campaigns, until its next change of role. For simulations. */
  setRandomizedElectionTimeout(ticks: number): void {
    this.state.randomizedElectionTimeout = ticks;
  }

  hasReady(): boolean {
    const { state } = this;
    return (
      state.messages.length > 0 ||
      state.afterAppend.length > 0 ||
      state.readStates.length > 0 ||
      state.log.unstable.hasNextEntries() ||
      state.log.unstable.nextSnapshot() !== undefined ||
      state.log.hasNextCommitted(!this.async) ||
      this.softStateChanged() ||
      this.hardStateChanged()
    );
  }

  /**
   * All that is to be done now. Handing it out is taking it: the same work never appears twice. In
   * synchronous mode advance() must follow before the next one.
   */
  ready(): Ready {
    const { state } = this;
    const { log } = state;
    assert(this.onAdvance.length === 0, 'two accepted Ready structs without call to Advance');
    const softState = this.softStateChanged() ? { lead: state.lead, role: state.role } : undefined;
    const hardState = this.hardStateChanged() ? state.hardState() : undefined;
    const entries = log.unstable.hasNextEntries() ? log.unstable.nextEntries() : NO_ENTRIES;
    const snapshot = log.unstable.nextSnapshot();
    const committedEntries = log.nextCommitted(!this.async);
    const mustSync =
      entries.length > 0 ||
      (hardState !== undefined &&
        (hardState.term !== this.hardState.term || hardState.vote !== this.hardState.vote));
    const appended = this.appendResponse(entries, snapshot);
    const applied =
      committedEntries.length === 0
        ? undefined
        : new Message(MessageType.StorageApplyResp, {
            to: this.id,
            from: APPLY_THREAD,
            entries: committedEntries,
          });

    let messages: readonly Message[] = state.messages.length > 0 ? state.messages : NO_MESSAGES;
    let append: AppendWork | undefined;
    let apply: ApplyWork | undefined;
    if (this.async) {
      const responses = state.afterAppend;
      const needed =
        entries.length > 0 || hardState !== undefined || snapshot !== undefined || responses.length > 0;
      if (needed) {
        if (appended !== undefined) responses.push(appended);
        // The work owns this array from now on, also an empty one: what is promised later must not reach
        // a work that is being written already.
        state.afterAppend = [];
        append = { hardState, entries, snapshot, responses, mustSync };
      }
      if (applied !== undefined) apply = { entries: committedEntries, responses: [applied] };
    } else {
      messages = this.splitAfterAppend(messages);
      state.afterAppend = [];
      if (appended !== undefined) this.onAdvance.push(appended);
      if (applied !== undefined) this.onAdvance.push(applied);
    }
    const readStates: readonly ReadState[] = state.readStates.length > 0 ? state.readStates : NO_READ_STATES;

    if (softState !== undefined) this.softState = softState;
    if (hardState !== undefined) this.hardState = hardState;
    if (readStates.length > 0) state.readStates = [];
    if (state.messages.length > 0) state.messages = [];
    log.unstable.acceptInProgress();
    if (committedEntries.length > 0) {
      const last = committedEntries[committedEntries.length - 1].index;
      log.acceptApplying(last, entriesSize(committedEntries), !this.async);
    }
    return {
      softState,
      hardState,
      readStates,
      entries,
      snapshot,
      committedEntries,
      messages,
      mustSync,
      append,
      apply,
    };
  }

  /** Synchronous mode only: the last Ready is written and applied. */
  advance(_ready?: Ready): void {
    assert(!this.async, 'Advance must not be called when using AsyncStorageWrites');
    const steps = this.onAdvance;
    this.onAdvance = [];
    for (const message of steps) step(this.state, message);
  }

  /**
   * What tells the log that it is durable up to here. It names the last entry with its term, and the
   * node's own term: after a later leader replaced these entries (and perhaps put equal ones back) an
   * answer for the older write must not count for the newer one.
   */
  private appendResponse(entries: readonly Entry[], snapshot: Snapshot | undefined): Message | undefined {
    const { log, term } = this.state;
    const unstable = log.hasUnstableEntries();
    if (!unstable && snapshot === undefined) return undefined;
    assert(unstable || entries.length === 0, 'entries are handed out that are not unstable');
    return new Message(MessageType.StorageAppendResp, {
      to: this.id,
      from: APPEND_THREAD,
      term,
      index: unstable ? log.lastIndex() : 0,
      logTerm: unstable ? log.lastTerm() : 0,
      snapshot,
    });
  }

  /** Synchronous mode: the driver writes before it sends, so only what is for ourselves waits. */
  private splitAfterAppend(messages: readonly Message[]): readonly Message[] {
    const all = messages.slice();
    for (const message of this.state.afterAppend) {
      if (message.to === this.id) this.onAdvance.push(message);
      else all.push(message);
    }
    return all;
  }

  private softStateChanged(): boolean {
    return this.softState.lead !== this.state.lead || this.softState.role !== this.state.role;
  }

  private hardStateChanged(): boolean {
    const { state, hardState } = this;
    return (
      hardState.commit !== state.log.committed ||
      hardState.term !== state.term ||
      hardState.vote !== state.vote
    );
  }
}

/** What a node only ever tells itself. */
function isLocal(type: MessageType): boolean {
  switch (type) {
    case MessageType.Hup:
    case MessageType.Beat:
    case MessageType.Unreachable:
    case MessageType.SnapStatus:
    case MessageType.CheckQuorum:
    case MessageType.StorageAppend:
    case MessageType.StorageAppendResp:
    case MessageType.StorageApply:
    case MessageType.StorageApplyResp:
      return true;
    default:
      return false;
  }
}

/** What only a member of the configuration may answer. */
function isResponse(type: MessageType): boolean {
  switch (type) {
    case MessageType.AppResp:
    case MessageType.VoteResp:
    case MessageType.HeartbeatResp:
    case MessageType.ReadIndexResp:
    case MessageType.PreVoteResp:
      return true;
    default:
      return false;
  }
}
