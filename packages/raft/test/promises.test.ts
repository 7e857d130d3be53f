/** What a node says is backed by its disk first: votes, acknowledgements, its own copy (thesis §3.8). */
import { describe, expect, test } from '@jest/globals';
import { type MessageFields, MessageType, Role } from '../src/index.ts';
import { entry, of, OneMember } from './one-member.ts';

/** A request that our log does not stand against. */
const UP_TO_DATE: MessageFields = { logTerm: 1, index: 1 };

describe('a vote', () => {
  test('leaves only when the disk has it', () => {
    const member = new OneMember();
    member.step(MessageType.Vote, 2n, { term: 2, ...UP_TO_DATE });
    expect(member.turn()).toEqual([]);
    expect(member.disk).toMatchObject([{ hardState: { term: 2, vote: 2n }, mustSync: true }]);
    expect(member.write()).toMatchObject([{ type: MessageType.VoteResp, to: 2n, term: 2, reject: false }]);
  });

  test('in a term that the disk knows already is written and synced like any other', () => {
    const member = new OneMember({ log: [1] });
    expect(member.hear(MessageType.Vote, 3n, { term: 2, ...UP_TO_DATE })).toMatchObject([{ reject: true }]);
    member.step(MessageType.Vote, 2n, { logTerm: 1, index: 2 });
    expect(member.turn()).toEqual([]);
    expect(member.disk).toMatchObject([{ hardState: { term: 2, vote: 2n }, mustSync: true }]);
  });

  test('for itself counts only when the disk has it', () => {
    const member = new OneMember();
    member.node.campaign();
    expect(of(member.turn(), MessageType.Vote)).toHaveLength(2);
    member.step(MessageType.VoteResp, 2n);
    member.turn();
    expect(member.status.role).toBe(Role.Candidate);
    member.write();
    expect(member.status.role).toBe(Role.Leader);
  });
});

describe('an entry', () => {
  test('is counted at its leader only when its disk has it', () => {
    const member = new OneMember();
    member.lead();
    member.acknowledged(2n, 3n);
    expect(member.status.commit).toBe(2);
    member.node.propose([Buffer.from('x')]);
    member.turn();
    member.step(MessageType.AppResp, 2n, { index: 3 });
    member.turn();
    expect(member.status.commit).toBe(2);
    member.write();
    expect(member.status.commit).toBe(3);
  });

  test('is committed without its leader when the others are enough', () => {
    const member = new OneMember();
    member.lead();
    member.node.propose([Buffer.from('x')]);
    member.turn();
    for (const id of [2n, 3n]) member.step(MessageType.AppResp, id, { index: 3 });
    member.turn();
    expect(member.status.commit).toBe(3);
    // It is applied here when it is durable here.
    expect(member.machine.flatMap((work) => work.entries)).not.toContainEqual(entry(2, 3, 'x'));
    member.settle();
    expect(member.applied.at(-1)).toMatchObject({ term: 2, index: 3 });
  });
});

describe('an answer of the disk says nothing about entries that came later', () => {
  /** A leader of `term` has these entries from index 2 on, all committed. */
  function append(member: OneMember, term: number, terms: readonly number[]): void {
    member.step(MessageType.App, 2n, {
      term,
      logTerm: 1,
      index: 1,
      entries: terms.map((each, i) => entry(each, i + 2)),
      commit: 1,
    });
    member.turn();
  }

  test('when those of an earlier leader were handed out in the later term', () => {
    const member = new OneMember();
    member.step(MessageType.App, 2n, { term: 2, logTerm: 1, index: 1, entries: [entry(2, 2), entry(2, 3)] });
    member.step(MessageType.Vote, 3n, { term: 3, logTerm: 2, index: 3 });
    member.turn();
    append(member, 3, [3, 3]);
    member.step(MessageType.Heartbeat, 2n, { commit: 3 });
    member.turn();
    expect(member.disk.map((work) => work.entries.map((each) => each.term)).slice(0, 2)).toEqual([
      [2, 2],
      [3, 3],
    ]);
    member.write();
    expect(member.machine).toEqual([]);
    member.settle();
    expect(member.applied.map((each) => each.term)).toEqual([3, 3]);
  });

  test('when the same ones come back while others are on their way between', () => {
    const member = new OneMember();
    append(member, 2, [2]);
    append(member, 3, [3]);
    append(member, 4, [2]);
    member.step(MessageType.Heartbeat, 2n, { commit: 2 });
    member.turn();
    member.write();
    expect(member.machine).toEqual([]);
    member.write();
    expect(member.machine).toEqual([]);
    member.write();
    expect(member.machine.flatMap((work) => work.entries)).toMatchObject([{ term: 2, index: 2 }]);
  });
});
