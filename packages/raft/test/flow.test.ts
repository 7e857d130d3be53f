/** Nobody is forgotten: windows open again, probes are repeated, proposals are charged once and let go. */
import { describe, expect, test } from '@jest/globals';
import { MessageType, type RaftConfig, Role } from '../src/index.ts';
import { of, OneMember } from './one-member.ts';

/** Leads term 2 of three; all have its first entry, at index 2. */
function leader(config: Partial<RaftConfig> = {}): OneMember {
  const member = new OneMember({ config });
  member.lead();
  member.acknowledged(2n, 3n);
  return member;
}

function propose(member: OneMember, bytes: number): ReturnType<OneMember['node']['propose']> {
  const outcome = member.node.propose([Buffer.alloc(bytes, 'x')]);
  member.turn();
  return outcome;
}

function peer(member: OneMember, id: bigint): { next: number; match: number; inflightCount: number } {
  const found = member.status.progress.find((each) => each.id === id);
  if (found === undefined) throw new Error(`no peer ${id}`);
  return found;
}

describe('a window', () => {
  test('is freed by one acknowledgement for all that it answers', () => {
    const member = leader({ maxInflightMsgs: 3 });
    for (let i = 0; i < 5; i++) propose(member, 1);
    expect(peer(member, 2n)).toMatchObject({ inflightCount: 3, next: 6 });
    const sent = of(member.hear(MessageType.AppResp, 2n, { index: 5 }), MessageType.App).filter(
      (each) => each.to === 2n && each.entries.length > 0,
    );
    expect(sent.flatMap((each) => each.entries).map((each) => each.index)).toEqual([6, 7]);
    expect(peer(member, 2n)).toMatchObject({ match: 5, next: 8, inflightCount: 1 });
  });

  test('in bytes is freed with them', () => {
    const member = leader({ maxInflightBytes: 100, maxSizePerMsg: 100 });
    for (let round = 0; round < 5; round++) {
      propose(member, 100);
      expect(peer(member, 2n).inflightCount).toBe(1);
      member.acknowledged(2n, 3n);
      expect(peer(member, 2n)).toMatchObject({ inflightCount: 0, match: member.status.lastIndex });
    }
  });
});

test('a lost probe is repeated with the next answer to a heartbeat', () => {
  const member = new OneMember();
  member.lead();
  expect(peer(member, 2n)).toMatchObject({ match: 0 });
  expect(of(member.tick(1), MessageType.App)).toEqual([]);
  const sent = of(member.hear(MessageType.HeartbeatResp, 2n), MessageType.App);
  expect(sent.map((each) => [each.to, each.index, each.entries.length])).toEqual([[2n, 1, 1]]);
});

test('an acknowledgement beyond what was sent moves on what is sent next', () => {
  const member = new OneMember({ log: [1, 1, 1] });
  member.lead();
  member.hear(MessageType.AppResp, 2n, { index: 4, reject: true, rejectHint: 1, logTerm: 1 });
  member.hear(MessageType.AppResp, 2n, { index: 5 });
  const { match, next } = peer(member, 2n);
  expect([match, next]).toEqual([5, 6]);
});

describe('the uncommitted size', () => {
  const config = { maxUncommittedEntriesSize: 100 };

  test('is let go when its entries are applied', () => {
    const member = leader(config);
    for (let round = 0; round < 5; round++) {
      expect(propose(member, 100)).toBe('ok');
      expect(propose(member, 100)).toBe('dropped');
      member.settle();
      member.acknowledged(2n, 3n);
    }
  });

  test('is not charged for what is refused', () => {
    const member = leader(config);
    expect(propose(member, 100)).toBe('ok');
    for (let i = 0; i < 3; i++) expect(propose(member, 100)).toBe('dropped');
    member.settle();
    member.acknowledged(2n, 3n);
    expect(propose(member, 60)).toBe('ok');
    expect(propose(member, 40)).toBe('ok');
    expect(propose(member, 1)).toBe('dropped');
  });

  test('starts from nothing with a new term', () => {
    const member = leader(config);
    expect(propose(member, 100)).toBe('ok');
    // It is deposed, and elected again, before anything is committed.
    member.hear(MessageType.Heartbeat, 3n, { term: 3 });
    member.lead();
    expect(member.status).toMatchObject({ role: Role.Leader, term: 4, commit: 2 });
    expect(propose(member, 100)).toBe('ok');
  });
});

test('a transfer waits until the target has everything', () => {
  const member = leader();
  member.node.propose([Buffer.from('x')]);
  member.settle();
  member.node.transferLeader(3n);
  expect(of(member.settle(), MessageType.TimeoutNow)).toEqual([]);
  expect(of(member.hear(MessageType.AppResp, 3n, { index: 3 }), MessageType.TimeoutNow)).toMatchObject([
    { to: 3n },
  ]);
});
