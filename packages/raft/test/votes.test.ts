/** Elections beside the paper's plain ones: joint quorums, pre-votes, the voters' lease, whose timer runs on. */
import { describe, expect, test } from '@jest/globals';
import { type MessageFields, MessageType, NONE, type NodeId, Role } from '../src/index.ts';
import { ELECTION_TICKS, of, OneMember } from './one-member.ts';

const UP_TO_DATE: MessageFields = { logTerm: 1, index: 1 };

describe('a joint membership elects by both halves', () => {
  test.each<[string, NodeId[], Role]>([
    ['the incoming alone', [2n, 3n], Role.Candidate],
    ['the outgoing alone', [4n, 5n], Role.Candidate],
    ['a majority of all, but not of the outgoing', [2n, 3n, 4n], Role.Candidate],
    ['one of each, and itself', [2n, 4n, 5n], Role.Leader],
  ])('%s', (_name, granted, role) => {
    const member = new OneMember({ confState: { voters: [1n, 2n, 3n], votersOutgoing: [4n, 5n, 6n] } });
    member.node.campaign();
    member.settle();
    for (const id of granted) member.hear(MessageType.VoteResp, id);
    expect(member.status.role).toBe(role);
  });
});

describe('a pre-vote', () => {
  const config = { preVote: true, checkQuorum: true };

  test('changes nothing at who asks', () => {
    const member = new OneMember({ config });
    member.node.campaign();
    const asked = of(member.settle(), MessageType.PreVote);
    expect(asked.map((each) => [each.to, each.term])).toEqual([
      [2n, 2],
      [3n, 2],
    ]);
    expect(member.status).toMatchObject({ term: 1, vote: NONE, role: Role.PreCandidate });
  });

  test('changes nothing at who grants it, and is granted in the term that was asked about', () => {
    const member = new OneMember({ config });
    const [answer] = member.hear(MessageType.PreVote, 2n, { term: 7, ...UP_TO_DATE });
    expect(answer).toMatchObject({ type: MessageType.PreVoteResp, to: 2n, term: 7, reject: false });
    expect(member.status).toMatchObject({ term: 1, vote: NONE });
    expect(member.storage.initialState().hardState).toMatchObject({ term: 1, vote: NONE });
  });

  test('of an earlier term is refused in ours, so that who asked catches up', () => {
    const member = new OneMember({ term: 5, config });
    expect(member.hear(MessageType.PreVote, 2n, { term: 3, ...UP_TO_DATE })).toMatchObject([
      { type: MessageType.PreVoteResp, to: 2n, term: 5, reject: true },
    ]);
  });

  test('is no vote, when it comes late', () => {
    const member = new OneMember({ confState: { voters: [1n, 2n, 3n, 4n, 5n] }, config });
    member.node.campaign();
    member.settle();
    for (const id of [2n, 3n]) member.hear(MessageType.PreVoteResp, id, { term: 2 });
    expect(member.status).toMatchObject({ role: Role.Candidate, term: 2 });
    for (const id of [4n, 5n]) member.hear(MessageType.PreVoteResp, id, { term: 2 });
    expect(member.status.role).toBe(Role.Candidate);
    for (const id of [4n, 5n]) member.hear(MessageType.VoteResp, id);
    expect(member.status.role).toBe(Role.Leader);
  });
});

describe('with check-quorum, who hears a leader', () => {
  const TRANSFER = Buffer.from('CampaignTransfer');

  function follower(): OneMember {
    const member = new OneMember({ config: { checkQuorum: true } });
    member.hear(MessageType.Heartbeat, 2n);
    member.node.setRandomizedElectionTimeout(2 * ELECTION_TICKS - 1);
    return member;
  }

  test('votes for nobody, whatever the term', () => {
    const member = follower();
    member.tick(ELECTION_TICKS - 1);
    expect(member.hear(MessageType.Vote, 3n, { term: 9, ...UP_TO_DATE })).toEqual([]);
    expect(member.status).toMatchObject({ term: 1, lead: 2n });
  });

  test('votes for whom the leader has asked to campaign', () => {
    const member = follower();
    const [answer] = member.hear(MessageType.Vote, 3n, { term: 2, context: TRANSFER, ...UP_TO_DATE });
    expect(answer).toMatchObject({ type: MessageType.VoteResp, term: 2, reject: false });
  });

  test('votes again when it has not heard it for an election timeout', () => {
    const member = follower();
    member.tick(ELECTION_TICKS);
    const [answer] = member.hear(MessageType.Vote, 3n, { term: 2, ...UP_TO_DATE });
    expect(answer).toMatchObject({ type: MessageType.VoteResp, term: 2, reject: false });
  });

  test('and leads, steps down when a quorum is silent for two election timeouts', () => {
    const member = new OneMember({ config: { checkQuorum: true } });
    member.lead();
    member.acknowledged(2n, 3n);
    member.tick(ELECTION_TICKS);
    expect(member.status.role).toBe(Role.Leader);
    member.tick(ELECTION_TICKS);
    expect(member.status).toMatchObject({ role: Role.Follower, lead: NONE, term: 2 });
  });
});

describe('the election timer', () => {
  /** In a term in which it has refused one candidate; it campaigns after ELECTION_TICKS. */
  function refused(): OneMember {
    const member = new OneMember({ log: [1] });
    expect(member.hear(MessageType.Vote, 3n, { term: 2, ...UP_TO_DATE })).toMatchObject([{ reject: true }]);
    member.node.setRandomizedElectionTimeout(ELECTION_TICKS);
    member.tick(ELECTION_TICKS - 1);
    return member;
  }

  test('starts again when a vote is given', () => {
    const member = refused();
    const [answer] = member.hear(MessageType.Vote, 2n, { logTerm: 1, index: 2 });
    expect(answer).toMatchObject({ reject: false });
    member.tick(ELECTION_TICKS - 1);
    expect(member.status.role).toBe(Role.Follower);
    member.tick(1);
    expect(member.status.role).toBe(Role.Candidate);
  });

  test('runs on when a vote is refused', () => {
    const member = refused();
    expect(member.hear(MessageType.Vote, 3n, UP_TO_DATE)).toMatchObject([{ reject: true }]);
    member.tick(1);
    expect(member.status.role).toBe(Role.Candidate);
  });
});
