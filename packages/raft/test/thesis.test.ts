/**
 * The rules of Ongaro's thesis ("Consensus: Bridging Theory and Practice") that go beyond the paper, in its
 * order: handing leadership over, one-server changes, reads, pre-vote, and writing to disk in parallel.
 */
import { EMPTY } from '@keelson/base';
import { describe, expect, test } from '@jest/globals';
import {
  ConfChangeTransition,
  ConfChangeType,
  Message,
  MessageType,
  NONE,
  type NodeId,
  Role,
  type StepResult,
} from '../src/index.ts';
import { append, ELECTION, Member, type Setup, of } from './paper-member.ts';

/** A leader which has committed its first entry, at 1. */
function leader(setup: Setup = {}): Member {
  const member = new Member(setup);
  member.lead();
  acknowledge(member, 1, 2n);
  return member;
}

function acknowledge(member: Member, index: number, ...from: NodeId[]): void {
  for (const id of from) member.hear(MessageType.AppResp, id, { index: index + 1 });
}

function change(member: Member, type: ConfChangeType, nodeId: NodeId): StepResult {
  const outcome = member.node.proposeConfChange({ id: 0n, type, nodeId, context: EMPTY });
  member.flush();
  return outcome;
}

describe('§3.10 Leadership transfer', () => {
  test('the leader stops taking requests, brings the target up to date, and has it start at once', () => {
    const member = leader();
    member.node.propose([Buffer.from('x')]);
    member.node.propose([Buffer.from('y')]);
    member.flush();
    member.node.transferLeader(3n);
    expect(of(member.flush(), MessageType.TimeoutNow)).toEqual([]);
    expect(member.node.propose([Buffer.from('z')])).toBe('dropped');
    const told = [2, 3, 4].map((index) =>
      of(member.hear(MessageType.AppResp, 3n, { index }), MessageType.TimeoutNow).map((each) => each.to),
    );
    expect(told).toEqual([[], [], [3n]]);
  });

  test.each([false, true])(
    'the target campaigns without waiting or asking first (pre-vote: %s)',
    (preVote) => {
      const member = new Member({ options: { preVote } });
      member.hear(MessageType.Heartbeat, 2n);
      const sent = of(member.hear(MessageType.TimeoutNow, 2n), MessageType.Vote);
      expect(sent.map((each) => [each.to, each.term])).toEqual([
        [2n, 2],
        [3n, 2],
      ]);
    },
  );

  test('a transfer that takes an election timeout is given up', () => {
    const member = leader();
    member.node.transferLeader(3n);
    member.tick(ELECTION - 1);
    expect(member.node.propose([Buffer.from('x')])).toBe('dropped');
    member.tick();
    expect(member.node.propose([Buffer.from('x')])).toBe('ok');
  });
});

