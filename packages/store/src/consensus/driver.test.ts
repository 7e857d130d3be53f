import { describe, expect, test } from '@jest/globals';
import { Prng, silentLogger } from '@keelson/base';
import {
  Message,
  MessageType,
  RawNode,
  Role,
  Snapshot,
  type AppendWork,
  type ConfState,
  type Entry,
} from '@keelson/raft';
import { CommandKind } from '../apply/command.ts';
import type { ApplyResult } from '../apply/results.ts';
import type { StoreError } from '../errors.ts';
import { Driver, type DriverHandlers } from './driver.ts';
import { LogTail } from './log-storage.ts';
import { Proposals } from './proposals.ts';
import { Reads } from './reads.ts';
import { RequestIds } from './request-ids.ts';

const BODY = Buffer.alloc(1000);

/** A driver whose disk, network and turns are the test's: nothing happens by itself. */
class Bench {
  readonly sent: Message[] = [];
  readonly applied: Entry[] = [];
  readonly writes: { readonly entries: readonly Entry[]; finish: (error?: Error) => void }[] = [];
  readonly installs: { readonly work: AppendWork; finish: (error?: Error) => void }[] = [];
  readonly roles: Role[] = [];
  readonly wanted: Message[] = [];
  fatal: Error | undefined;
  readonly ids = new RequestIds(1n, 0);
  readonly proposals = new Proposals(this.ids, 1e9);
  readonly reads = new Reads(this.ids);
  readonly tail: LogTail;
  readonly driver: Driver;
  private tasks: (() => void)[] = [];

  constructor(voters: readonly bigint[]) {
    const confState: ConfState = {
      voters,
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    this.tail = new LogTail(new Snapshot(1, 1, confState), { term: 1, vote: 0n, commit: 1 }, [], confState);
    const node = new RawNode({
      id: 1n,
      electionTick: 10,
      heartbeatTick: 1,
      storage: this.tail,
      applied: 1,
      maxSizePerMsg: 1_000_000,
      maxInflightMsgs: 100,
      checkQuorum: true,
      preVote: false,
      prng: new Prng(1),
      logger: silentLogger,
    });
    const handlers: DriverHandlers = {
      apply: (entries) => this.applied.push(...entries),
      leadership: (soft) => this.roles.push(soft.role),
      sendSnapshot: (message) => this.wanted.push(message),
      installSnapshot: (work) =>
        new Promise((resolve, reject) => this.installs.push({ work, finish: settle(resolve, reject) })),
      fatal: (error) => {
        this.fatal = error;
      },
    };
    this.driver = new Driver(
      node,
      this.tail,
      {
        append: ({ entries }) =>
          new Promise((resolve, reject) => this.writes.push({ entries, finish: settle(resolve, reject) })),
      },
      { send: (messages) => this.sent.push(...messages) },
      this.proposals,
      this.reads,
      handlers,
      { id: 1n, defer: (task) => this.tasks.push(task), monotonicMs: () => 0, inboxMax: 3 },
      1,
    );
  }

  /** Runs turns until none is asked for. */
  async turn(): Promise<void> {
    for (;;) {
      await settled();
      const tasks = this.tasks;
      if (tasks.length === 0) return;
      this.tasks = [];
      for (const task of tasks) task();
    }
  }

  /** The disk does all it was asked for. */
  async sync(): Promise<void> {
    await this.turn();
    while (this.writes.length > 0) {
      for (const write of this.writes.splice(0)) write.finish();
      await this.turn();
    }
  }

  async lead(): Promise<void> {
    this.driver.run((node) => node.campaign());
    await this.sync();
    for (const { to, term } of this.take(MessageType.Vote))
      this.driver.receive(new Message(MessageType.VoteResp, { from: to, to: 1n, term }));
    await this.sync();
  }

  /** Messages of a type sent since the last call of this, and everything before them is forgotten. */
  take(type: MessageType): Message[] {
    return this.sent.splice(0).filter((message) => message.type === type);
  }

  propose(): Promise<unknown> {
    const waiting = this.proposals.add(CommandKind.Put, BODY, 0, 1e6);
    this.driver.wake();
    return waiting.then(
      (result: ApplyResult) => result.response,
      (error: unknown) => (error as StoreError).code,
    );
  }

  follow(leader: bigint, term: number): void {
    this.driver.receive(new Message(MessageType.Heartbeat, { from: leader, to: 1n, term, commit: 1 }));
  }
}

function settle(resolve: () => void, reject: (error: Error) => void): (error?: Error) => void {
  return (error) => (error === undefined ? resolve() : reject(error));
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a leader', () => {
  test('writes at once and in parallel to its followers, and applies what a quorum has', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    await bench.lead();
    expect(bench.driver.role).toBe(Role.Leader);
    bench.sent.length = 0;
    void bench.propose();
    await bench.turn();
    expect(bench.writes).toHaveLength(1);
    expect(bench.applied).toHaveLength(0);
    const { term } = bench.driver;
    const last = bench.writes[0].entries.at(-1)!.index;
    bench.driver.receive(new Message(MessageType.AppResp, { from: 2n, to: 1n, term, index: last - 1 }));
    await bench.turn();
    bench.driver.receive(new Message(MessageType.AppResp, { from: 2n, to: 1n, term, index: last }));
    await bench.turn();
    // One follower has it and the own disk not yet: no quorum.
    expect(bench.driver.appliedIndex).toBeLessThan(last);
    await bench.sync();
    expect(bench.driver.appliedIndex).toBe(last);
  });

