/** What is old takes nothing back and proves nothing: acknowledgements, progress, snapshots. */
import { describe, expect, test } from '@jest/globals';
import { EMPTY_CONF_STATE, MessageType, Role, Snapshot } from '../src/index.ts';
import { entry, of, OneMember } from './one-member.ts';

test('an acknowledgement of an earlier term does not count', () => {
  const member = new OneMember({ log: [2, 2], term: 2 });
  member.lead();
  expect(member.status).toMatchObject({ term: 3, lastIndex: 4 });
  member.hear(MessageType.AppResp, 2n, { term: 2, index: 4 });
  expect(member.status.commit).toBe(1);
  expect(member.status.progress.find((peer) => peer.id === 2n)).toMatchObject({ match: 0 });
  member.hear(MessageType.AppResp, 2n, { term: 3, index: 4 });
  expect(member.status.commit).toBe(4);
});

test('what a peer had in an earlier term of ours is not known any more', () => {
  const member = new OneMember();
  member.lead();
  member.acknowledged(2n, 3n);
  member.hear(MessageType.Heartbeat, 3n, { term: 3 });
  member.lead();
  expect(member.status).toMatchObject({ role: Role.Leader, term: 4 });
  expect(member.status.progress.map((peer) => peer.match)).toEqual([3, 0, 0]);
});

describe('a snapshot', () => {
  const members = { ...EMPTY_CONF_STATE, voters: [1n, 2n, 3n] };

  test('older than what is committed changes nothing', () => {
    const member = new OneMember({ log: [1, 1, 1, 1, 1], commit: 6 });
    member.storage.compact(5);
    member.step(MessageType.Snap, 2n, { snapshot: new Snapshot(3, 1, members) });
    member.turn();
    expect(member.disk.some((work) => work.snapshot !== undefined)).toBe(false);
    expect(member.status).toMatchObject({ commit: 6, lastIndex: 6 });
  });

  test('within the log only says what is committed: what follows it was acknowledged', () => {
    const member = new OneMember({ log: [1, 1, 1, 1] });
    const [answer] = of(
      member.hear(MessageType.Snap, 2n, { snapshot: new Snapshot(3, 1, members) }),
      MessageType.AppResp,
    );
    expect(answer).toMatchObject({ index: 3 });
    expect(member.status).toMatchObject({ commit: 3, lastIndex: 5 });
    expect(member.storage.term(5)).toBe(1);
  });

  test('brings its membership', () => {
    const member = new OneMember();
    member.hear(MessageType.Snap, 2n, { snapshot: new Snapshot(9, 1, { ...members, voters: [1n, 2n] }) });
    expect(member.status).toMatchObject({ commit: 9, config: { incoming: [1n, 2n] } });
  });

  test('waits for the disk under its own index: the answer for an earlier one is not for it', () => {
    const member = new OneMember();
    for (const index of [9, 12]) {
      member.step(MessageType.Snap, 2n, { snapshot: new Snapshot(index, 1, members) });
      member.turn();
    }
    expect(member.disk.map((work) => work.snapshot?.index)).toEqual([9, 12]);
    member.write();
    // Until the second is there, this node could not even say what it has.
    member.node.campaign();
    expect(of(member.turn(), MessageType.Vote)).toEqual([]);
    member.settle();
    expect(member.storage.snapshot()?.index).toBe(12);
  });
});

test('a heartbeat commits what its sender knows to agree, and never takes back', () => {
  const member = new OneMember();
  member.lead();
  member.acknowledged(2n);
  const beats = of(member.tick(1), MessageType.Heartbeat);
  expect(beats.map((each) => [each.to, each.commit])).toEqual([
    [2n, 2],
    [3n, 0],
  ]);

  const follower = new OneMember({ log: [1, 1], commit: 3 });
  follower.hear(MessageType.Heartbeat, 2n, { commit: 2 });
  expect(follower.status.commit).toBe(3);
});

test('an append commits no further than its own end', () => {
  const member = new OneMember({ log: [1, 1, 1] });
  member.hear(MessageType.App, 2n, { term: 2, logTerm: 1, index: 2, entries: [entry(1, 3)], commit: 9 });
  expect(member.status).toMatchObject({ commit: 3, lastIndex: 4 });
});
