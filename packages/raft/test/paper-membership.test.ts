/**
 * The rules of "In Search of an Understandable Consensus Algorithm" (extended version) on changes of the
 * membership (§6) and on snapshots (§7), in the paper's order. As in etcd a membership takes effect when its
 * entry is applied, not when it is appended.
 */
import { EMPTY } from '@keelson/base';
import { describe, expect, test } from '@jest/globals';
import {
  ConfChangeTransition,
  ConfChangeType,
  EMPTY_CONF_STATE,
  MessageType,
  NONE,
  type NodeId,
  Role,
  Snapshot,
} from '../src/index.ts';
import { append, ELECTION, Member, type Setup, of } from './paper-member.ts';

/** A leader which has committed its first entry, at 1. */
function leader(setup: Setup = {}): Member {
  const member = new Member(setup);
  member.lead();
  acknowledge(member, 1, 2n);
  if ((setup.size ?? 3) > 3) acknowledge(member, 1, 3n);
  expect(member.commit()).toBe(1);
  return member;
}

function acknowledge(member: Member, index: number, ...from: NodeId[]): void {
  for (const id of from) member.hear(MessageType.AppResp, id, { index: index + 1 });
}

function change(member: Member, changes: Readonly<Record<number, ConfChangeType>>): void {
  member.node.proposeConfChange({
    transition: ConfChangeTransition.JointExplicit,
    changes: Object.entries(changes).map(([id, type]) => ({ type, nodeId: BigInt(id) })),
    context: EMPTY,
  });
  member.flush();
}

const { AddNode, AddLearnerNode, RemoveNode } = ConfChangeType;

describe('§6 Cluster membership changes', () => {
  /** From (1 2 3) to (1 4 5), in force at the leader, which is node 1. */
  function joint(): Member {
    const member = leader();
    change(member, { 2: RemoveNode, 3: RemoveNode, 4: AddNode, 5: AddNode });
    acknowledge(member, 2, 2n);
    expect(member.node.status().config).toMatchObject({ incoming: [1n, 4n, 5n], outgoing: [1n, 2n, 3n] });
    return member;
  }

  test('log entries are replicated to all servers in both configurations', () => {
    const member = joint();
    for (const id of [2n, 3n, 4n, 5n]) acknowledge(member, 2, id);
    member.node.propose([Buffer.from('x')]);
    const sent = of(member.flush(), MessageType.App).filter((each) => each.entries.length > 0);
    expect(sent.map((each) => each.to)).toEqual([2n, 3n, 4n, 5n]);
  });

  test.each<[NodeId[], number]>([
    [[2n, 3n], 2],
    [[4n, 5n], 2],
    [[2n, 4n], 3],
    [[3n, 5n], 3],
  ])('entries are committed by majorities of both, with acknowledgements of %j', (from, commit) => {
    const member = joint();
    member.node.propose([Buffer.from('x')]);
    member.flush();
    acknowledge(member, 3, ...from);
    expect(member.commit()).toBe(commit);
  });

  test.each<[NodeId[], Role]>([
    [[2n, 3n], Role.Candidate],
    [[4n, 5n], Role.Candidate],
    [[2n, 4n], Role.Leader],
    [[3n, 5n], Role.Leader],
  ])('elections are won by majorities of both, with votes of %j', (from, role) => {
    const member = joint();
    member.hear(MessageType.Heartbeat, 2n, { term: 9 });
    member.node.campaign();
    member.flush();
    for (const id of from) member.hear(MessageType.VoteResp, id);
    expect(member.status().role).toBe(role);
  });

  test('any server from either configuration may serve as leader', () => {
    for (const changes of [{ 1: RemoveNode, 4: AddNode }, { 2: RemoveNode }]) {
      const member = leader();
      change(member, changes);
      acknowledge(member, 2, 2n);
      expect(member.status().role).toBe(Role.Leader);
      expect(member.node.propose([Buffer.from('x')])).toBe('ok');
    }
  });

  test('new servers join as non-voting members: they get entries and count for no majority', () => {
    const member = leader();
    change(member, { 4: AddLearnerNode, 5: AddLearnerNode });
    acknowledge(member, 2, 2n);
    member.node.propose([Buffer.from('x')]);
    member.flush();
    acknowledge(member, 3, 4n, 5n);
    expect(member.commit()).toBe(2);
    acknowledge(member, 3, 3n);
    expect(member.commit()).toBe(3);
    // Nor are they asked for votes.
    member.hear(MessageType.Heartbeat, 2n, { term: 9 });
    member.node.campaign();
    expect(of(member.flush(), MessageType.Vote).map((each) => each.to)).toEqual([2n, 3n]);
  });

  test.each([true, false])('a leader that is not in the new configuration, stepping down: %s', (stepDown) => {
    const member = leader({ options: { stepDownOnRemoval: stepDown } });
    change(member, { 1: RemoveNode });
    acknowledge(member, 2, 2n);
    // It manages a cluster that it is no part of: its own copy does not count for the new half.
    member.node.proposeConfChange({ transition: ConfChangeTransition.Auto, changes: [], context: EMPTY });
    member.flush();
    acknowledge(member, 3, 2n);
    expect([member.commit(), member.status().role]).toEqual([2, Role.Leader]);
    acknowledge(member, 3, 3n);
    expect(member.commit()).toBe(3);
    expect(member.status().role).toBe(stepDown ? Role.Follower : Role.Leader);
    // Either way nothing more is taken from it.
    expect(member.node.propose([Buffer.from('x')])).toBe('dropped');
    expect(member.terms()).toHaveLength(3);
  });

  test('servers disregard requests for votes while they believe that a leader exists', () => {
    const member = new Member({ options: { checkQuorum: true } });
    member.hear(MessageType.Heartbeat, 2n);
    const request = { term: 9, index: 9, logTerm: 9 };
    expect(member.hear(MessageType.Vote, 3n, request)).toEqual([]);
    expect(member.status()).toMatchObject({ term: 1, vote: NONE });
    // A minimum election timeout later they do not.
    member.node.setRandomizedElectionTimeout(2 * ELECTION);
    member.tick(ELECTION);
    expect(of(member.hear(MessageType.Vote, 3n, request), MessageType.VoteResp)).toHaveLength(1);
    expect(member.status()).toMatchObject({ term: 9, vote: 3n });
  });
});

