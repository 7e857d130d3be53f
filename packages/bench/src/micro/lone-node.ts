/** One raft node with its disk in memory and always done: what micro-benchmarks ask of the core by itself. */
import { Prng, silentLogger } from '@keelson/base';
import { MemoryStorage, RawNode } from '@keelson/raft';

/** A node of these voters, at term 1 with nothing but their configuration. */
export function nodeOf(id: bigint, voters: readonly bigint[]): { node: RawNode; storage: MemoryStorage } {
  const storage = MemoryStorage.founded({ voters });
  const node = new RawNode({
    id,
    electionTick: 10,
    heartbeatTick: 1,
    storage,
    applied: 1,
    prng: new Prng(1),
    logger: silentLogger,
  });
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
