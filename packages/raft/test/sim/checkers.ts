/**
 * The laws R1 to R10 of consensus, watched from outside: an oracle that sees every node's log, promises,
 * commits, applies and reads after each event and compares them with all that was ever seen. It never
 * changes a node. A broken law is thrown as LawBroken and names the law.
 */
import {
  type ConfState,
  type Entry,
  EntryType,
  type Message,
  MessageType,
  NONE,
  type NodeId,
  Role,
} from '../../src/index.ts';
import type { Observed, Witness } from './surroundings.ts';

export class LawBroken extends Error {
  override readonly name = 'LawBroken';
}

function law(id: string, holds: boolean, text: () => string): void {
  if (!holds) throw new LawBroken(`${id}: ${text()}`);
}

/** What is known of an index once it is committed anywhere. */
interface Committed {
  readonly term: number;
  /** Term of the node that announced it first: leaders of later terms must have it. */
  readonly atTerm: number;
}

interface Seen {
  term: number;
  role: Role;
  commit: number;
  /** Terms of the log by index, as last looked at. */
  readonly terms: Map<number, number>;
  last: number;
}

/** Answers that only the whole cluster can give. */
export type HasDurably = (id: NodeId, index: number, term: number) => boolean;

/** The furthest a node has promised: to be in this term, and to hold the log up to this index in it. */
interface Promised {
  readonly term: number;
  readonly index: number;
}

export class Oracle implements Witness {
  private readonly leaders = new Map<number, NodeId>();
  private readonly votes = new Map<string, NodeId>();
  private readonly entries = new Map<string, { readonly data: string; readonly previous: number }>();
  private readonly committed = new Map<number, Committed>();
  private readonly applied = new Map<number, string>();
  private readonly reads = new Map<string, number>();
  private readonly seen = new Map<NodeId, Seen>();
  private readonly promised = new Map<NodeId, Promised>();
  private readonly confIndexes: number[] = [];
  maxCommitted = 0;
  private readonly first: number;
  private readonly hasDurably: HasDurably;
  /** Newest membership that any node has applied. */
  newest: { index: number; confState: ConfState };
  elections = 0;
  readsAnswered = 0;

  constructor(index: number, term: number, state: string, confState: ConfState, hasDurably: HasDurably) {
    this.hasDurably = hasDurably;
    this.first = index;
    this.committed.set(index, { term, atTerm: term });
    this.applied.set(index, state);
    this.maxCommitted = index;
    this.newest = { index, confState };
  }

  /** A node starts, or starts again: only what is durable is known of it, and that must keep its promises. */
  born(node: Observed): void {
    const { term } = node.core;
    const promised = this.promised.get(node.id);
    if (promised !== undefined) {
      const { durable, storage } = node;
      law(
        'R6',
        durable.term >= promised.term,
        () => `${node.id} comes back in term ${durable.term} and promised ${promised.term}`,
      );
      // In the same term nobody can have taken entries away again.
      law(
        'R6',
        durable.term > promised.term || storage.lastIndex() >= promised.index,
        () => `${node.id} comes back with ${storage.lastIndex()} and acknowledged ${promised.index}`,
      );
    }
    this.seen.set(node.id, {
      term,
      role: Role.Follower,
      commit: node.core.log.committed,
      terms: new Map(),
      last: 0,
    });
    this.look(node);
  }

  /** After every event at `node`. */
  look(node: Observed): void {
    const { core, id } = node;
    const seen = this.seen.get(id);
    if (seen === undefined) return;
    law('R6', core.term >= seen.term, () => `term of ${id} fell from ${seen.term} to ${core.term}`);
    const wasLeader = seen.role === Role.Leader && seen.term === core.term;
    this.lookAtLog(node, seen, wasLeader && core.role === Role.Leader);
    if (core.role === Role.Leader && !wasLeader) this.newLeader(node);
    if (core.role === Role.Candidate && (seen.role !== Role.Candidate || seen.term !== core.term)) {
      const pending = this.confIndexes.find(
        (index) => index > core.log.applied && index <= core.log.committed,
      );
      law(
        'R9',
        pending === undefined,
        () => `${id} campaigns with committed conf change ${pending} unapplied`,
      );
    }
    law(
      'R7',
      core.log.committed >= seen.commit,
      () => `commit of ${id} fell from ${seen.commit} to ${core.log.committed}`,
    );
    law('R8', core.log.applied <= core.log.committed, () => `${id} applied beyond its commit index`);
    for (let index = seen.commit + 1; index <= core.log.committed; index++) this.announce(node, index);
    seen.term = core.term;
    seen.role = core.role;
    seen.commit = core.log.committed;
  }

  private lookAtLog(node: Observed, seen: Seen, leads: boolean): void {
    const { log, term } = node.core;
    const last = log.lastIndex();
    law('R2', !leads || last >= seen.last, () => `leader ${node.id} shortened its log`);
    for (let index = last + 1; index <= seen.last; index++) seen.terms.delete(index);
    for (let index = last; index >= log.firstIndex(); index--) {
      const found = log.slice(index, index + 1, Infinity);
      const entry = Array.isArray(found) ? found[0] : undefined;
      law('R3', entry !== undefined && entry.index === index, () => `${node.id} has no entry at ${index}`);
      if (entry === undefined || seen.terms.get(index) === entry.term) break;
      law(
        'R2',
        !leads || index > seen.last,
        () => `leader ${node.id} of term ${term} overwrote entry ${index}`,
      );
      this.lookAtEntry(node, entry, log.termOrZero(index - 1));
      seen.terms.set(index, entry.term);
    }
    seen.last = last;
  }

