/**
 * The first entries of a new cluster's log: one membership entry per initial member, in id order, at term
 * 1 and already committed, the same on every member, as etcd writes them (raft's Bootstrap). They are the
 * only entries that no leader proposed.
 */
import { ConfChangeType, Entry, EntryType, NONE, encodeConfChange, type HardState } from '@keelson/raft';
import { encodeMember, type Member } from '../membership/member.ts';

const FIRST_TERM = 1;

export interface Bootstrap {
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
}

/** @param members all initial members; at least one */
export function bootstrapLog(members: readonly Member[]): Bootstrap {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const entries = sorted.map(
    (member, position) =>
      new Entry(
        FIRST_TERM,
        position + 1,
        EntryType.ConfChange,
        encodeConfChange({
          id: 0n,
          type: ConfChangeType.AddNode,
          nodeId: member.id,
          context: encodeMember(member),
        }),
      ),
  );
  return { entries, hardState: { term: FIRST_TERM, vote: NONE, commit: entries.length } };
}
