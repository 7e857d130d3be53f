import { describe, expect, test } from '@jest/globals';
import { ConfChangeType, Entry, EntryType, decodeConfChange, encodeConfChange } from '@keelson/raft';
import { decodeMemberChange, encodeMemberChange, type Member } from '../membership/member.ts';
import { forceNewCluster, type ForcedLog, type Survivor } from './force-new-cluster.ts';

function member(id: bigint, isLearner = false): Member {
  return { id, peerUrls: [`http://m${id}:2380`], isLearner, name: `m${id}`, clientUrls: [] };
}

function put(index: number, term = 2): Entry {
  return new Entry(term, index, EntryType.Normal, Buffer.from('x'));
}

function change(index: number, type: ConfChangeType, of: Member, isPromote = false): Entry {
  const context =
    type === ConfChangeType.RemoveNode ? Buffer.alloc(0) : encodeMemberChange({ member: of, isPromote });
  return new Entry(
    2,
    index,
    EntryType.ConfChange,
    encodeConfChange({ id: 0n, type, nodeId: of.id, context }),
  );
}

function forced(fields: Partial<Survivor>): ForcedLog {
  return forceNewCluster({
    memberId: 1n,
    members: [member(1n), member(2n), member(3n)],
    hardState: { term: 2, vote: 3n, commit: 5 },
    entries: [put(4), put(5)],
    applied: 4,
    ...fields,
  });
}

/** "term/index type node" of each entry. */
function described(log: ForcedLog): string[] {
  return log.entries.map(({ term, index, type, data }) => {
    if (type === EntryType.Normal) return `${term}/${index} empty`;
    const { type: kind, nodeId, context } = decodeConfChange(data)!;
    const promoted = context.length > 0 && decodeMemberChange(context).isPromote;
    return `${term}/${index} ${kind === ConfChangeType.RemoveNode ? 'remove' : 'add'} ${nodeId}${promoted ? ' promoted' : ''}`;
  });
}

const { AddNode, AddLearnerNode, RemoveNode } = ConfChangeType;

describe('a cluster of one out of a log', () => {
  test.each<[string, Partial<Survivor>, string[]]>([
    ['all others go, in id order, in a term of its own', {}, ['3/6 remove 2', '3/7 remove 3']],
    ['alone already: nothing to do', { members: [member(1n)] }, []],
    [
      'alone, with a tail nobody acknowledged: it is written over',
      { members: [member(1n)], entries: [put(5), put(6), put(7)] },
      ['3/6 empty'],
    ],
    [
      'one that was added by an entry not applied yet goes as well',
      { entries: [change(5, AddNode, member(4n))] },
      ['3/6 remove 2', '3/7 remove 3', '3/8 remove 4'],
    ],
    [
      'one that an entry not applied yet removes is not removed twice',
      { entries: [change(5, RemoveNode, member(3n))] },
      ['3/6 remove 2'],
    ],
    [
      'changes that were not committed never happened',
      { entries: [put(5), change(6, AddNode, member(4n)), change(7, RemoveNode, member(1n))] },
      ['3/6 remove 2', '3/7 remove 3'],
    ],
    [
      'a learner votes before the last voter goes',
      { members: [member(1n, true), member(2n)] },
      ['3/6 add 1 promoted', '3/7 remove 2'],
    ],
    [
      'a learner whose promotion is committed needs no other',
      { members: [member(1n, true), member(2n)], entries: [change(5, AddNode, member(1n, true), true)] },
      ['3/6 remove 2'],
    ],
    [
      'one that learns itself from an entry not applied yet',
      { members: [member(2n)], applied: 4, entries: [change(5, AddLearnerNode, member(1n, true))] },
      ['3/6 add 1 promoted', '3/7 remove 2'],
    ],
  ])('%s', (_name, fields, want) => {
    expect(described(forced(fields))).toEqual(want);
  });

  test('everything it writes is committed, and it has voted for nobody', () => {
    const log = forced({ entries: [put(4), put(5), put(6), put(7), put(8)] });
    expect(log.hardState).toEqual({ term: 3, vote: 0n, commit: 7 });
    expect(log).toMatchObject({ removed: [2n, 3n], droppedCount: 3 });
    expect(forced({ members: [member(1n)] }).hardState).toEqual({ term: 2, vote: 3n, commit: 5 });
  });

  test('a member that its cluster removed does not go on', () => {
    expect(() => forced({ members: [member(2n)] })).toThrow('is no member of the cluster of its own log');
    expect(() => forced({ entries: [change(5, RemoveNode, member(1n))] })).toThrow(
      'start a new cluster from a saved',
    );
  });
});