  test('alone: applies nothing before its own disk has it', async () => {
    const bench = new Bench([1n]);
    await bench.lead();
    const before = bench.driver.appliedIndex;
    void bench.propose();
    await bench.turn();
    expect(bench.driver.appliedIndex).toBe(before);
    await bench.sync();
    expect(bench.driver.appliedIndex).toBe(before + 1);
  });

  test('what arrives in one turn is one write', async () => {
    const bench = new Bench([1n]);
    await bench.lead();
    for (let i = 0; i < 50; i++) void bench.propose();
    await bench.turn();
    expect(bench.writes.map(({ entries }) => entries.length)).toEqual([50]);
  });

  test('being handed over it refuses proposals, as never logged', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    await bench.lead();
    bench.driver.run((node) => node.transferLeader(2n));
    await bench.turn();
    const outcome = bench.propose();
    await bench.turn();
    expect(await outcome).toBe('PROPOSAL_DROPPED');
    expect(bench.writes).toHaveLength(0);
  });

  test('deposed in the very turn, its lease revokes are discarded, not passed on (E5)', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    await bench.lead();
    bench.sent.length = 0;
    bench.proposals.addAsLeader(CommandKind.LeaseRevoke, BODY);
    bench.follow(2n, bench.driver.term + 1);
    await bench.turn();
    expect(bench.take(MessageType.Prop)).toHaveLength(0);
    expect(bench.proposals.queuedCount).toBe(0);
    expect(bench.roles.at(-1)).toBe(Role.Follower);
  });
});

describe('a follower', () => {
  test('no vote and no acknowledgement leaves before the disk has what it rests on', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    bench.driver.receive(new Message(MessageType.Vote, { from: 2n, to: 1n, term: 2, index: 1, logTerm: 1 }));
    await bench.turn();
    expect(bench.sent).toHaveLength(0);
    await bench.sync();
    expect(bench.take(MessageType.VoteResp)).toMatchObject([{ to: 2n, reject: false }]);
  });

  test('commands wait while nobody leads, and go to the leader in messages it can read', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    for (let i = 0; i < 3000; i++) void bench.propose();
    await bench.turn();
    expect(bench.sent).toHaveLength(0);
    expect(bench.proposals.queuedCount).toBe(3000);
    bench.follow(2n, 2);
    await bench.turn();
    const forwarded = bench.take(MessageType.Prop);
    expect(forwarded.every((message) => message.to === 2n)).toBe(true);
    expect(forwarded.map((message) => message.entries.length).reduce((a, b) => a + b)).toBe(3000);
    const sizes = forwarded.map((message) =>
      message.entries.reduce((sum, entry) => sum + entry.data.length, 0),
    );
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1024 * 1024);
    expect(forwarded.length).toBeLessThan(5);
  });

  test('commands of the turn in which its leader is lost are kept, not refused', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    bench.follow(2n, 2);
    await bench.sync();
    const outcome = bench.propose();
    for (let i = 0; i < 25; i++) bench.driver.tick();
    await bench.turn();
    expect(bench.driver.leaderId).toBe(0n);
    expect(bench.proposals.queuedCount).toBe(1);
    bench.follow(3n, bench.driver.term + 1);
    await bench.sync();
    expect(bench.take(MessageType.Prop)).toHaveLength(1);
    void outcome;
  });

  test('an answer of the disk from before its term is not taken for the newer one of the same entry', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    const entry = { term: 2, index: 2, type: 0, data: Buffer.from('x') } as Entry;
    bench.driver.receive(
      new Message(MessageType.App, { from: 2n, to: 1n, term: 2, index: 1, logTerm: 1, entries: [entry] }),
    );
    await bench.turn();
    // Another term begins while the entry is being written: raft ignores the write's answer.
    bench.driver.receive(new Message(MessageType.Heartbeat, { from: 3n, to: 1n, term: 3, commit: 1 }));
    await bench.turn();
    bench.driver.receive(
      new Message(MessageType.App, { from: 3n, to: 1n, term: 3, index: 2, logTerm: 2, commit: 2 }),
    );
    await bench.sync();
    expect(bench.applied.map(({ index }) => index)).toEqual([2]);
  });

  test('more messages than it can hold are dropped and counted', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    for (let i = 0; i < 5; i++) bench.follow(2n, 2);
    expect(bench.driver.counters.inboxDropped).toBe(2);
    await bench.turn();
    expect(bench.driver.leaderId).toBe(2n);
  });
});

