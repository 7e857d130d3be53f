/**
 * The rules of "In Search of an Understandable Consensus Algorithm" (extended version), one test a
 * sentence, in the paper's order: the log and its safety (§5.3, §5.4, §8).
 */
import { describe, expect, test } from '@jest/globals';
import { Message, MessageType } from '../src/index.ts';
import { append, Member, of } from './paper-member.ts';

describe('§5.3 Log replication', () => {
  test('a leader appends a command to its log and sends it to each of the others', () => {
    const member = new Member();
    member.lead();
    for (const id of [2n, 3n]) member.hear(MessageType.AppResp, id, { index: 2 });
    member.node.propose([Buffer.from('x')]);
    const sent = of(member.flush(), MessageType.App);
    expect(
      sent.map((each) => [each.to, each.index, each.logTerm, each.entries.map((e) => e.data.toString())]),
    ).toEqual([
      [2n, 2, 2, ['x']],
      [3n, 2, 2, ['x']],
    ]);
    expect(member.terms()).toEqual([2, 2]);
  });

  test.each<[number, number, boolean]>([
    [1, 0, true],
    [3, 0, false],
    [3, 1, true],
    [5, 1, false],
    [5, 2, true],
    [5, 4, true],
  ])(
    'of %i servers, with %i answers beside its own, an entry is committed: %s',
    (size, answers, committed) => {
      const member = new Member({ size });
      member.lead();
      for (let i = 0; i < answers; i++) member.hear(MessageType.AppResp, BigInt(i + 2), { index: 2 });
      expect(member.commit()).toBe(committed ? 1 : 0);
      expect(member.applied).toEqual(committed ? [1] : []);
    },
  );

  test.each<[string, number[]]>([
    ['none', []],
    ['one', [2]],
    ['two of one term', [1, 1]],
    ['two of two terms', [1, 2]],
  ])('committing commits all preceding entries, earlier leaders’ too: %s', (_name, log) => {
    const member = new Member({ log, term: 2 });
    member.lead();
    expect(member.commit()).toBe(0);
    const end = log.length + 1;
    member.hear(MessageType.AppResp, 2n, { index: end + 1 });
    expect(member.commit()).toBe(end);
    expect(member.applied).toEqual(Array.from({ length: end }, (_, i) => i + 1));
  });

  test('a follower applies, in log order, what it learns to be committed', () => {
    const member = new Member();
    member.hear(MessageType.App, 2n, append(1, 1, 0, [1, 1, 1], 2));
    expect(member.applied).toEqual([1, 2]);
    member.hear(MessageType.Heartbeat, 2n, { commit: 4 });
    expect(member.applied).toEqual([1, 2, 3]);
  });

  test.each<[number, number, boolean]>([
    // previous term and index against a log of terms 1 2
    [1, 0, true],
    [1, 1, true],
    [2, 2, true],
    [1, 2, false],
    [3, 2, false],
    [3, 3, false],
  ])(
    'a follower accepts only after an entry that it has: term %i, index %i: %s',
    (term, previous, accepted) => {
      const member = new Member({ log: [1, 2], term: 2 });
      const [answer] = member.hear(MessageType.App, 2n, append(3, term, previous, []));
      expect(answer).toMatchObject({ type: MessageType.AppResp, reject: !accepted });
    },
  );

  test.each<[number, number, number[], number[]]>([
    [2, 2, [3], [1, 2, 3]],
    [1, 1, [3, 4], [1, 3, 4]],
    [1, 0, [1], [1, 2]],
    [1, 0, [3], [3]],
  ])(
    'a follower deletes what conflicts and all that follows it: after %i/%i, %j',
    (term, previous, terms, want) => {
      const member = new Member({ log: [1, 2], term: 2 });
      member.hear(MessageType.App, 2n, append(4, term, previous, terms));
      expect(member.terms()).toEqual(want);
    },
  );

  test('an old append, repeated or reordered, takes nothing back', () => {
    const member = new Member();
    member.hear(MessageType.App, 2n, append(1, 1, 0, [1, 1, 1]));
    member.hear(MessageType.App, 2n, append(1, 1, 0, [1]));
    expect(member.terms()).toEqual([1, 1, 1]);
  });

  test('after a rejection the leader goes back until the logs agree', () => {
    const member = new Member({ log: [1, 1, 2], term: 2 });
    member.lead();
    const [retry] = of(
      member.hear(MessageType.AppResp, 2n, { index: 4, reject: true, rejectHint: 2, logTerm: 1 }),
      MessageType.App,
    );
    expect([retry.index, retry.logTerm, retry.entries.map((each) => each.term)]).toEqual([2, 1, [1, 2, 3]]);
  });

  test('entries are durable before they are acknowledged', () => {
    const member = new Member();
    member.node.step(new Message(MessageType.App, { from: 2n, to: 1n, ...append(1, 1, 0, [1]) }));
    const ready = member.node.ready();
    expect(ready.messages).toEqual([]);
    expect(ready.append?.mustSync).toBe(true);
    expect(of(ready.append?.responses ?? [], MessageType.AppResp).map((each) => each.to)).toEqual([2n]);
  });
});

describe('§5.4 Safety', () => {
  test('a request for votes carries the end of the candidate’s log', () => {
    const member = new Member({ log: [1, 2], term: 2 });
    member.node.campaign();
    const asked = of(member.flush(), MessageType.Vote);
    expect(asked.map((each) => [each.to, each.logTerm, each.index])).toEqual([
      [2n, 2, 3],
      [3n, 2, 3],
    ]);
  });

  test.each<[number[], number, number, boolean]>([
    // our log, the candidate's last term and index
    [[1], 1, 1, true],
    [[1], 1, 2, true],
    [[1, 1], 1, 1, false],
    [[1], 2, 1, true],
    [[1, 1], 2, 1, true],
    [[2], 1, 1, false],
    [[2], 1, 9, false],
  ])(
    '§5.4.1 a voter whose log is more up to date refuses: %j asked with %i/%i',
    (log, lastTerm, last, granted) => {
      const member = new Member({ log, term: 2 });
      const [answer] = member.hear(MessageType.Vote, 2n, { term: 3, logTerm: lastTerm, index: last + 1 });
      expect(answer.reject).toBe(!granted);
    },
  );

  test.each<[number, number]>([
    // an acknowledged index, and what is committed then: the leader is of term 3, its log is 1 2 3
    [1, 0],
    [2, 0],
    [3, 3],
  ])('§5.4.2 only entries of the current term are committed by counting: up to %i', (index, commit) => {
    const member = new Member({ log: [1, 2], term: 2 });
    member.lead();
    expect(member.terms()).toEqual([1, 2, 3]);
    member.hear(MessageType.AppResp, 2n, { index: index + 1 });
    expect(member.commit()).toBe(commit);
  });

  test('the leader’s own copy counts only when it is durable', () => {
    const member = new Member({ size: 1 });
    member.node.campaign();
    member.flush();
    member.node.propose([Buffer.from('x')]);
    const work = member.node.ready().append;
    expect(member.commit()).toBe(1);
    member.storage.append(work?.entries ?? []);
    for (const each of work?.responses ?? []) member.node.step(each);
    expect(member.commit()).toBe(2);
  });
});

describe('§8 Client interaction', () => {
  test('a new leader commits an empty entry of its term first', () => {
    const member = new Member({ log: [1, 1], term: 1 });
    const [first] = of(member.lead(), MessageType.App);
    expect(first.entries.map((each) => [each.term, each.data.length])).toEqual([[2, 0]]);
  });
});
