/** raft: what a majority agrees on, and what an acknowledgement costs a leader, by number of voters. */
import { committedIndex, Message, MessageType, type MemoryStorage, type RawNode } from '@keelson/raft';
import type { Body } from './body.ts';
import { drain, nodeOf } from './lone-node.ts';

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
  const { node, storage } = nodeOf(1n, voters);
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