describe('reads', () => {
  async function answer(bench: Bench): Promise<void> {
    for (const { to, term, context } of bench.take(MessageType.Heartbeat))
      bench.driver.receive(new Message(MessageType.HeartbeatResp, { from: to, to: 1n, term, context }));
    await bench.sync();
  }

  test('are confirmed by a quorum of heartbeats; a second round follows for who came meanwhile', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    await bench.lead();
    const { term } = bench.driver;
    bench.driver.receive(
      new Message(MessageType.AppResp, { from: 2n, to: 1n, term, index: bench.tail.lastIndex() }),
    );
    await bench.sync();
    const done: string[] = [];
    void bench.reads.add(0).then(() => done.push('first'));
    bench.driver.wake();
    await bench.turn();
    void bench.reads.add(0).then(() => done.push('second'));
    bench.driver.wake();
    await bench.turn();
    expect(done).toEqual([]);
    await answer(bench);
    expect(done).toEqual(['first']);
    await answer(bench);
    expect(done).toEqual(['first', 'second']);
  });

  test('in flight end with the leader; nothing is asked of nobody', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    const early = bench.reads.add(0).catch((error: unknown) => (error as StoreError).code);
    bench.driver.wake();
    await bench.turn();
    expect(bench.reads.hasArrivals).toBe(true);
    bench.follow(2n, 2);
    await bench.sync();
    expect(bench.take(MessageType.ReadIndex)).toHaveLength(1);
    bench.follow(3n, 3);
    await bench.sync();
    expect(bench.reads.waitingCount).toBe(0);
    expect(await early).toBe('LEADER_CHANGED');
  });
});

describe('a snapshot', () => {
  test('is installed before later appends are written, and acknowledged after it', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    const snapshot = new Snapshot(50, 2, {
      voters: [1n, 2n, 3n],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    });
    bench.driver.receive(new Message(MessageType.Snap, { from: 2n, to: 1n, term: 2, snapshot }));
    await bench.turn();
    expect(bench.installs).toHaveLength(1);
    const entry = { term: 2, index: 51, type: 0, data: Buffer.from('x') } as Entry;
    bench.driver.receive(
      new Message(MessageType.App, {
        from: 2n,
        to: 1n,
        term: 2,
        index: 50,
        logTerm: 2,
        entries: [entry],
        commit: 51,
      }),
    );
    await bench.turn();
    expect(bench.writes).toHaveLength(0);
    expect(bench.take(MessageType.AppResp)).toHaveLength(0);
    bench.installs[0].finish();
    await bench.sync();
    expect(bench.take(MessageType.AppResp).map(({ index }) => index)).toEqual([50, 51]);
    expect(bench.driver.appliedIndex).toBe(51);
    expect(bench.tail.firstIndex()).toBe(51);
  });

  test('that cannot be installed ends the member', async () => {
    const bench = new Bench([1n, 2n, 3n]);
    const snapshot = new Snapshot(50, 2, {
      voters: [1n, 2n, 3n],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    });
    bench.driver.receive(new Message(MessageType.Snap, { from: 2n, to: 1n, term: 2, snapshot }));
    await bench.turn();
    bench.installs[0].finish(new Error('damaged'));
    await bench.turn();
    expect(bench.fatal?.message).toBe('damaged');
    expect(bench.take(MessageType.AppResp)).toHaveLength(0);
  });
});

test('after a failed write nothing is acknowledged any more', async () => {
  const bench = new Bench([1n, 2n, 3n]);
  bench.driver.receive(new Message(MessageType.Vote, { from: 2n, to: 1n, term: 2, index: 1, logTerm: 1 }));
  await bench.turn();
  bench.writes[0].finish(new Error('EIO'));
  await bench.turn();
  expect(bench.fatal?.message).toBe('EIO');
  bench.follow(2n, 3);
  for (let i = 0; i < 40; i++) bench.driver.tick();
  await bench.turn();
  expect(bench.sent).toHaveLength(0);
});
