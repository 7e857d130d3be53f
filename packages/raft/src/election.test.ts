import { Prng, silentLogger } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { MemoryStorage } from './memory-storage.ts';
import { RawNode } from './raw-node.ts';
import { Message, type MessageFields, MessageType, Role } from './types.ts';

const ELECTION = 10;

/** Node 1 of three in term 1, with the log's end at index 3; it campaigns after exactly ELECTION ticks. */
function follower(checkQuorum = false): RawNode {
  const storage = MemoryStorage.founded({ voters: [1n, 2n, 3n] }, 3);
  const node = new RawNode({
    id: 1n,
    electionTick: ELECTION,
    heartbeatTick: 1,
    storage,
    applied: 3,
    checkQuorum,
    prng: new Prng(1),
    logger: silentLogger,
  });
  node.setRandomizedElectionTimeout(ELECTION);
  return node;
}

function hear(node: RawNode, type: MessageType, fields: MessageFields = {}): void {
  node.step(new Message(type, { from: 2n, to: 1n, term: 1, index: 3, logTerm: 1, ...fields }));
}

/** Ticks until the node campaigns. */
function patience(node: RawNode): number {
  for (let ticks = 1; ; ticks++) {
    node.tick();
    if (node.basicStatus().role === Role.Candidate) return ticks;
  }
}

test.each<[string, (node: RawNode) => void, number]>([
  ['hears nothing', () => {}, 1],
  ['hears a heartbeat', (node) => hear(node, MessageType.Heartbeat, { commit: 3 }), ELECTION],
  ['hears an append', (node) => hear(node, MessageType.App), ELECTION],
  ['hears an append that it rejects', (node) => hear(node, MessageType.App, { index: 9 }), ELECTION],
  ['gives its vote', (node) => hear(node, MessageType.Vote), ELECTION],
  ['refuses its vote', (node) => hear(node, MessageType.Vote, { index: 2 }), 1],
  ['grants a pre-vote', (node) => hear(node, MessageType.PreVote, { term: 2 }), 1],
])('a follower about to campaign that %s', (_name, event, ticks) => {
  const node = follower();
  for (let i = 1; i < ELECTION; i++) node.tick();
  event(node);
  expect(patience(node)).toBe(ticks);
});

test('a follower keeps its lease for one election timeout after it has heard from its leader', () => {
  for (const [ticks, voted] of [
    [0, false],
    [ELECTION - 1, false],
    [ELECTION, true],
  ] as const) {
    const node = follower(true);
    node.setRandomizedElectionTimeout(2 * ELECTION);
    hear(node, MessageType.Heartbeat, { commit: 3 });
    for (let i = 0; i < ticks; i++) node.tick();
    hear(node, MessageType.Vote, { from: 3n, term: 2 });
    expect(node.basicStatus()).toMatchObject(voted ? { term: 2, vote: 3n } : { term: 1, vote: 0n });
  }
});

test('one who follows nobody has no lease', () => {
  const node = follower(true);
  hear(node, MessageType.Vote, { term: 2 });
  expect(node.basicStatus()).toMatchObject({ term: 2, vote: 2n });
});