describe('§4 Cluster membership changes', () => {
  test('§4.1 no change begins before the one before is done', () => {
    const member = leader();
    change(member, ConfChangeType.AddNode, 4n);
    // Its place in the log is taken by an entry without content.
    change(member, ConfChangeType.AddNode, 5n);
    acknowledge(member, 3, 2n, 3n);
    expect(member.node.status().config.incoming).toEqual([1n, 2n, 3n, 4n]);
    change(member, ConfChangeType.AddNode, 5n);
    acknowledge(member, 4, 2n, 3n);
    expect(member.node.status().config.incoming).toEqual([1n, 2n, 3n, 4n, 5n]);
  });

  test('§4.1 a change is committed by the majority before it and what follows by the one after it', () => {
    const member = leader();
    change(member, ConfChangeType.AddNode, 4n);
    acknowledge(member, 2, 2n);
    member.node.propose([Buffer.from('x')]);
    member.flush();
    acknowledge(member, 3, 2n);
    expect(member.commit()).toBe(2);
    acknowledge(member, 3, 3n);
    expect(member.commit()).toBe(3);
  });

  test('§4.2.1 a learner is caught up with entries or a snapshot before it counts', () => {
    const member = leader();
    change(member, ConfChangeType.AddLearnerNode, 4n);
    acknowledge(member, 2, 2n);
    member.hear(MessageType.AppResp, 4n, { index: 2, reject: true, rejectHint: 0 });
    acknowledge(member, 2, 4n);
    expect(member.node.status().progress.at(-1)).toMatchObject({ id: 4n, match: 3, isLearner: true });
    change(member, ConfChangeType.AddNode, 4n);
    acknowledge(member, 3, 2n);
    // A voter now, with the progress it had.
    expect(member.node.status().progress.at(-1)).toMatchObject({ id: 4n, match: 3, isLearner: false });
  });

  test('§4.2.2 a leader that was removed does not count itself', () => {
    const member = leader();
    change(member, ConfChangeType.RemoveNode, 1n);
    member.node.propose([Buffer.from('before the change is applied')]);
    member.flush();
    acknowledge(member, 2, 2n);
    acknowledge(member, 3, 2n);
    expect(member.commit()).toBe(2);
    acknowledge(member, 3, 3n);
    expect(member.commit()).toBe(3);
  });

  test('§4.2.3 a vote in a transfer is given in spite of a leader', () => {
    const member = new Member({ options: { checkQuorum: true } });
    member.hear(MessageType.Heartbeat, 2n);
    const request = { term: 2, index: 1, logTerm: 1 };
    expect(member.hear(MessageType.Vote, 3n, request)).toEqual([]);
    member.hear(MessageType.Vote, 3n, { ...request, context: Buffer.from('CampaignTransfer') });
    expect(member.status()).toMatchObject({ term: 2, vote: 3n });
  });

  test('§4.3 any number of servers change at once, by way of a joint configuration that is left by itself', () => {
    const member = leader();
    const changes = [4n, 5n].map((nodeId) => ({ type: ConfChangeType.AddNode, nodeId }));
    member.node.proposeConfChange({ transition: ConfChangeTransition.Auto, changes, context: EMPTY });
    member.flush();
    acknowledge(member, 2, 2n);
    expect(member.node.status().config).toMatchObject({ outgoing: [1n, 2n, 3n], autoLeave: true });
    acknowledge(member, 3, 2n, 4n);
    expect(member.node.status().config).toMatchObject({ incoming: [1n, 2n, 3n, 4n, 5n], outgoing: [] });
  });
});

describe('§6 Client interaction', () => {
  test('§6.2 a leader steps down when an election timeout passes without a round to a majority', () => {
    const member = leader({ options: { checkQuorum: true } });
    for (let i = 0; i < 5; i++) {
      member.tick(ELECTION - 1);
      member.hear(MessageType.HeartbeatResp, 3n);
      member.tick();
      expect(member.status().role).toBe(Role.Leader);
    }
    member.tick(ELECTION);
    expect(member.status()).toMatchObject({ role: Role.Follower, lead: NONE, term: 2 });
  });

  test('§6.4 a leader does not answer reads before it has committed an entry of its term', () => {
    const member = new Member({ log: [1], commit: 1 });
    member.lead();
    member.node.readIndex(Buffer.from('r'));
    expect(of(member.flush(), MessageType.Heartbeat)).toEqual([]);
    const sent = of(member.hear(MessageType.AppResp, 2n, { index: 3 }), MessageType.Heartbeat);
    expect(sent.map((each) => each.context.toString())).toEqual(['r', 'r']);
  });

  test('§6.4 a read is answered after a round of heartbeats which began after it came', () => {
    const member = leader();
    // An answer to an earlier heartbeat, on its way when the read comes, confirms nothing.
    member.tick();
    member.node.readIndex(Buffer.from('r'));
    member.flush();
    member.hear(MessageType.HeartbeatResp, 2n);
    expect(member.reads).toEqual([]);
    member.hear(MessageType.HeartbeatResp, 2n, { context: Buffer.from('r') });
    expect(member.reads).toEqual(['r']);
  });

  test('§6.4 a follower asks its leader for the index', () => {
    const member = new Member();
    member.hear(MessageType.Heartbeat, 2n);
    member.node.readIndex(Buffer.from('r'));
    const [asked] = of(member.flush(), MessageType.ReadIndex);
    expect([asked?.to, asked?.from]).toEqual([2n, 1n]);
    member.hear(MessageType.ReadIndexResp, 2n, { index: 5, entries: asked?.entries ?? [] });
    expect(member.reads).toEqual(['r']);
  });

  test('§6.4.1 a leader with a lease answers without a round', () => {
    const member = leader({ options: { checkQuorum: true, readOnlyOption: 'lease-based' } });
    member.node.readIndex(Buffer.from('r'));
    expect(of(member.flush(), MessageType.Heartbeat)).toEqual([]);
    expect(member.reads).toEqual(['r']);
  });
});

