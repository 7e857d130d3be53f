/** raft: the commit index of a quorum, and batches carried by three nodes that share this thread. */
import { Prng } from '@keelson/base';
import { MemoryStorage, RawNode, Snapshot, committedIndex } from '@keelson/raft';
import type { Body } from './body.ts';

const VOTERS: readonly bigint[] = [1n, 2n, 3n];
const SILENT = { enabled: () => false, log: () => undefined };

/** Three nodes, their disks in memory and always done, their network a loop. */
class Trio {
  private readonly storages = new Map<bigint, MemoryStorage>();
  private readonly nodes = new Map<bigint, RawNode>();
  /** Entries applied by all nodes together. */
  applied = 0;
  private sinceCompaction = 0;

  constructor() {
    const confState = {
      voters: VOTERS,
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    for (const id of VOTERS) {
      const storage = new MemoryStorage();
      storage.applySnapshot(new Snapshot(1, 1, confState));
      storage.setHardState({ term: 1, vote: 0n, commit: 1 });
      this.storages.set(id, storage);
      this.nodes.set(
        id,
        new RawNode({
          id,
          electionTick: 10,
          heartbeatTick: 1,
          storage,
          applied: 1,
          prng: new Prng(Number(id)),
          logger: SILENT,
        }),
      );
    }
    this.nodes.get(1n)?.campaign();
    this.settle();
  }

  /** Proposes, and carries messages until nothing is left to do. @returns entries applied so far */
  batch(data: readonly Buffer[]): number {
    this.nodes.get(1n)?.propose(data);
    this.settle();
    this.sinceCompaction += data.length;
    if (this.sinceCompaction > 5000) {
      this.sinceCompaction = 0;
      for (const storage of this.storages.values()) storage.compact(storage.lastIndex() - 100);
    }
    return this.applied;
  }

  private settle(): void {
    for (let busy = true; busy;) {
      busy = false;
      for (const [id, node] of this.nodes) {
        while (node.hasReady()) {
          busy = true;
          this.turn(id, node);
        }
      }
    }
  }

  private turn(id: bigint, node: RawNode): void {
    const { messages, append, apply } = node.ready();
    for (const message of messages) this.nodes.get(message.to)?.step(message);
    if (append !== undefined) {
      const storage = this.storages.get(id);
      storage?.append(append.entries);
      if (append.hardState !== undefined) storage?.setHardState(append.hardState);
      for (const response of append.responses) this.nodes.get(response.to)?.step(response);
    }
    if (apply !== undefined) {
      this.applied += apply.entries.length;
      for (const response of apply.responses) node.step(response);
    }
  }
}

export function raftBodies(): Body[] {
  const acked = new Map<bigint, number>([
    [1n, 12],
    [2n, 5],
    [3n, 9],
  ]);
  const single = new Trio();
  const many = new Trio();
  const one = [Buffer.alloc(300)];
  const hundred = Array.from({ length: 100 }, () => one[0]);
  return [
    { name: 'quorum: committed index of 3', operations: 1, run: () => committedIndex(VOTERS, acked) },
    { name: 'raft: 1 entry through 3 nodes', operations: 1, run: () => single.batch(one) },
    { name: 'raft: an entry of 100, through 3 nodes', operations: 100, run: () => many.batch(hundred) },
  ];
}
