/**
 * One peer as its leader sees it: how far its log is known to agree, where to send from, and how much may
 * be on its way. It decides nothing about messages; replication does. Modelled on etcd-io/raft's
 * tracker.Progress.
 */
import { Inflights } from './inflights.ts';
import type { NodeId } from './types.ts';

export const ProgressState = {
  /** The end of agreement is unknown: one append, then wait for an answer. */
  Probe: 0,
  /** Agreement is known: send ahead, up to the window. */
  Replicate: 1,
  /** The peer needs a snapshot: nothing but that until it reports. */
  Snapshot: 2,
} as const;
export type ProgressState = (typeof ProgressState)[keyof typeof ProgressState];

const NAMES = ['StateProbe', 'StateReplicate', 'StateSnapshot'] as const;

/** Laws: 0 ≤ match < next; the window is empty unless replicating; nothing is sent from `next` in Snapshot. */
export class Progress {
  readonly id: NodeId;
  /** Highest index known to agree with ours. */
  match: number;
  /** Next index to send. */
  next: number;
  state: ProgressState;
  /** Index of the snapshot under way; 0 in other states. */
  pendingSnapshot: number;
  /** Heard from since the last quorum check. */
  recentActive: boolean;
  /** A probe is out, or the window is full: wait for an answer or a heartbeat's. */
  appendPaused: boolean;
  isLearner: boolean;
  readonly inflights: Inflights;
  /** Highest commit index sent that the peer could have used. */
  private sentCommitIndex: number;

  constructor(id: NodeId, match: number, next: number, isLearner: boolean, inflights: Inflights) {
    this.id = id;
    this.match = match;
    this.next = next;
    this.state = ProgressState.Probe;
    this.pendingSnapshot = 0;
    this.recentActive = false;
    this.appendPaused = false;
    this.isLearner = isLearner;
    this.inflights = inflights;
    this.sentCommitIndex = 0;
  }

  /** A copy to change while a conf change is tried; it shares the window. */
  clone(): Progress {
    const copy = new Progress(this.id, this.match, this.next, this.isLearner, this.inflights);
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.appendPaused = this.appendPaused;
    copy.sentCommitIndex = this.sentCommitIndex;
    return copy;
  }

  /** Back to nothing known, as at the start of a term; only the learner flag survives. */
  forget(match: number, next: number): void {
    this.match = match;
    this.next = next;
    this.enter(ProgressState.Probe);
    this.recentActive = false;
    this.sentCommitIndex = 0;
  }

  private enter(state: ProgressState): void {
    this.appendPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }

  becomeProbe(): void {
    // After a snapshot, probe from its end: the peer may have it although nobody said so.
    const snapshot = this.state === ProgressState.Snapshot ? this.pendingSnapshot : 0;
    this.enter(ProgressState.Probe);
    this.next = Math.max(this.match, snapshot) + 1;
    this.lowerSentCommit();
  }

  becomeReplicate(): void {
    this.enter(ProgressState.Replicate);
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.enter(ProgressState.Snapshot);
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommitIndex = index;
  }

  /** Accounts for an append with `count` entries of `bytes` payload. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === ProgressState.Replicate) {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      // What fills the window, or is sent when it is full, is a probe.
      this.appendPaused = this.inflights.full();
    } else if (count > 0) {
      this.appendPaused = true;
    }
  }

  sentCommit(index: number): void {
    this.sentCommitIndex = index;
  }

  /** Whether sending commit index `index` could move the peer's: not when it got as much as it can use. */
  canBumpCommit(index: number): boolean {
    return index > this.sentCommitIndex && this.sentCommitIndex < this.next - 1;
  }

  /** The peer acknowledged up to `index`; false when that is old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    if (this.next <= index) this.next = index + 1;
    this.appendPaused = false;
    return true;
  }

  /**
   * The peer rejected an append after `rejected` and may agree at `matchHint`. False when the rejection
   * is stale: an older message's, reordered or repeated.
   */
  maybeDecreaseTo(rejected: number, matchHint: number): boolean {
    if (this.state === ProgressState.Replicate) {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      this.lowerSentCommit();
      return true;
    }
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, matchHint + 1), this.match + 1);
    this.lowerSentCommit();
    this.appendPaused = false;
    return true;
  }

  paused(): boolean {
    return this.state === ProgressState.Snapshot || this.appendPaused;
  }

  describe(): string {
    let text = `${NAMES[this.state]} match=${this.match} next=${this.next}`;
    if (this.isLearner) text += ' learner';
    if (this.paused()) text += ' paused';
    if (this.pendingSnapshot > 0) text += ` pendingSnap=${this.pendingSnapshot}`;
    if (!this.recentActive) text += ' inactive';
    if (this.inflights.count > 0)
      text += ` inflight=${this.inflights.count}${this.inflights.full() ? '[full]' : ''}`;
    return text;
  }

  private lowerSentCommit(): void {
    if (this.sentCommitIndex > this.next - 1) this.sentCommitIndex = this.next - 1;
  }
}
