import { EMPTY, Prng } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { encodeConfChange } from './conf-change-codec.ts';
import { MemoryStorage } from './memory-storage.ts';
import { RawNode } from './raw-node.ts';
import { ConfChangeType, Entry, EntryType, Message, MessageType, Snapshot } from './types.ts';

function follower(): RawNode {
  return followerAndStorage().node;
}

function followerAndStorage(): { node: RawNode; storage: MemoryStorage } {
  const storage = new MemoryStorage();
  storage.applySnapshot(
    new Snapshot(3, 1, {
      voters: [1n, 2n, 3n],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    }),
  );
  storage.setHardState({ term: 1, vote: 0n, commit: 3 });
  const node = new RawNode({
    id: 1n,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied: 3,
    prng: new Prng(1),
    logger: { enabled: () => false, log: () => {} },
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
