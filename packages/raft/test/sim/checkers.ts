/**
 * The laws R1 to R11 of consensus, watched from outside: an oracle that sees every node's log, promises,
 * commits, applies and reads after each event and compares them with all that was ever seen. It never
 * changes a node. A broken law is thrown as LawBroken and names the law; each group of laws has its file.
 */
import { law } from '@keelson/sim';
import { type ConfState, type Entry, type Message, type NodeId, Role } from '../../src/index.ts';
import { CommitLaws } from './commit-laws.ts';
import { LeadershipLaws } from './leadership-laws.ts';
import { LogLaws } from './log-laws.ts';
import { type InForce, MembershipLaws } from './membership-laws.ts';
import { PromiseLaws } from './promise-laws.ts';
import { ReadLaws } from './read-laws.ts';
import type { Observed, Witness } from './surroundings.ts';

/** A node as it was when last looked at. */
interface Seen {
  term: number;
  role: Role;
  commit: number;
  last: number;
  lastTerm: number;
}

export class Oracle implements Witness {
  elections = 0;
  readsAnswered = 0;
  truncations = 0;
  readonly leadership = new LeadershipLaws();
  readonly membership: MembershipLaws;
  private readonly members = new Map<NodeId, Observed>();
  private readonly seen = new Map<NodeId, Seen>();
  private readonly logs: LogLaws;
  private readonly commits: CommitLaws;
  private readonly promises: PromiseLaws;
  private readonly reads = new ReadLaws();

  /** The cluster starts from a snapshot at `index` of `term`, whose state is `state`. */
  constructor(index: number, term: number, state: string, confState: ConfState) {
    this.membership = new MembershipLaws({ index, confState });
    this.logs = new LogLaws((node, entry) => {
      this.membership.appends(node, entry);
    });
    this.commits = new CommitLaws(index, term, state, this.members);
    this.promises = new PromiseLaws(this.members);
  }

  get maxCommitted(): number {
    return this.commits.maxCommitted;
  }

  get newest(): InForce {
    return this.membership.newest;
  }

  /** A node starts, or starts again: only what is durable is known of it, and that must keep its promises. */
  born(node: Observed): void {
    const { core } = node;
    this.members.set(node.id, node);
    this.promises.born(node);
    const { log } = core;
    this.seen.set(node.id, {
      term: core.term,
      role: Role.Follower,
      commit: log.committed,
      last: -1,
      lastTerm: -1,
    });
    this.logs.born(node);
    this.leadership.born(node);
    this.look(node);
  }

  /** After every event at `node`. */
  look(node: Observed): void {
    const { core, id } = node;
    const seen = this.seen.get(id);
    if (seen === undefined) return;
    const { log, term, role } = core;
    const { committed } = log;
    law('R8', log.applied <= committed, () => `${id} applied beyond its commit index`);
    const last = log.lastIndex();
    const lastTerm = log.lastTerm();
    const sameRole = seen.term === term && seen.role === role;
    const sameLog = seen.last === last && seen.lastTerm === lastTerm;
    if (sameRole && sameLog && seen.commit === committed) return;

    law('R6', term >= seen.term, () => `term of ${id} fell from ${seen.term} to ${term}`);
    const led = seen.role === Role.Leader && seen.term === term;
    const leads = role === Role.Leader;
    if (!sameLog && this.logs.look(node, led && leads)) this.truncations++;
    if (!sameRole) {
      if (leads && !led) this.newLeader(node);
      if (role === Role.Candidate || role === Role.PreCandidate) this.membership.campaigns(node);
      if (role === Role.Candidate) this.leadership.campaigns(node);
      this.reads.changed(node, led && leads);
    }
    if (seen.commit !== committed) this.commits.announces(node, seen.commit);
    seen.term = term;
    seen.role = role;
    seen.commit = committed;
    seen.last = last;
    seen.lastTerm = lastTerm;
  }

  private newLeader(node: Observed): void {
    this.elections++;
    this.promises.leads(node);
    this.membership.leads(node);
    this.commits.leads(node);
  }

  /** A node hands a message to the network: what it promises must already be durable there. */
  leaves(node: Observed, message: Message): void {
    this.promises.leaves(node, message);
    this.reads.leaves(node, message);
    this.leadership.leaves(node, message);
  }

  /** Steps `message` at `node` and looks. */
  step(node: Observed, message: Message, step: () => void): void {
    const ignored = this.leadership.steps(node, message);
    step();
    if (ignored) this.leadership.ignored(node, message);
    this.look(node);
  }

  vote(id: NodeId, term: number, vote: NodeId): void {
    this.promises.vote(id, term, vote);
  }

  applies(node: Observed, entry: Entry, state: string): void {
    this.commits.applies(node, entry, state);
  }

  configured(node: Observed, index: number, confState: ConfState): void {
    this.membership.configured(node, index, confState);
  }

  installed(node: Observed, index: number, confState: ConfState): void {
    this.membership.installed(node, index, confState);
  }

  stateAt(index: number): string | undefined {
    return this.commits.stateAt(index);
  }

  asked(context: string): void {
    this.reads.asks(context, this.maxCommitted);
  }

  answered(id: NodeId, context: string, index: number): void {
    this.reads.answered(id, context, index);
    this.readsAnswered++;
  }
}