  private lookAtEntry(node: Observed, entry: Entry, previous: number): void {
    const key = `${entry.term}/${entry.index}`;
    const data = `${entry.type}:${entry.data.toString('latin1')}`;
    const known = this.entries.get(key);
    if (known === undefined) {
      this.entries.set(key, { data, previous });
      // First seen at its leader: no other change may be on its way there.
      if (entry.type !== EntryType.Normal && node.core.role === Role.Leader) {
        const { log } = node.core;
        const tail = log.slice(Math.max(log.applied + 1, log.firstIndex()), entry.index, Infinity);
        const other = Array.isArray(tail) ? tail.find((each) => each.type !== EntryType.Normal) : undefined;
        law(
          'R9',
          other === undefined,
          () => `conf change ${key} is appended while ${other?.index} is unapplied`,
        );
      }
      return;
    }
    law('R3', known.data === data && known.previous === previous, () => `entry ${key} differs at ${node.id}`);
  }

  private newLeader(node: Observed): void {
    const { core, id } = node;
    this.elections++;
    const other = this.leaders.get(core.term);
    law('R1', other === undefined || other === id, () => `${other} and ${id} both lead term ${core.term}`);
    this.leaders.set(core.term, id);
    law('R9', core.tracker.isVoter(id), () => `${id} leads and is no voter`);
    for (let index = this.maxCommitted; index >= core.log.firstIndex() - 1; index--) {
      const known = this.committed.get(index);
      if (known === undefined || known.atTerm >= core.term) continue;
      law(
        'R4',
        core.log.termOrZero(index) === known.term,
        () => `leader ${id} of term ${core.term} lacks committed ${known.term}/${index}`,
      );
    }
  }

  private announce(node: Observed, index: number): void {
    const term = node.core.log.termOrZero(index);
    // What the founders started from was never an entry.
    if (index < this.first) return;
    const known = this.committed.get(index);
    if (known !== undefined) {
      law(
        'R5',
        term === 0 || known.term === term,
        () => `${node.id} commits ${term}/${index}, known as ${known.term}/${index}`,
      );
      return;
    }
    this.committed.set(index, { term, atTerm: node.core.term });
    this.maxCommitted = Math.max(this.maxCommitted, index);
    const { incoming, outgoing } = node.core.tracker.config;
    for (const half of [incoming, outgoing]) {
      const have = half.filter((id) => this.hasDurably(id, index, term)).length;
      law(
        'R7',
        half.length === 0 || have * 2 > half.length,
        () => `${term}/${index} is announced by ${node.id} with ${have} of ${half.length} copies durable`,
      );
    }
  }

  /** A node hands a message to the network: what it promises must already be durable there. */
  leaves(node: Observed, message: Message): void {
    const { durable } = node;
    if (message.reject) return;
    if (message.type === MessageType.VoteResp) {
      const supported =
        durable.term > message.term || (durable.term === message.term && durable.vote === message.to);
      law(
        'R6',
        supported,
        () => `vote of ${node.id} for ${message.to} in term ${message.term} left before it was durable`,
      );
      this.vote(node.id, message.term, message.to);
      this.promise(node.id, message.term, 0);
    } else if (message.type === MessageType.AppResp && message.index > 0) {
      law(
        'R6',
        durable.term >= message.term,
        () => `${node.id} acknowledges in term ${message.term}, durable is ${durable.term}`,
      );
      law(
        'R6',
        node.storage.lastIndex() >= message.index || durable.term > message.term,
        () => `${node.id} acknowledges ${message.index} before it is durable`,
      );
      this.promise(node.id, message.term, message.index);
    }
  }

  private promise(id: NodeId, term: number, index: number): void {
    const before = this.promised.get(id);
    if (before === undefined || term > before.term) this.promised.set(id, { term, index });
    else if (term === before.term && index > before.index) this.promised.set(id, { term, index });
  }

  /** A vote became durable or left: one a term, for ever. */
  vote(id: NodeId, term: number, vote: NodeId): void {
    if (vote === NONE) return;
    const key = `${id}/${term}`;
    const before = this.votes.get(key);
    law(
      'R6',
      before === undefined || before === vote,
      () => `${id} votes for ${before} and ${vote} in term ${term}`,
    );
    this.votes.set(key, vote);
  }

  /** A node applied `entry`; `state` stands for all it has applied. */
  applies(node: Observed, entry: Entry, state: string): void {
    const known = this.applied.get(entry.index);
    law(
      'R5',
      known === undefined || known === state,
      () => `${node.id} applies another entry at ${entry.index}`,
    );
    this.applied.set(entry.index, state);
    const committed = this.committed.get(entry.index);
    law(
      'R8',
      committed?.term === entry.term,
      () => `${node.id} applies ${entry.term}/${entry.index}, which is not committed`,
    );
    if (entry.type !== EntryType.Normal && !this.confIndexes.includes(entry.index))
      this.confIndexes.push(entry.index);
  }

  configured(index: number, confState: ConfState): void {
    if (index > this.newest.index) this.newest = { index, confState };
  }

  stateAt(index: number): string | undefined {
    return this.applied.get(index);
  }

  asked(context: string): void {
    this.reads.set(context, this.maxCommitted);
  }

  answered(id: NodeId, context: string, index: number): void {
    const floor = this.reads.get(context);
    law('R10', floor !== undefined, () => `${id} answers a read nobody asked for`);
    law(
      'R10',
      floor === undefined || index >= floor,
      () => `${id} reads at ${index}; ${floor} was committed before it asked`,
    );
    this.readsAnswered++;
  }
}
