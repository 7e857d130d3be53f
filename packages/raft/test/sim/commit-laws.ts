/**
 * R4, R5, R7 and R8: what was committed once is in every later leader's log, is durable on a quorum of the
 * membership that committed it whenever anyone announces it, and is applied by all alike, in order, once.
 */
import { law } from '@keelson/sim';
import { type Configuration, type Entry, type NodeId, Role } from '../../src/index.ts';
import type { Observed } from './surroundings.ts';

/** What is known of an index once it is committed anywhere. */
interface Committed {
  readonly term: number;
  /** Term of the node that announced it first: leaders of later terms must have it. */
  readonly atTerm: number;
  /** The membership whose quorum it had: that of its first announcer. */
  readonly config: Configuration;
}

export class CommitLaws {
  maxCommitted: number;
  private readonly committed = new Map<number, Committed>();
  private readonly states = new Map<number, string>();
  private readonly members: ReadonlyMap<NodeId, Observed>;
  private readonly first: number;

  constructor(index: number, term: number, state: string, members: ReadonlyMap<NodeId, Observed>) {
    const config = { incoming: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
    this.committed.set(index, { term, atTerm: term, config });
    this.states.set(index, state);
    this.maxCommitted = index;
    this.first = index;
    this.members = members;
  }

  /** `node` says that everything up to its commit index is committed, and said `before` of it earlier. */
  announces(node: Observed, before: number): void {
    const { committed } = node.core.log;
    law('R7', committed >= before, () => `commit of ${node.id} fell from ${before} to ${committed}`);
    // What the founders started from was never an entry.
    for (let index = Math.max(before + 1, this.first); index <= committed; index++)
      this.announce(node, index);
  }

  private announce(node: Observed, index: number): void {
    const { core } = node;
    const term = core.log.termOrZero(index);
    let known = this.committed.get(index);
    if (known === undefined) {
      law('R7', term > 0, () => `${node.id} announces ${index}, which it lacks and nobody committed`);
      known = { term, atTerm: core.term, config: core.tracker.config };
      this.committed.set(index, known);
      this.maxCommitted = Math.max(this.maxCommitted, index);
      this.leadersHave(index, known);
    }
    const { term: right } = known;
    law(
      'R5',
      term === 0 || term === right,
      () => `${node.id} commits ${term}/${index}, known as ${right}/${index}`,
    );
    this.copies(node, index, known);
  }

  private copies(node: Observed, index: number, { term, config }: Committed): void {
    for (const half of [config.incoming, config.outgoing]) {
      if (half.length === 0) continue;
      let have = 0;
      for (const id of half) if (this.hasDurably(id, index, term)) have++;
      law(
        'R7',
        have * 2 > half.length,
        () => `${term}/${index} is announced by ${node.id} with ${have} of ${half.length} copies durable`,
      );
    }
  }

  private hasDurably(id: NodeId, index: number, term: number): boolean {
    const storage = this.members.get(id)?.storage;
    if (storage === undefined) return false;
    // Only what is committed and applied is ever compacted.
    return index < storage.firstIndex() - 1 || storage.term(index) === term;
  }

  /** Leaders that were elected before it was known, but in a later term. */
  private leadersHave(index: number, known: Committed): void {
    for (const member of this.members.values()) {
      if (member.core.role === Role.Leader && member.core.term > known.atTerm) this.has(member, index, known);
    }
  }

  private has(leader: Observed, index: number, { term, atTerm }: Committed): void {
    const { core, id } = leader;
    law(
      'R4',
      atTerm >= core.term || index < core.log.firstIndex() - 1 || core.log.termOrZero(index) === term,
      () => `leader ${id} of term ${core.term} lacks committed ${term}/${index}`,
    );
  }

  leads(node: Observed): void {
    for (let index = this.maxCommitted; index >= node.core.log.firstIndex() - 1; index--) {
      const known = this.committed.get(index);
      if (known !== undefined) this.has(node, index, known);
    }
  }

  /** `state` stands for all that `node` has applied, `entry` last. */
  applies(node: Observed, entry: Entry, state: string): void {
    const known = this.states.get(entry.index);
    law(
      'R5',
      known === undefined || known === state,
      () => `${node.id} applies another entry at ${entry.index}`,
    );
    this.states.set(entry.index, state);
    law(
      'R8',
      this.committed.get(entry.index)?.term === entry.term && entry.index <= node.core.log.committed,
      () => `${node.id} applies ${entry.term}/${entry.index}, which is not committed`,
    );
  }

  stateAt(index: number): string | undefined {
    return this.states.get(index);
  }
}
