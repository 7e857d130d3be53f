/**
 * Membership quorums as etcd keeps them in bucket meta under confState: Go's JSON of raftpb.ConfState,
 * ids as bare uint64 numbers.
 */
import type { ConfState } from '@keelson/raft';
import { jsonUint64 } from '../membership/member.ts';

const ID_LISTS = ['voters', 'learners', 'voters_outgoing', 'learners_next'] as const;

export function encodeConfState(confState: ConfState): string {
  const list = (ids: readonly bigint[]): unknown[] | undefined =>
    ids.length === 0 ? undefined : ids.map(jsonUint64);
  return JSON.stringify({
    voters: list(confState.voters),
    learners: list(confState.learners),
    voters_outgoing: list(confState.votersOutgoing),
    learners_next: list(confState.learnersNext),
    auto_leave: confState.autoLeave,
  });
}

/** @throws Error when the text is no conf state */
export function decodeConfState(text: string): ConfState {
  const reviver = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === 'number' ? BigInt(context?.source ?? value) : value;
  const parsed: unknown = JSON.parse(text, reviver);
  if (typeof parsed !== 'object' || parsed === null) throw new Error('conf state: not a JSON object');
  const fields: Readonly<Record<string, unknown>> = { ...parsed };
  const ids = ID_LISTS.map((name) => {
    const value = fields[name] ?? [];
    if (!Array.isArray(value) || !value.every((id) => typeof id === 'bigint'))
      throw new Error(`conf state: ${name} is not a list of ids`);
    return value;
  });
  return {
    voters: ids[0],
    learners: ids[1],
    votersOutgoing: ids[2],
    learnersNext: ids[3],
    autoLeave: fields['auto_leave'] === true,
  };
}
