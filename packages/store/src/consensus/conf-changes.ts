/**
 * Membership entries from the log: judged by the members we know, told to raft, answered to whoever
 * proposed them. A change that is refused still passes through raft as one without a node, so that
 * raft's "one change at a time" moves on the same way on every member (etcd: applyConfChange).
 */
import {
  ConfChangeType,
  EntryType,
  NONE,
  decodeConfChange,
  type ConfChange,
  type ConfChangeV2,
  type ConfState,
  type Entry,
} from '@keelson/raft';
import type { ConfChangeApplier } from '../apply/applier.ts';
import type { Waiters } from '../apply/results.ts';
import { FatalError, type StoreError } from '../errors.ts';
import { decodeMemberChange, type MemberChange } from '../membership/member.ts';
import type { Membership } from '../membership/membership.ts';
import { encodeConfState } from './conf-state.ts';

export interface ConfChangesOptions {
  readonly membership: () => Membership;
  readonly waiters: Waiters;
  readonly applyToRaft: (change: ConfChange | ConfChangeV2) => ConfState;
  /** Splits a change's id into whose proposal it was and its number. */
  readonly idOf: (id: bigint) => { readonly owner: number; readonly sequence: number };
  readonly revision: () => number;
  /** This member itself has been removed: it stops once the entry is durable. */
  readonly removedSelf: (id: bigint) => void;
}

export class ConfChanges implements ConfChangeApplier {
  private readonly options: ConfChangesOptions;

  constructor(options: ConfChangesOptions) {
    this.options = options;
  }

  apply(entry: Entry): string {
    if (entry.type !== EntryType.ConfChange)
      throw new FatalError(`entry ${entry.index}: membership changes of more than one node are not etcd's`);
    const change = decodeConfChange(entry.data);
    if (change === undefined)
      throw new FatalError(`entry ${entry.index}: its membership change cannot be read`);
    const context = change.context.length > 0 ? this.contextOf(entry, change) : undefined;
    const error = this.validate(change, context);
    const confState = this.options.applyToRaft(error === undefined ? change : { ...change, nodeId: NONE });
    if (error === undefined) this.applyTo(change, context);
    const id = this.options.idOf(change.id);
    if (this.options.waiters.isWaiting(id))
      this.options.waiters.resolve(id.sequence, {
        response: this.options.membership().list(),
        error,
        revision: this.options.revision(),
      });
    return encodeConfState(confState);
  }

  private contextOf(entry: Entry, change: ConfChange): MemberChange {
    try {
      const context = decodeMemberChange(change.context);
      if (context.member.id !== change.nodeId)
        throw new Error(`it names member ${context.member.id}, the change node ${change.nodeId}`);
      return context;
    } catch (error) {
      throw new FatalError(`entry ${entry.index}: its member cannot be read`, { cause: error });
    }
  }

  private validate(change: ConfChange, context: MemberChange | undefined): StoreError | undefined {
    const membership = this.options.membership();
    switch (change.type) {
      case ConfChangeType.AddNode:
      case ConfChangeType.AddLearnerNode:
        if (context?.isPromote === true) return membership.validatePromote(change.nodeId);
        return context === undefined ? undefined : membership.validateAdd(context.member);
      case ConfChangeType.RemoveNode:
        return membership.validateRemove(change.nodeId);
      case ConfChangeType.UpdateNode:
        return context === undefined ? undefined : membership.validateUpdate(context.member);
    }
  }

  private applyTo(change: ConfChange, context: MemberChange | undefined): void {
    const membership = this.options.membership();
    switch (change.type) {
      case ConfChangeType.AddNode:
      case ConfChangeType.AddLearnerNode:
        if (context === undefined) return;
        if (context.isPromote) membership.promote(change.nodeId);
        else membership.add(context.member);
        return;
      case ConfChangeType.RemoveNode:
        membership.remove(change.nodeId);
        this.options.removedSelf(change.nodeId);
        return;
      case ConfChangeType.UpdateNode:
        if (context !== undefined) membership.updatePeerUrls(change.nodeId, context.member.peerUrls);
    }
  }
}
