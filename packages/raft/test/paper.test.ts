/**
 * The rules of "In Search of an Understandable Consensus Algorithm" (extended version), one test a
 * sentence, in the paper's order. One node is real; the test plays the others.
 */
import { Prng } from '@keelson/base';
import { describe, expect, test } from '@jest/globals';
import {
  EMPTY_CONF_STATE,
  Entry,
  EntryType,
  MemoryStorage,
  Message,
  type MessageFields,
  MessageType,
  NONE,
  type NodeId,
  RawNode,
  Role,
  Snapshot,
} from '../src/index.ts';

const ELECTION = 10;

interface Setup {
  /** How many voters; the real one is 1. */
  readonly size?: number;
  /** Terms of the entries it has, from index 1; all durable. */
  readonly log?: readonly number[];
  readonly term?: number;
  readonly vote?: NodeId;
  readonly commit?: number;
  readonly seed?: number;
}

/** One real node with an instant disk and state machine. */
class Member {
  readonly storage = new MemoryStorage();
  readonly node: RawNode;
  readonly applied: number[] = [];
  readonly size: number;

  constructor(setup: Setup = {}) {
    this.size = setup.size ?? 3;
    const voters = Array.from({ length: this.size }, (_, i) => BigInt(i + 1));
    // A state at index 1 of term 1 brings the membership; the paper's indexes count from there.
    this.storage.applySnapshot(new Snapshot(1, 1, { ...EMPTY_CONF_STATE, voters }));
    this.storage.append((setup.log ?? []).map((term, i) => entry(term, i + 2)));
    this.storage.setHardState({
      term: setup.term ?? 1,
      vote: setup.vote ?? NONE,
      commit: (setup.commit ?? 0) + 1,
    });
    this.node = new RawNode({
      id: 1n,
      electionTick: ELECTION,
      heartbeatTick: 1,
      storage: this.storage,
      applied: 1,
      prng: new Prng(setup.seed ?? 1),
      logger: { enabled: () => false, log: () => {} },
    });
    this.flush();
  }

  /** Does all work at once; what the node says to others meanwhile. */
  flush(): Message[] {
    const sent: Message[] = [];
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      sent.push(...ready.messages);
      if (ready.append !== undefined) {
        if (ready.append.hardState !== undefined) this.storage.setHardState(ready.append.hardState);
        this.storage.append(ready.append.entries);
        for (const each of ready.append.responses) {
          if (each.to === 1n) this.node.step(each);
          else sent.push(each);
        }
      }
      for (const each of ready.apply?.entries ?? []) this.applied.push(each.index - 1);
      for (const each of ready.apply?.responses ?? []) this.node.step(each);
    }
    return sent;
  }

  /** Index and logTerm are the paper's; a message's own index is one higher. */
  hear(type: MessageType, from: NodeId, fields: MessageFields = {}): Message[] {
    this.node.step(new Message(type, { to: 1n, from, term: this.status().term, ...fields }));
    return this.flush();
  }

  tick(times = 1): Message[] {
    const sent: Message[] = [];
    for (let i = 0; i < times; i++) {
      this.node.tick();
      sent.push(...this.flush());
    }
    return sent;
  }

  /** Ticks until it asks for votes, and how many that took. */
  ticksUntilCampaign(): number {
    for (let ticks = 1; ; ticks++) {
      this.tick();
      if (this.status().role === Role.Candidate) return ticks;
      if (ticks > 3 * ELECTION) throw new Error('no campaign');
    }
  }

  lead(): Message[] {
    this.node.campaign();
    this.flush();
    const sent: Message[] = [];
    for (let id = 2n; id <= BigInt(Math.floor(this.size / 2) + 1); id++) {
      sent.push(...this.hear(MessageType.VoteResp, id));
    }
    expect(this.status().role).toBe(Role.Leader);
    return sent;
  }

  status(): ReturnType<RawNode['basicStatus']> {
    return this.node.basicStatus();
  }

  terms(): number[] {
    const found = this.storage.entries(2, this.storage.lastIndex() + 1, Infinity);
    return Array.isArray(found) ? found.map((each) => each.term) : [];
  }

  commit(): number {
    return this.status().commit - 1;
  }
}

function entry(term: number, index: number): Entry {
  return new Entry(term, index, EntryType.Normal, Buffer.from(`${term}/${index}`));
}

/** A leader's append whose indexes are the paper's. */
function append(
  term: number,
  previousTerm: number,
  previous: number,
  terms: number[],
  commit = 0,
): MessageFields {
  return {
    term,
    logTerm: previousTerm,
    index: previous + 1,
    entries: terms.map((each, i) => entry(each, previous + 2 + i)),
    commit: commit + 1,
  };
}

function of(sent: readonly Message[], type: MessageType): Message[] {
  return sent.filter((each) => each.type === type);
}

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
