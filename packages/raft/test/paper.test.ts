/**
 * The rules of "In Search of an Understandable Consensus Algorithm" (extended version), one test a
 * sentence, in the paper's order: terms and elections (§5.1, §5.2).
 */
import { describe, expect, test } from '@jest/globals';
import { type Message, MessageType, NONE, type NodeId, Role } from '../src/index.ts';
import { append, ELECTION, Member, of } from './paper-member.ts';

describe('§5.1 Raft basics', () => {
  test.each<[string, (member: Member) => void]>([
    ['follower', () => {}],
    ['candidate', (member) => member.node.campaign()],
    ['leader', (member) => member.lead()],
  ])('a %s whose term is smaller updates it and becomes a follower', (_name, become) => {
    const member = new Member();
    become(member);
    member.flush();
    member.hear(MessageType.App, 2n, append(9, 1, 0, []));
    expect(member.status()).toMatchObject({ term: 9, role: Role.Follower, lead: 2n });
  });

  test('a message of a stale term is ignored', () => {
    const member = new Member({ term: 5 });
    expect(member.hear(MessageType.App, 2n, append(4, 1, 0, [4]))).toEqual([]);
    expect(member.terms()).toEqual([]);
    expect(member.status()).toMatchObject({ term: 5, lead: NONE });
  });

  test('the term survives a restart', () => {
    const member = new Member();
    member.hear(MessageType.Heartbeat, 2n, { term: 6 });
    expect(member.storage.initialState().hardState.term).toBe(6);
  });
});

describe('§5.2 Leader election', () => {
  test('servers start up as followers', () => {
    expect(new Member().status()).toMatchObject({ role: Role.Follower, lead: NONE });
  });

  test('a leader sends periodic heartbeats to all followers', () => {
    const member = new Member();
    member.lead();
    const beats = of(member.tick(), MessageType.Heartbeat);
    expect(beats.map((each) => [each.to, each.entries.length])).toEqual([
      [2n, 0],
      [3n, 0],
    ]);
  });

  test('heartbeats keep a follower from campaigning', () => {
    const member = new Member();
    for (let i = 0; i < 10 * ELECTION; i++) {
      member.tick();
      member.hear(MessageType.Heartbeat, 2n);
    }
    expect(member.status()).toMatchObject({ role: Role.Follower, term: 1 });
  });

  test.each<[string, boolean]>([
    ['a follower that hears nothing', false],
    ['a candidate whose election times out', true],
  ])('%s increments its term, votes for itself and asks all others', (_name, candidate) => {
    const member = new Member();
    if (candidate) member.node.campaign();
    member.flush();
    const before = member.status().term;
    const sent: Message[] = [];
    while (member.status().term === before) sent.push(...member.tick());
    expect(member.status()).toMatchObject({ term: before + 1, role: Role.Candidate, vote: 1n });
    expect(of(sent, MessageType.Vote).map((each) => [each.to, each.term])).toEqual([
      [2n, before + 1],
      [3n, before + 1],
    ]);
    // The vote for itself is durable before it counts (§5.1, thesis §3.8).
    expect(member.storage.initialState().hardState).toMatchObject({ term: before + 1, vote: 1n });
  });

  test.each<[number, boolean[], boolean[], Role]>([
    [1, [], [], Role.Leader],
    [3, [true, true], [], Role.Leader],
    [3, [true], [], Role.Leader],
    [3, [], [], Role.Candidate],
    [3, [], [false], Role.Candidate],
    [3, [], [false, false], Role.Follower],
    [5, [true, true], [], Role.Leader],
    [5, [true], [], Role.Candidate],
    [5, [true], [false, false], Role.Candidate],
    [5, [true], [false, false, false], Role.Follower],
  ])('of %i servers, votes %j and refusals %j decide', (size, granted, refused, role) => {
    const member = new Member({ size });
    member.node.campaign();
    member.flush();
    let from = 2n;
    for (let i = 0; i < granted.length; i++) member.hear(MessageType.VoteResp, from++);
    for (let i = 0; i < refused.length; i++) member.hear(MessageType.VoteResp, from++, { reject: true });
    expect(member.status().role).toBe(role);
  });

  test('a server counts once, however often it answers', () => {
    const member = new Member({ size: 5 });
    member.node.campaign();
    member.flush();
    for (let i = 0; i < 5; i++) member.hear(MessageType.VoteResp, 2n);
    expect(member.status().role).toBe(Role.Candidate);
  });

  test.each<[NodeId, NodeId, boolean]>([
    [NONE, 2n, true],
    [NONE, 3n, true],
    [2n, 2n, true],
    [2n, 3n, false],
    [3n, 2n, false],
  ])('at most one vote a term, first come, first served: voted %s, asked by %s', (vote, from, granted) => {
    const member = new Member({ term: 2, vote });
    const [answer] = member.hear(MessageType.Vote, from, { logTerm: 1, index: 1 });
    expect(answer).toMatchObject({ type: MessageType.VoteResp, to: from, reject: !granted });
    expect(member.storage.initialState().hardState.vote).toBe(granted ? from : vote);
  });

  test.each<[string, number]>([
    ['its own', 2],
    ['a later', 3],
  ])('a candidate that hears a leader of %s term gives way', (_name, term) => {
    const member = new Member();
    member.node.campaign();
    member.flush();
    member.hear(MessageType.App, 3n, append(term, 1, 0, []));
    expect(member.status()).toMatchObject({ role: Role.Follower, term, lead: 3n });
  });

  test('election timeouts are spread over the whole interval, and drawn anew each time', () => {
    const seen = new Set<number>();
    for (let seed = 1; seed < 200; seed++) {
      const member = new Member({ seed });
      seen.add(member.ticksUntilCampaign());
    }
    expect([...seen].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: ELECTION }, (_, i) => ELECTION + i),
    );

    const again = new Set<number>();
    const member = new Member();
    for (let i = 0; i < 50; i++) {
      again.add(member.ticksUntilCampaign());
      member.hear(MessageType.Heartbeat, 2n);
    }
    expect(again.size).toBeGreaterThan(5);
  });
});
