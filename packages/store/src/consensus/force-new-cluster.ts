/**
 * --force-new-cluster: the log of a member whose fellows are lost for ever is made that of a cluster of one.
 * What was not committed is dropped, since nobody can say any more whether it was acknowledged elsewhere; the
 * removal of everybody else is written behind it as if it had been committed. The entries are applied like any
 * others, so membership, conf state and the ids that must never return come out as if a leader had done it.
 *
 * Modelled on etcd's server/storage/raft (CreateConfigChangeEnts), with one difference: the entries carry a
 * term of their own, so that no two entries of one index and term ever differ, not even across two lives.
 */
import { assert, hexId } from '@keelson/base';
import {
  ConfChangeType,
  Entry,
  EntryType,
  NONE,
  decodeConfChange,
  encodeConfChange,
  type HardState,
} from '@keelson/raft';
import { FatalError } from '../errors.ts';
import { decodeMemberChange, encodeMemberChange, type Member } from '../membership/member.ts';

/** What the log and the backend say when the member starts. */
export interface Survivor {
  readonly memberId: bigint;
  /** At the last applied entry. */
  readonly members: readonly Member[];
  /** Its term is not below that of any entry. */
  readonly hardState: HardState;
  /** Of the log, without gaps; what those up to `applied` changed is in `members` already. */
  readonly entries: readonly Entry[];
  readonly applied: number;
}

export interface ForcedLog {
  /** To be appended behind entry `commit`, replacing whatever stood there. */
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
  /** Members that are removed, by id. */
  readonly removed: readonly bigint[];
  /** Entries that were dropped because they were not committed. */
  readonly droppedCount: number;
}

/** @throws FatalError when this member is not one of its cluster's any more */
export function forceNewCluster(survivor: Survivor): ForcedLog {
  const { memberId, hardState } = survivor;
  const { commit } = hardState;
  assert(commit >= survivor.applied, 'what is applied is committed');
  const known = membersAtCommit(survivor);
  const self = known.get(memberId);
  if (self === undefined)
    throw new FatalError(
      `member ${hexId(memberId)} is no member of the cluster of its own log: it cannot go on alone; ` +
        'start a new cluster from a saved snapshot instead',
    );
  const removed = [...known.keys()].filter((id) => id !== memberId).sort((a, b) => (a < b ? -1 : 1));
  const term = hardState.term + 1;
  const entries: Entry[] = [];
  const append = (type: ConfChangeType, nodeId: bigint, context: Buffer): void => {
    const data = encodeConfChange({ id: 0n, type, nodeId, context });
    entries.push(new Entry(term, commit + entries.length + 1, EntryType.ConfChange, data));
  };
  // First, for raft never lets the last voter go.
  if (self.isLearner)
    append(ConfChangeType.AddNode, memberId, encodeMemberChange({ member: self, isPromote: true }));
  for (const id of removed) append(ConfChangeType.RemoveNode, id, Buffer.alloc(0));
  const last = survivor.entries.at(-1)?.index ?? commit;
  // A cluster of one already: the tail is dropped by writing over it.
  if (entries.length === 0 && last > commit)
    entries.push(new Entry(term, commit + 1, EntryType.Normal, Buffer.alloc(0)));
  return {
    entries,
    hardState: entries.length === 0 ? hardState : { term, vote: NONE, commit: commit + entries.length },
    removed,
    droppedCount: last - commit,
  };
}

/** Members once all that is committed is applied. Changes that will be refused only make the set larger. */
function membersAtCommit(survivor: Survivor): Map<bigint, Member> {
  const { applied } = survivor;
  const { commit } = survivor.hardState;
  const known = new Map(survivor.members.map((member) => [member.id, member]));
  for (const entry of survivor.entries) {
    if (entry.index <= applied || entry.index > commit || entry.type !== EntryType.ConfChange) continue;
    const change = decodeConfChange(entry.data);
    if (change === undefined) continue;
    if (change.type === ConfChangeType.RemoveNode) known.delete(change.nodeId);
    else if (change.type !== ConfChangeType.UpdateNode && change.context.length > 0) {
      const { member, isPromote } = decodeMemberChange(change.context);
      const before = known.get(change.nodeId);
      if (isPromote && before !== undefined) known.set(change.nodeId, { ...before, isLearner: false });
      else if (!isPromote && before === undefined) known.set(change.nodeId, member);
    }
  }
  return known;
}
