import { EMPTY, Prng, silentLogger } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { MemoryStorage } from './memory-storage.ts';
import { RawNode } from './raw-node.ts';
import { ConfChangeType, Entry, EntryType, Message, MessageType, type ReadState } from './types.ts';

/** Node 1 of these voters in term 1, with a state at 3, which is committed, and entries that are not known to be. */
function member(voters: bigint[], tail: Entry[] = []): { node: RawNode; storage: MemoryStorage } {
  const storage = MemoryStorage.founded({ voters }, 3);
  storage.append(tail);
  const config = {
    id: 1n,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied: 3,
    prng: new Prng(1),
    logger: silentLogger,
  };
  return { node: new RawNode(config), storage };
}

/** Does what the node asks of its disk and its state machine, conf changes aside; what else it says. */
function turn(node: RawNode, storage: MemoryStorage): { sent: Message[]; reads: ReadState[] } {
  const sent: Message[] = [];
  const reads: ReadState[] = [];
  while (node.hasReady()) {
    const ready = node.ready();
    sent.push(...ready.messages);
    reads.push(...ready.readStates);
    if (ready.append !== undefined) {
      if (ready.append.hardState !== undefined) storage.setHardState(ready.append.hardState);
      storage.append(ready.append.entries);
      for (const each of ready.append.responses) if (each.to === 1n) node.step(each);
    }
    for (const entry of ready.apply?.entries ?? []) {
      if (entry.type === EntryType.ConfChange)
        node.applyConfChange({ id: 0n, type: ConfChangeType.RemoveNode, nodeId: 1n, context: EMPTY });
    }
    for (const each of ready.apply?.responses ?? []) node.step(each);
  }
  return { sent, reads };
}

function answer(node: RawNode, type: MessageType, index = 0, context: Buffer = EMPTY): void {
  node.step(new Message(type, { from: 2n, to: 1n, term: 2, index, context }));
}

test('a single voter answers its reads at once', () => {
  const { node, storage } = member([1n]);
  node.campaign();
  turn(node, storage);
  node.readIndex(Buffer.from('r'));
  expect(turn(node, storage).reads).toEqual([{ index: 4, context: Buffer.from('r') }]);
});

// docs/bugs.md: the one who is left may have been elected, and may have committed, since.
test('a leader removed from a membership of two needs the other one to confirm its reads', () => {
  const { node, storage } = member([1n, 2n]);
  node.campaign();
  turn(node, storage);
  answer(node, MessageType.VoteResp);
  turn(node, storage);
  answer(node, MessageType.AppResp, 4);
  turn(node, storage);
  node.proposeConfChange({ id: 0n, type: ConfChangeType.RemoveNode, nodeId: 1n, context: EMPTY });
  turn(node, storage);
  answer(node, MessageType.AppResp, 5);
  turn(node, storage);
  expect(node.status().config.incoming).toEqual([2n]);

  const context = Buffer.from('r');
  node.readIndex(context);
  const { sent, reads } = turn(node, storage);
  expect(reads).toEqual([]);
  expect(sent.map((each) => [each.type, each.to])).toContainEqual([MessageType.Heartbeat, 2n]);
  answer(node, MessageType.HeartbeatResp, 0, context);
  expect(turn(node, storage).reads).toEqual([{ index: 5, context }]);
});

test('reads wait for the first commit of the term, and are dropped with the leadership', () => {
  const { node, storage } = member([1n, 2n, 3n]);
  node.campaign();
  turn(node, storage);
  answer(node, MessageType.VoteResp);
  turn(node, storage);
  node.readIndex(Buffer.from('early'));
  expect(turn(node, storage).sent.filter((each) => each.context.length > 0)).toEqual([]);
  answer(node, MessageType.AppResp, 4);
  const { sent } = turn(node, storage);
  expect(sent.filter((each) => each.context.toString() === 'early').map((each) => each.to)).toEqual([2n, 3n]);
  node.step(new Message(MessageType.Heartbeat, { from: 3n, to: 1n, term: 3 }));
  answer(node, MessageType.HeartbeatResp, 0, Buffer.from('early'));
  expect(turn(node, storage).reads).toEqual([]);
});

test('a single voter that comes back answers no read below what it may have told before', () => {
  // Entry 4 was committed and answered for; the disk remembers the entry, and the commit index before it.
  const { node, storage } = member([1n], [new Entry(1, 4)]);
  expect(node.basicStatus().commit).toBe(3);
  node.campaign();
  for (const each of node.ready().append?.responses ?? []) node.step(each);
  node.readIndex(Buffer.from('r'));
  expect(turn(node, storage).reads).toEqual([{ index: 5, context: Buffer.from('r') }]);
});

test.each([0, 2])('a read that comes with %i entries is not one', (count) => {
  const { node, storage } = member([1n]);
  node.campaign();
  turn(node, storage);
  const entries = Array.from({ length: count }, () => new Entry(0, 0, EntryType.Normal, Buffer.from('r')));
  node.step(new Message(MessageType.ReadIndex, { from: 2n, to: 1n, entries }));
  expect(turn(node, storage)).toEqual({ sent: [], reads: [] });
});
