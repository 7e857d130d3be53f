import { Prng } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { MemoryStorage } from './memory-storage.ts';
import { RawNode } from './raw-node.ts';
import { Entry, Message, MessageType, Snapshot } from './types.ts';

function follower(): RawNode {
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
  return new RawNode({
    id: 1n,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied: 3,
    prng: new Prng(1),
    logger: { enabled: () => false, log: () => {} },
  });
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
