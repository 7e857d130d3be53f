/** Linearizable reads: what confirms which read, and at what index (thesis §6.4). */
import { describe, expect, test } from '@jest/globals';
import { MessageType, type NodeId, type RaftConfig, Role } from '../src/index.ts';
import { entry, of, OneMember } from './one-member.ts';

const FIVE = { voters: [1n, 2n, 3n, 4n, 5n] };

/** Leads term 2 of three or five; all have its first entry, at index 2. */
function leader(voters: readonly NodeId[] = [1n, 2n, 3n], config: Partial<RaftConfig> = {}): OneMember {
  const member = new OneMember({ confState: { voters }, config });
  member.lead();
  member.acknowledged(...voters.filter((id) => id !== 1n));
  expect(member.status).toMatchObject({ role: Role.Leader, commit: 2 });
  return member;
}

function ask(member: OneMember, context: string): void {
  member.node.readIndex(Buffer.from(context));
  member.settle();
}

function confirm(member: OneMember, from: NodeId, context: string): void {
  member.hear(MessageType.HeartbeatResp, from, { context: Buffer.from(context) });
}

function answered(member: OneMember): string[] {
  return member.reads.map((read) => `${read.context.toString()}@${read.index}`);
}

describe('a read is confirmed', () => {
  test.each<[string, NodeId[], NodeId[]]>([
    ['by a quorum of three', [1n, 2n, 3n], [2n]],
    ['by a quorum of four', [1n, 2n, 3n, 4n], [2n, 3n]],
    ['by a quorum of five', FIVE.voters, [2n, 3n]],
  ])('%s, and not before', (_name, voters, answers) => {
    const member = leader(voters);
    ask(member, 'a');
    for (const from of answers) {
      expect(answered(member)).toEqual([]);
      confirm(member, from, 'a');
    }
    expect(answered(member)).toEqual(['a@2']);
  });

  test('with check-quorum like without: a lease is no answer', () => {
    const member = leader([1n, 2n, 3n], { checkQuorum: true });
    ask(member, 'a');
    expect(answered(member)).toEqual([]);
    confirm(member, 3n, 'a');
    expect(answered(member)).toEqual(['a@2']);
  });

  test('by answers to its own heartbeat or a later one, never to an earlier one', () => {
    const member = leader();
    ask(member, 'a');
    ask(member, 'b');
    confirm(member, 2n, 'a');
    expect(answered(member)).toEqual(['a@2']);
    // The answer of the other one to the same heartbeat is late; b began after that was sent.
    confirm(member, 3n, 'a');
    expect(answered(member)).toEqual(['a@2']);
    confirm(member, 3n, 'b');
    expect(answered(member)).toEqual(['a@2', 'b@2']);
  });

  test('together with all before it', () => {
    const member = leader();
    for (const context of ['a', 'b', 'c']) ask(member, context);
    confirm(member, 2n, 'b');
    expect(answered(member)).toEqual(['a@2', 'b@2']);
  });

  test('by one answer a node', () => {
    const member = leader(FIVE.voters);
    ask(member, 'a');
    for (let i = 0; i < 4; i++) confirm(member, 2n, 'a');
    expect(answered(member)).toEqual([]);
  });
});

test('a read is at the commit index of when it came, though less is applied', () => {
  const member = leader();
  member.node.propose([Buffer.from('x')]);
  member.turn();
  member.write();
  member.step(MessageType.AppResp, 2n, { index: 3 });
  member.turn();
  expect(member.status).toMatchObject({ commit: 3, applied: 2 });
  member.node.readIndex(Buffer.from('a'));
  member.turn();
  member.step(MessageType.HeartbeatResp, 2n, { context: Buffer.from('a') });
  member.turn();
  expect(answered(member)).toEqual(['a@3']);
});

test('a read is gone with the leadership, also when the same node leads again', () => {
  const member = leader();
  ask(member, 'a');
  // Another leader commits what this one does not know; then this one is elected again.
  member.hear(MessageType.App, 3n, { term: 3, logTerm: 2, index: 2, entries: [entry(3, 3)], commit: 3 });
  member.lead();
  expect(member.status).toMatchObject({ role: Role.Leader, term: 4, commit: 3 });
  member.acknowledged(2n, 3n);
  const beats = of(member.tick(1), MessageType.Heartbeat);
  expect(beats.map((beat) => beat.context.length)).toEqual([0, 0]);
  confirm(member, 2n, 'a');
  confirm(member, 3n, 'a');
  expect(answered(member)).toEqual([]);
});

// docs/bugs.md: the network may deliver twice what a follower passed on; its context is then not new.
test('a read that was passed on twice: answers to the heartbeats of the first confirm nothing', () => {
  const member = leader();
  const passOn = (): Buffer => {
    const sent = member.hear(MessageType.ReadIndex, 3n, { term: 0, entries: [entry(0, 0, 'x')] });
    const [beat] = of(sent, MessageType.Heartbeat);
    expect(beat?.context.toString('latin1')).toMatch(/^x/);
    return beat?.context ?? Buffer.alloc(0);
  };
  const first = passOn();
  expect(passOn()).toEqual(first);
  expect(
    of(member.hear(MessageType.HeartbeatResp, 2n, { context: first }), MessageType.ReadIndexResp),
  ).toEqual([expect.objectContaining({ to: 3n, index: 2, entries: [entry(0, 0, 'x')] })]);

  ask(member, 'a');
  const second = passOn();
  expect(second).not.toEqual(first);
  // Node 3 answered this one before `a` was asked; someone else may lead by now.
  expect(member.hear(MessageType.HeartbeatResp, 3n, { context: first })).toEqual([]);
  expect(answered(member)).toEqual([]);
  member.hear(MessageType.HeartbeatResp, 3n, { context: second });
  expect(answered(member)).toEqual(['a@2']);
});
