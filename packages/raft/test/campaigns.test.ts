/** Who may campaign, and what a change of membership has to do with it (thesis §4; etcd's guards). */
import { EMPTY } from '@keelson/base';
import { describe, expect, test } from '@jest/globals';
import {
  type ConfState,
  EMPTY_CONF_STATE,
  encodeConfChange,
  ConfChangeType,
  Entry,
  EntryType,
  Message,
  MessageType,
  Role,
  Snapshot,
} from '../src/index.ts';
import { ELECTION_TICKS, entry, of, OneMember } from './one-member.ts';

const ADD = encodeConfChange({ id: 0n, type: ConfChangeType.AddNode, nodeId: 4n, context: EMPTY });

describe('with a conf change committed and not applied', () => {
  /** A follower whose entries 2 to 4 are committed; the change is at `place`. */
  function follower(place: number): OneMember {
    const member = new OneMember({ config: { maxCommittedSizePerReady: 1 } });
    const entries = [2, 3, 4].map((index) =>
      index === place ? new Entry(2, index, EntryType.ConfChange, ADD) : entry(2, index),
    );
    member.step(MessageType.App, 2n, { term: 2, logTerm: 1, index: 1, entries, commit: 4 });
    member.turn();
    member.write();
    return member;
  }

  test.each([2, 3, 4])('at %i nobody campaigns, handed out or not', (place) => {
    const member = follower(place);
    for (let applied = 1; applied < place; applied++) {
      member.node.campaign();
      expect(of(member.turn(), MessageType.Vote)).toEqual([]);
      expect(member.status).toMatchObject({ role: Role.Follower, term: 2, applied });
      member.apply();
    }
    member.node.campaign();
    expect(of(member.turn(), MessageType.Vote).map((each) => each.to)).toEqual([2n, 3n, 4n]);
  });

  test('a leader admits no other one', () => {
    const member = new OneMember();
    member.lead();
    member.acknowledged(2n, 3n);
    const propose = (): void => {
      const entries = [new Entry(0, 0, EntryType.ConfChange, ADD)];
      member.node.step(new Message(MessageType.Prop, { from: 1n, to: 1n, entries }));
      member.turn();
      while (member.disk.length > 0) member.write();
    };
    const typeAt = (index: number): EntryType | undefined => {
      const found = member.storage.entries(index, index + 1, Infinity);
      return Array.isArray(found) ? found[0]?.type : undefined;
    };
    propose();
    member.step(MessageType.AppResp, 2n, { index: 3 });
    member.turn();
    expect(member.status).toMatchObject({ commit: 3, applied: 2 });
    propose();
    expect([typeAt(3), typeAt(4)]).toEqual([EntryType.ConfChange, EntryType.Normal]);
    member.settle();
    propose();
    expect(typeAt(5)).toBe(EntryType.ConfChange);
  });

  test('nor does a new leader, for what an earlier one has left in its log', () => {
    const member = new OneMember();
    const change = new Entry(2, 2, EntryType.ConfChange, ADD);
    member.hear(MessageType.App, 2n, { term: 2, logTerm: 1, index: 1, entries: [change], commit: 1 });
    member.lead();
    expect(member.status).toMatchObject({ role: Role.Leader, lastIndex: 3, commit: 1 });
    const entries = [new Entry(0, 0, EntryType.ConfChange, ADD)];
    member.node.step(new Message(MessageType.Prop, { from: 1n, to: 1n, entries }));
    member.settle();
    const found = member.storage.entries(4, 5, Infinity);
    expect(found).toMatchObject([{ type: EntryType.Normal }]);
  });
});

describe('no campaign', () => {
  test.each<[string, Partial<ConfState>]>([
    ['of a learner', { voters: [2n, 3n], learners: [1n] }],
    ['of a stranger', { voters: [2n, 3n] }],
  ])('%s', (_name, confState) => {
    const member = new OneMember({ confState });
    member.node.campaign();
    expect(of(member.settle(), MessageType.Vote)).toEqual([]);
    expect(of(member.tick(3 * ELECTION_TICKS), MessageType.Vote)).toEqual([]);
    expect(member.status).toMatchObject({ role: Role.Follower, term: 1 });
  });

  test('under a snapshot that is not durable', () => {
    const member = new OneMember();
    const confState = { ...EMPTY_CONF_STATE, voters: [1n, 2n, 3n] };
    member.step(MessageType.Snap, 2n, { snapshot: new Snapshot(9, 1, confState) });
    member.turn();
    member.node.campaign();
    expect(of(member.turn(), MessageType.Vote)).toEqual([]);
    member.settle();
    member.node.campaign();
    expect(of(member.settle(), MessageType.Vote)).toHaveLength(2);
  });
});

test('a learner votes when it is asked: it may be a voter by now', () => {
  const member = new OneMember({ confState: { voters: [2n, 3n], learners: [1n] } });
  const [answer] = member.hear(MessageType.Vote, 2n, { term: 2, logTerm: 1, index: 1 });
  expect(answer).toMatchObject({ type: MessageType.VoteResp, to: 2n, reject: false });
});

test('a learner’s copy commits nothing', () => {
  const member = new OneMember({ confState: { voters: [1n, 2n], learners: [3n] } });
  member.lead();
  member.acknowledged(3n);
  expect(member.status.commit).toBe(1);
  member.acknowledged(2n);
  expect(member.status.commit).toBe(2);
});

test('both halves of a joint membership commit', () => {
  const confState = { voters: [1n, 2n, 3n], votersOutgoing: [1n, 4n, 5n] };
  const member = new OneMember({ confState });
  member.lead();
  member.acknowledged(2n, 3n);
  expect(member.status.commit).toBe(1);
  member.acknowledged(4n);
  expect(member.status.commit).toBe(2);
});
