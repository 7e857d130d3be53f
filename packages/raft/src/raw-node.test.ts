import { EMPTY, Prng, silentLogger } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { encodeConfChange } from './conf-change-codec.ts';
import { MemoryStorage } from './memory-storage.ts';
import { RawNode } from './raw-node.ts';
import {
  APPLY_THREAD,
  ConfChangeType,
  type ConfState,
  EMPTY_CONF_STATE,
  Entry,
  EntryType,
  Message,
  MessageType,
  Snapshot,
} from './types.ts';

function follower(): RawNode {
  return followerAndStorage().node;
}

function followerAndStorage(): { node: RawNode; storage: MemoryStorage } {
  const storage = MemoryStorage.founded({ voters: [1n, 2n, 3n] }, 3);
  const node = new RawNode({
    id: 1n,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied: 3,
    prng: new Prng(1),
    logger: silentLogger,
  });
  return { node, storage };
}

// docs/bugs.md, 1: an acknowledgement left with the sync of an earlier write.
test('what is promised after a Ready never joins the work that was handed out with it', () => {
  const node = follower();
  node.step(new Message(MessageType.Heartbeat, { from: 2n, to: 1n, term: 2 }));
  const first = node.ready().append;
  expect(first?.hardState).toEqual({ term: 2, vote: 0n, commit: 3 });
  const promised = [...(first?.responses ?? [])];

  node.step(
    new Message(MessageType.App, {
      from: 2n,
      to: 1n,
      term: 2,
      logTerm: 1,
      index: 3,
      entries: [new Entry(2, 4), new Entry(2, 5)],
      commit: 5,
    }),
  );
  const second = node.ready().append;
  expect(first?.responses).toEqual(promised);
  expect(second?.entries.map((entry) => entry.index)).toEqual([4, 5]);
  expect(second?.responses.map((response) => [response.type, response.index])).toEqual([
    [MessageType.AppResp, 5],
    [MessageType.StorageAppendResp, 5],
  ]);
});

function snapshotTo(index: number): Message {
  const confState = {
    voters: [1n, 2n, 3n],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  return new Message(MessageType.Snap, {
    from: 2n,
    to: 1n,
    term: 1,
    snapshot: new Snapshot(index, 1, confState),
  });
}

/** A follower whose state machine was handed entry 4, of this type, and has not answered. */
function applying(type: EntryType, data?: Buffer): RawNode {
  const { node, storage } = followerAndStorage();
  const entries = [new Entry(1, 4, type, data)];
  node.step(
    new Message(MessageType.App, { from: 2n, to: 1n, term: 1, logTerm: 1, index: 3, entries, commit: 4 }),
  );
  const work = node.ready().append;
  storage.append(work?.entries ?? []);
  for (const each of work?.responses ?? []) if (each.to === 1n) node.step(each);
  expect(node.ready().apply?.entries.map((entry) => entry.index)).toEqual([4]);
  return node;
}

test('a second snapshot is taken before the first is durable, with entries still being applied', () => {
  const node = applying(EntryType.Normal);
  node.step(snapshotTo(10));
  node.step(snapshotTo(20));
  expect(node.ready().append?.snapshot?.index).toBe(20);
});

test('no snapshot is restored under a conf change that is being applied', () => {
  const change = { id: 0n, type: ConfChangeType.AddNode, nodeId: 3n, context: EMPTY };
  const node = applying(EntryType.ConfChange, encodeConfChange(change));
  node.step(snapshotTo(10));
  expect(node.ready().append?.snapshot).toBeUndefined();
  expect(node.basicStatus().commit).toBe(4);
});

/** A follower of the same state machine which took a snapshot to 10 while entry 4 was being applied. */
function overtaken(): { node: RawNode; late: Message; durable: readonly Message[] } {
  const node = applying(EntryType.Normal);
  const late = new Message(MessageType.StorageApplyResp, {
    from: APPLY_THREAD,
    to: 1n,
    entries: [new Entry(1, 4, EntryType.Normal)],
  });
  node.step(snapshotTo(10));
  const durable = (node.ready().append?.responses ?? []).filter((each) => each.to === 1n);
  return { node, late, durable };
}

test.each<[string, boolean]>([
  ['before', true],
  ['after', false],
])('entries applied %s a snapshot takes their place take nothing back', (_name, first) => {
  const { node, late, durable } = overtaken();
  if (first) node.step(late);
  for (const each of durable) node.step(each);
  if (!first) node.step(late);
  expect(node.basicStatus()).toMatchObject({ applied: 10, commit: 10 });
});

test('a snapshot that is durable counts as applied, whatever term it is by then', () => {
  const { node, durable } = overtaken();
  node.step(new Message(MessageType.Heartbeat, { from: 3n, to: 1n, term: 2 }));
  for (const each of durable) node.step(each);
  expect(node.basicStatus()).toMatchObject({ term: 2, applied: 10 });
});

test.each<[string, Partial<ConfState>, boolean]>([
  ['as a voter', { voters: [1n, 2n] }, true],
  ['as a learner', { voters: [2n], learners: [1n] }, true],
  ['as a voter that is going', { voters: [2n], votersOutgoing: [1n, 2n] }, true],
  ['as a learner to be', { voters: [2n], votersOutgoing: [1n, 2n], learnersNext: [1n] }, true],
  ['not at all', { voters: [2n, 3n], learners: [4n], votersOutgoing: [2n] }, false],
])('a snapshot that has the receiver %s', (_name, members, taken) => {
  const node = follower();
  const snapshot = new Snapshot(10, 1, { ...EMPTY_CONF_STATE, ...members });
  node.step(new Message(MessageType.Snap, { from: 2n, to: 1n, term: 1, snapshot }));
  expect(node.ready().append?.snapshot).toBe(taken ? snapshot : undefined);
  expect(node.basicStatus().commit).toBe(taken ? 10 : 3);
});

test.each<[string, number[]]>([
  ['start too late', [5, 6]],
  ['start too early', [3, 4]],
  ['leave one out', [4, 6]],
])('an append from outside whose entries %s is not taken and not answered', (_name, indexes) => {
  const node = follower();
  const entries = indexes.map((index) => new Entry(1, index));
  node.step(new Message(MessageType.App, { from: 2n, to: 1n, term: 1, logTerm: 1, index: 3, entries }));
  expect(node.status()).toMatchObject({ lastIndex: 3, lead: 2n });
  expect(node.ready()).toMatchObject({ entries: [], append: undefined });
});
