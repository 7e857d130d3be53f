/**
 * Three raft nodes in one thread, their disks in memory and always done, their network a call: what the core
 * alone costs. Nothing is copied on the way, so all three hold the leader's entries themselves.
 */
import { Prng, silentLogger } from '@keelson/base';
import { type Entry, MemoryStorage, RawNode } from '@keelson/raft';

/** Entries kept behind when the logs are cut, and how many more may gather until then. */
const KEPT = 100;
const CUT_EVERY = 5000;

/** What is proposed between two cuts. */
export interface TrioOptions {
  /** Logs are cut now and then, as a store does; off, everything proposed stays in them. */
  readonly compacts: boolean;
}

class TrioNode {
  readonly raw: RawNode;
  readonly storage: MemoryStorage;
  applied = 0;
  /** Of terms, indexes and first bytes of everything applied. */
  digest = 0;

  constructor(id: bigint, voters: readonly bigint[]) {
    this.storage = MemoryStorage.founded({ voters });
    this.raw = new RawNode({
      id,
      electionTick: 10,
      heartbeatTick: 1,
      storage: this.storage,
      applied: 1,
      prng: new Prng(Number(id)),
      logger: silentLogger,
    });
  }

  apply(entries: readonly Entry[]): void {
    this.applied += entries.length;
    for (let i = 0; i < entries.length; i++) {
      const { term, index, data } = entries[i];
      const first = data.length > 0 ? data[0] : 0;
      this.digest = (Math.imul(this.digest, 31) + term + index * 7 + first) | 0;
    }
  }
}

export class Trio {
  readonly nodes: readonly TrioNode[];
  private readonly compacts: boolean;
  private sinceCut = 0;

  constructor({ compacts }: TrioOptions) {
    const voters = [1n, 2n, 3n];
    this.compacts = compacts;
    this.nodes = voters.map((id) => new TrioNode(id, voters));
    this.nodes[0].raw.campaign();
    this.settle();
  }

  /** Proposes at the leader, and carries messages until nothing is left to do. @returns entries it has applied */
  batch(data: readonly Buffer[]): number {
    this.nodes[0].raw.propose(data);
    this.settle();
    this.sinceCut += data.length;
    if (this.compacts && this.sinceCut > CUT_EVERY) {
      this.sinceCut = 0;
      for (const { storage } of this.nodes) storage.compact(storage.lastIndex() - KEPT);
    }
    return this.nodes[0].applied;
  }

  /** Whether all three have applied the same. */
  agrees(): boolean {
    const [{ applied, digest }] = this.nodes;
    return this.nodes.every((node) => node.applied === applied && node.digest === digest);
  }

  private settle(): void {
    for (let busy = true; busy;) {
      busy = false;
      for (let i = 0; i < this.nodes.length; i++) {
        const node = this.nodes[i];
        while (node.raw.hasReady()) {
          busy = true;
          this.turn(node);
        }
      }
    }
  }

  private turn(node: TrioNode): void {
    const { messages, append, apply } = node.raw.ready();
    for (let i = 0; i < messages.length; i++) this.nodes[Number(messages[i].to) - 1].raw.step(messages[i]);
    if (append !== undefined) {
      node.storage.append(append.entries);
      if (append.hardState !== undefined) node.storage.setHardState(append.hardState);
      const { responses } = append;
      for (let i = 0; i < responses.length; i++)
        this.nodes[Number(responses[i].to) - 1].raw.step(responses[i]);
    }
    if (apply !== undefined) {
      node.apply(apply.entries);
      for (let i = 0; i < apply.responses.length; i++) node.raw.step(apply.responses[i]);
    }
  }
}