describe('§7 Log compaction', () => {
  const members = { ...EMPTY_CONF_STATE, voters: [1n, 2n, 3n] };
  /** State up to the paper's `index`. */
  const snapshot = (index: number, term: number): Snapshot => new Snapshot(index + 1, term, members);

  test('a leader sends its snapshot when it has discarded the next entry that it needs to send', () => {
    const member = leader();
    for (const text of ['b', 'c', 'd']) member.node.propose([Buffer.from(text)]);
    member.flush();
    acknowledge(member, 4, 2n);
    member.storage.createSnapshot(4, members, Buffer.from('state'));
    member.storage.compact(4);
    // Node 3 has not answered the first probe, for entry 1, and entries 1 to 3 are gone.
    const sent = member.hear(MessageType.HeartbeatResp, 3n);
    expect(sent.map((each) => [each.type, each.to, each.snapshot?.index])).toEqual([
      [MessageType.Snap, 3n, 4],
    ]);
    // Once it has that, entries follow again.
    const next = of(member.hear(MessageType.AppResp, 3n, { index: 4 }), MessageType.App);
    expect(next.flatMap((each) => each.entries.map((entry) => entry.index))).toEqual([5]);
  });

  test('a follower whose snapshot is under way gets nothing else until it has what the log begins after', () => {
    const member = leader();
    for (const text of ['b', 'c', 'd']) member.node.propose([Buffer.from(text)]);
    member.flush();
    acknowledge(member, 4, 2n);
    member.storage.createSnapshot(4, members, Buffer.from('state'));
    member.storage.compact(4);
    member.hear(MessageType.HeartbeatResp, 3n);
    // Late answers, of entries that are gone here, and trouble with the network change nothing.
    expect(member.hear(MessageType.AppResp, 3n, { index: 2 })).toEqual([]);
    member.node.reportUnreachable(3n);
    expect(member.hear(MessageType.HeartbeatResp, 3n)).toEqual([]);
    expect(member.node.status().progress[2]).toMatchObject({
      state: 'snapshot',
      match: 2,
      pendingSnapshot: 4,
    });
    member.hear(MessageType.AppResp, 3n, { index: 4 });
    expect(member.node.status().progress[2]).toMatchObject({ state: 'replicate', match: 4, next: 6 });
  });

  test('a snapshot with new information replaces the whole log', () => {
    const member = new Member({ log: [1, 1], term: 2 });
    member.hear(MessageType.Snap, 2n, { snapshot: snapshot(7, 2) });
    expect(member.storage.firstIndex()).toBe(9);
    expect(member.terms()).toEqual([]);
    expect(member.commit()).toBe(7);
  });

  test('a snapshot of a prefix of the log leaves what follows', () => {
    const member = new Member({ log: [1, 1, 2, 2], term: 2 });
    member.hear(MessageType.Snap, 2n, { snapshot: snapshot(3, 2) });
    expect(member.terms()).toEqual([1, 1, 2, 2]);
    expect([member.commit(), member.applied]).toEqual([3, [1, 2, 3]]);
  });

  test('a snapshot of a prefix with another history replaces the log', () => {
    const member = new Member({ log: [1, 1, 1, 1], term: 2 });
    member.hear(MessageType.Snap, 2n, { snapshot: snapshot(3, 2) });
    expect(member.terms()).toEqual([]);
    expect(member.commit()).toBe(3);
  });

  test('the first append after a snapshot is checked against its last index and term', () => {
    for (const [term, taken] of [
      [2, true],
      [1, false],
    ] as const) {
      const member = new Member({ term: 2 });
      member.hear(MessageType.Snap, 2n, { snapshot: snapshot(7, 2) });
      const [answer] = of(member.hear(MessageType.App, 2n, append(2, term, 7, [2])), MessageType.AppResp);
      expect(answer).toMatchObject({ reject: !taken, index: taken ? 9 : 8 });
    }
  });

  test('an old snapshot is ignored and answered with what is committed', () => {
    const member = new Member({ log: [1, 1, 1], term: 2, commit: 3 });
    const [answer] = of(member.hear(MessageType.Snap, 2n, { snapshot: snapshot(2, 1) }), MessageType.AppResp);
    expect(answer).toMatchObject({ index: 4, reject: false });
    expect(member.terms()).toEqual([1, 1, 1]);
  });

  test('a snapshot brings the membership as of its last entry', () => {
    const member = new Member({ term: 2 });
    const grown = { ...members, voters: [1n, 2n, 3n, 4n], learners: [5n] };
    member.hear(MessageType.Snap, 2n, { snapshot: new Snapshot(8, 2, grown) });
    expect(member.node.status().config).toMatchObject({ incoming: grown.voters, learners: [5n] });
  });
});
