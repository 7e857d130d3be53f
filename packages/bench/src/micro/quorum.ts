/** raft: what a majority agrees on, and what an acknowledgement costs a leader, by number of voters. */
import { Prng } from '@keelson/base';
import { committedIndex, MemoryStorage, Message, MessageType, RawNode, Snapshot } from '@keelson/raft';
import type { Body } from './body.ts';
import { SILENT } from './trio.ts';

const SIZES = [3, 5, 7, 31] as const;
const KEPT = 100;

export function quorumBodies(): Body[] {
  return SIZES.flatMap((size) => [committedBody(size), acknowledgeBody(size)]);
}

function idsOf(size: number): bigint[] {
  return Array.from({ length: size }, (_, i) => BigInt(i + 1));
}

function committedBody(size: number): Body {
  const voters = idsOf(size);
  const acked = new Map(voters.map((id) => [id, (Number(id) * 7919) % 1000]));
  return {
    name: `quorum: committed index of ${size}`,
    operations: 1,
    run: () => committedIndex(voters, acked),
    naive: {
      name: 'sort a copy',
      run: () => {
        const sorted = voters.map((id) => acked.get(id) ?? 0).sort((a, b) => b - a);
        return sorted[Math.floor(size / 2)];
      },
    },
  };
}

/**
 * One entry proposed, appended and acknowledged by everyone, counted per acknowledgement: finding the
 * progress, moving it, taking the majority, and a share of the sending.
 */
function acknowledgeBody(size: number): Body {
  const voters = idsOf(size);
  const { node, storage } = leaderOf(voters);
  const data = [Buffer.alloc(16)];
  let index = storage.lastIndex();
  return {
    name: `progress: an acknowledgement, ${size} voters`,
    operations: size - 1,
    run: () => {
      node.propose(data);
      index++;
      for (const id of voters) {
        if (id !== 1n) node.step(new Message(MessageType.AppResp, { from: id, to: 1n, term: 2, index }));
      }
      drain(node, storage);
      if (index % 1000 === 0) storage.compact(index - KEPT);
      return index;
    },
  };
}

/** A leader of term 2 whose peers have everything it has. */
function leaderOf(voters: readonly bigint[]): { node: RawNode; storage: MemoryStorage } {
  const storage = new MemoryStorage();
  storage.applySnapshot(
    new Snapshot(1, 1, { voters, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false }),
  );
  storage.setHardState({ term: 1, vote: 0n, commit: 1 });
  const node = new RawNode({
    id: 1n,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied: 1,
    prng: new Prng(1),
    logger: SILENT,
  });
  node.campaign();
  drain(node, storage);
  for (const from of voters) {
    if (from !== 1n) node.step(new Message(MessageType.VoteResp, { from, to: 1n, term: 2 }));
  }
  drain(node, storage);
  for (const from of voters) {
    if (from !== 1n) node.step(new Message(MessageType.AppResp, { from, to: 1n, term: 2, index: 2 }));
  }
  drain(node, storage);
  return { node, storage };
}

/** Does what the node asks of its disk and state machine; what it says to others is let fall. */
export function drain(node: RawNode, storage: MemoryStorage): void {
  while (node.hasReady()) {
    const { append, apply } = node.ready();
    if (append !== undefined) {
      storage.append(append.entries);
      if (append.hardState !== undefined) storage.setHardState(append.hardState);
      for (const response of append.responses) if (response.to === node.id) node.step(response);
    }
    if (apply !== undefined) for (const response of apply.responses) node.step(response);
  }
}
