/** Changes of membership in a node's life: one at a time, and what removal means to a leader. */
import { EMPTY } from '@keelson/base';
import { describe, expect, test } from '@jest/globals';
import {
  ConfChangeType,
  encodeConfChange,
  Entry,
  EntryType,
  Message,
  MessageType,
  type NodeId,
  Role,
} from '../src/index.ts';
import { ELECTION_TICKS, of, OneMember } from './one-member.ts';

function change(type: ConfChangeType, nodeId: NodeId): Entry {
  return new Entry(0, 0, EntryType.ConfChange, encodeConfChange({ id: 0n, type, nodeId, context: EMPTY }));
}

function propose(member: OneMember, ...entries: readonly Entry[]): ReturnType<OneMember['step']> {
  return member.node.step(new Message(MessageType.Prop, { from: 1n, to: 1n, entries }));
}

function lastEntry(member: OneMember): Entry | undefined {
  const { lastIndex } = member.status;
  const found = member.storage.entries(lastIndex, lastIndex + 1, Infinity);
  return Array.isArray(found) ? found[0] : undefined;
}

test('a change behind other entries of its proposal is pending until it is applied itself', () => {
  const member = new OneMember({ config: { maxCommittedSizePerReady: 1 } });
  member.lead();
  member.acknowledged(2n, 3n);
  const plain = (data: string): Entry => new Entry(0, 0, EntryType.Normal, Buffer.from(data));
  propose(member, plain('a'), plain('b'), change(ConfChangeType.AddNode, 4n));
  member.turn();
  member.write();
  member.step(MessageType.AppResp, 2n, { index: 5 });
  member.turn();
  member.write();
  member.apply();
  expect(member.status).toMatchObject({ commit: 5, applied: 3 });

  // Refused: an empty entry takes its place.
  propose(member, change(ConfChangeType.AddNode, 5n));
  member.turn();
  while (member.disk.length > 0) member.write();
  expect(lastEntry(member)).toMatchObject({ index: 6, type: EntryType.Normal });
  member.settle();
  propose(member, change(ConfChangeType.AddNode, 5n));
  member.settle();
  expect(lastEntry(member)).toMatchObject({ index: 7, type: EntryType.ConfChange });
});

test('a change is in force when it is applied, not before', () => {
  const member = new OneMember();
  member.lead();
  member.acknowledged(2n, 3n);
  member.node.proposeConfChange({ id: 0n, type: ConfChangeType.AddNode, nodeId: 4n, context: EMPTY });
  member.turn();
  member.write();
  expect(member.status).toMatchObject({ lastIndex: 3, config: { incoming: [1n, 2n, 3n] } });
  member.step(MessageType.AppResp, 2n, { index: 3 });
  member.turn();
  expect(member.status).toMatchObject({ commit: 3, config: { incoming: [1n, 2n, 3n] } });
  member.settle();
  expect(member.status.config.incoming).toEqual([1n, 2n, 3n, 4n]);
});

describe('a leader that is removed', () => {
  function removed(stepDownOnRemoval: boolean): OneMember {
    const member = new OneMember({ config: { stepDownOnRemoval } });
    member.lead();
    member.acknowledged(2n, 3n);
    propose(member, change(ConfChangeType.RemoveNode, 1n));
    member.settle();
    member.acknowledged(2n);
    expect(member.status.config.incoming).toEqual([2n, 3n]);
    return member;
  }

  test('becomes a follower at once when told to', () => {
    expect(removed(true).status).toMatchObject({ role: Role.Follower, term: 2 });
  });

  test('takes no more proposals, and does not campaign again', () => {
    const member = removed(false);
    expect(member.status.role).toBe(Role.Leader);
    expect(propose(member, new Entry(0, 0))).toBe('dropped');
    expect(member.status.lastIndex).toBe(3);
    member.hear(MessageType.Heartbeat, 2n, { term: 3 });
    const sent = member.tick(3 * ELECTION_TICKS);
    expect(of(sent, MessageType.Vote)).toEqual([]);
    expect(member.status).toMatchObject({ role: Role.Follower, term: 3 });
  });
});

test('a node that comes back under its id has nothing', () => {
  const member = new OneMember();
  member.lead();
  member.acknowledged(2n, 3n);
  propose(member, change(ConfChangeType.RemoveNode, 3n));
  member.settle();
  member.acknowledged(2n);
  expect(member.status.progress.map((peer) => peer.id)).toEqual([1n, 2n]);
  propose(member, change(ConfChangeType.AddNode, 3n));
  member.settle();
  member.acknowledged(2n);
  expect(member.status.progress.map((peer) => [peer.id, peer.match > 0])).toEqual([
    [1n, true],
    [2n, true],
    [3n, false],
  ]);
});

describe('a transfer', () => {
  test('to a node that is removed meanwhile is given up', () => {
    const member = new OneMember();
    member.lead();
    member.acknowledged(2n);
    propose(member, change(ConfChangeType.RemoveNode, 3n));
    member.settle();
    member.node.transferLeader(3n);
    member.settle();
    expect(propose(member, new Entry(0, 0))).toBe('dropped');
    member.acknowledged(2n);
    expect(member.status).toMatchObject({ leadTransferee: 0n, config: { incoming: [1n, 2n] } });
    expect(propose(member, new Entry(0, 0))).toBe('ok');
  });

  test('that takes an election timeout has failed', () => {
    const member = new OneMember();
    member.lead();
    member.acknowledged(2n, 3n);
    member.node.transferLeader(3n);
    member.tick(ELECTION_TICKS - 1);
    expect(propose(member, new Entry(0, 0))).toBe('dropped');
    member.tick(1);
    expect(propose(member, new Entry(0, 0))).toBe('ok');
  });

  test('to a learner does not begin', () => {
    const member = new OneMember({ confState: { voters: [1n, 2n], learners: [3n] } });
    member.lead();
    member.acknowledged(2n, 3n);
    member.node.transferLeader(3n);
    expect(of(member.settle(), MessageType.TimeoutNow)).toEqual([]);
    expect(propose(member, new Entry(0, 0))).toBe('ok');
  });
});
