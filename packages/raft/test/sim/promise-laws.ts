/**
 * R1 and R6: one leader a term, elected by durable votes of a quorum; one vote a term and node, for ever;
 * and whatever leaves a node as a vote or an acknowledgement is supported by what is durable there, then and
 * at every later start.
 */
import { law } from '@keelson/sim';
import { type Message, MessageType, NONE, type NodeId, Role } from '../../src/index.ts';
import type { Observed } from './surroundings.ts';

/** The furthest a node has promised: to be in this term, and to hold the log up to this index in it. */
interface Promised {
  readonly term: number;
  readonly index: number;
}

export class PromiseLaws {
  private readonly leaders = new Map<number, NodeId>();
  private readonly votes = new Map<string, NodeId>();
  private readonly promised = new Map<NodeId, Promised>();
  private readonly members: ReadonlyMap<NodeId, Observed>;

  constructor(members: ReadonlyMap<NodeId, Observed>) {
    this.members = members;
  }

  /** A node starts, or starts again: what is durable must keep its promises. */
  born(node: Observed): void {
    const { durable, storage, core } = node;
    const promised = this.promised.get(node.id);
    if (promised === undefined) return;
    const { term, index } = promised;
    law(
      'R6',
      durable.term >= term,
      () => `${node.id} comes back in term ${durable.term} and promised ${term}`,
    );
    law('R6', core.term === durable.term, () => `${node.id} forgets its term ${durable.term}`);
    const vote = this.votes.get(`${node.id}/${durable.term}`);
    law('R6', vote === undefined || vote === durable.vote, () => `${node.id} forgets its vote for ${vote}`);
    if (durable.term > term || storage.lastIndex() >= index) return;
    // In the same term nobody can have taken entries away again. But a leader of a later term may have begun
    // to: entries are written before the hard state, as etcd's WAL does, and a crash may come between.
    const last = storage.term(storage.lastIndex());
    law(
      'R6',
      typeof last === 'number' && last > term,
      () => `${node.id} comes back with ${storage.lastIndex()} and acknowledged ${index}`,
    );
    this.promised.set(node.id, { term, index: 0 });
  }

  leads(node: Observed): void {
    const { core, id } = node;
    const other = this.leaders.get(core.term);
    law('R1', other === undefined || other === id, () => `${other} and ${id} both lead term ${core.term}`);
    this.leaders.set(core.term, id);
    const { incoming, outgoing } = core.tracker.config;
    for (const half of [incoming, outgoing]) {
      const count = half.filter((voter) => this.votes.get(`${voter}/${core.term}`) === id).length;
      law(
        'R1',
        half.length === 0 || count * 2 > half.length,
        () => `${id} leads term ${core.term} by ${count} of ${half.length} durable votes`,
      );
    }
  }

  /** A node hands a message to the network. */
  leaves(node: Observed, message: Message): void {
    if (message.reject) return;
    if (message.type === MessageType.VoteResp) this.grants(node, message);
    else if (message.type === MessageType.AppResp && message.index > 0) this.acknowledges(node, message);
  }

  private grants({ id, durable }: Observed, message: Message): void {
    law(
      'R6',
      durable.term > message.term || (durable.term === message.term && durable.vote === message.to),
      () => `vote of ${id} for ${message.to} in term ${message.term} left before it was durable`,
    );
    this.vote(id, message.term, message.to);
    this.promise(id, message.term, 0);
  }

  private acknowledges({ id, durable, storage }: Observed, message: Message): void {
    const { term, index } = message;
    law('R6', durable.term >= term, () => `${id} acknowledges in term ${term}, durable is ${durable.term}`);
    if (durable.term === term) {
      law('R6', storage.lastIndex() >= index, () => `${id} acknowledges ${index} before it is durable`);
      const leader = this.members.get(message.to)?.core;
      if (leader?.role === Role.Leader && leader.term === term && index >= storage.firstIndex()) {
        const theirs = leader.log.termOrZero(index);
        law(
          'R6',
          index < leader.log.firstIndex() || storage.term(index) === theirs,
          () => `${id} acknowledges ${index} and has not what leader ${message.to} has there`,
        );
      }
    }
    this.promise(id, term, index);
  }

  private promise(id: NodeId, term: number, index: number): void {
    const before = this.promised.get(id);
    if (before === undefined || term > before.term || (term === before.term && index > before.index)) {
      this.promised.set(id, { term, index });
    }
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
}