describe('§9.6 Pre-vote', () => {
  const preVote = { preVote: true };

  test('a server raises its term only when a majority would vote for it', () => {
    const member = new Member({ options: preVote });
    member.node.campaign();
    expect(of(member.flush(), MessageType.PreVote).map((each) => each.term)).toEqual([2, 2]);
    expect(member.status()).toMatchObject({ role: Role.PreCandidate, term: 1, vote: NONE });
    expect(member.storage.initialState().hardState.term).toBe(1);
    member.hear(MessageType.PreVoteResp, 2n, { term: 2 });
    expect(member.status()).toMatchObject({ role: Role.Candidate, term: 2, vote: 1n });
  });

  test('refused by a majority, it stays where it is', () => {
    const member = new Member({ options: preVote });
    member.node.campaign();
    member.flush();
    for (const id of [2n, 3n]) member.hear(MessageType.PreVoteResp, id, { reject: true });
    expect(member.status()).toMatchObject({ role: Role.Follower, term: 1 });
  });

  test.each<[string, boolean, number, boolean]>([
    ['no leader, and a log as good', false, 2, true],
    ['no leader, and a log that is behind', false, 1, false],
    ['a leader heard from of late', true, 2, false],
  ])('a server that knows %s', (_name, led, index, granted) => {
    const member = new Member({ log: [1], options: { ...preVote, checkQuorum: true } });
    if (led) member.hear(MessageType.Heartbeat, 2n);
    const sent = member.hear(MessageType.PreVote, 3n, { term: 2, index, logTerm: 1 });
    expect(sent.some((each) => each.type === MessageType.PreVoteResp && !each.reject)).toBe(granted);
    // It is no vote: nothing of it is kept.
    expect(member.status()).toMatchObject({ term: 1, vote: NONE });
  });
});

describe('§10.2 Performance', () => {
  test('§10.2.1 appends leave while the leader’s own disk is written, and commit without it', () => {
    const { node, storage } = leader();
    node.propose([Buffer.from('x')]);
    const { messages, append: work } = node.ready();
    expect(messages.filter((each) => each.type === MessageType.App).length).toBeGreaterThan(0);
    expect(work?.entries.map((each) => each.index)).toEqual([3]);
    for (const from of [2n, 3n]) {
      node.step(new Message(MessageType.AppResp, { from, to: 1n, term: 2, index: 3 }));
    }
    expect(node.basicStatus().commit).toBe(3);
    // Here it is applied only when it is durable here.
    expect(node.ready().apply).toBeUndefined();
    storage.append(work?.entries ?? []);
    for (const each of work?.responses ?? []) node.step(each);
    expect(node.ready().apply?.entries.map((each) => each.index)).toEqual([3]);
  });

  test('§10.2.2 entries are sent ahead of answers once a follower agrees, and one probe at a time before', () => {
    const member = leader();
    const propose = (): number[] => {
      member.node.propose([Buffer.from('x')]);
      return of(member.flush(), MessageType.App)
        .filter((each) => each.entries.length > 0)
        .map((each) => Number(each.to));
    };
    expect([propose(), propose(), propose()]).toEqual([[2], [2], [2]]);
    // Its answer makes 3 one of those who agree: it gets all in one batch.
    const sent = of(member.hear(MessageType.AppResp, 3n, { index: 2 }), MessageType.App);
    expect(sent.map((each) => [each.to, each.entries.length])).toEqual([[3n, 3]]);
    expect([propose(), propose()]).toEqual([
      [2, 3],
      [2, 3],
    ]);
  });

  test('§10.2.2 a receiver finds a gap when what was sent ahead is lost', () => {
    const member = new Member({ log: [1], term: 1 });
    const [answer] = of(member.hear(MessageType.App, 2n, append(1, 1, 3, [1])), MessageType.AppResp);
    expect(answer).toMatchObject({ reject: true, index: 4, rejectHint: 2 });
  });
});
