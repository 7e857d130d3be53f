/**
 * Everyone a node knows: the membership in force, each peer's progress and the votes of an election.
 * Progresses sit in one dense array in id order, and the voters of each half point straight at them, so
 * that committing costs no lookup. It never changes the membership by itself; conf-change does.
 */
import { Inflights } from './inflights.ts';
import { Progress } from './progress.ts';
import { jointVoteResult, majorityIndex, VoteResult } from './quorum.ts';
import type { ConfState, NodeId } from './types.ts';

/**
 * A membership, ids ascending. `outgoing` is empty unless joint.
 *
 * Laws: learners are in neither half; learnersNext ⊆ outgoing (they become learners on leaving); a
 * configuration that is not joint has no learnersNext and no autoLeave.
 */
export interface Configuration {
  readonly incoming: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly learnersNext: readonly NodeId[];
  readonly autoLeave: boolean;
}

export const EMPTY_CONFIGURATION: Configuration = {
  incoming: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** Ascending order of ids, for sort(). */
export function compareIds(a: NodeId, b: NodeId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** All voters of both halves, ascending, none twice. */
export function allVoters(config: Configuration): NodeId[] {
  return [...new Set([...config.incoming, ...config.outgoing])].sort(compareIds);
}

/** The configuration in one line: voters=(1 2)&&(1) learners=(3) autoleave. Ids in decimal, as etcd's. */
export function describeConfiguration(config: Configuration): string {
  const list = (ids: readonly NodeId[]): string => `(${ids.join(' ')})`;
  let text = `voters=${list(config.incoming)}`;
  if (config.outgoing.length > 0) text += `&&${list(config.outgoing)}`;
  if (config.learners.length > 0) text += ` learners=${list(config.learners)}`;
  if (config.learnersNext.length > 0) text += ` learners_next=${list(config.learnersNext)}`;
  if (config.autoLeave) text += ' autoleave';
  return text;
}

export interface VoteTally {
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
}

/** Law: every id of the configuration has a progress; progresses ascend by id. */
export class Tracker {
  config: Configuration = EMPTY_CONFIGURATION;
  progresses: readonly Progress[] = [];
  readonly votes = new Map<NodeId, boolean>();
  private incoming: Progress[] = [];
  private outgoing: Progress[] = [];
  private readonly scratch: number[] = [];
  private readonly inflightCountMax: number;
  private readonly inflightBytesMax: number;

  constructor(inflightCountMax: number, inflightBytesMax: number) {
    this.inflightCountMax = inflightCountMax;
    this.inflightBytesMax = inflightBytesMax;
  }

  /** A progress for a node that joins now. It counts as active, so that it is not held against us yet. */
  newProgress(id: NodeId, next: number, isLearner: boolean): Progress {
    const inflights = new Inflights(this.inflightCountMax, this.inflightBytesMax);
    const progress = new Progress(id, 0, next, isLearner, inflights);
    progress.recentActive = true;
    return progress;
  }

  /** Puts a checked configuration in force. */
  adopt(config: Configuration, progresses: readonly Progress[]): void {
    this.config = config;
    this.progresses = progresses;
    this.incoming = this.voters(config.incoming);
    this.outgoing = this.voters(config.outgoing);
  }

  /** Forgets everyone, before a snapshot's membership is restored. */
  clear(): void {
    this.adopt(EMPTY_CONFIGURATION, []);
    this.votes.clear();
  }

  get(id: NodeId): Progress | undefined {
    const all = this.progresses;
    for (let i = 0; i < all.length; i++) {
      const progress = all[i];
      if (progress.id === id) return progress;
    }
    return undefined;
  }

  isVoter(id: NodeId): boolean {
    return this.config.incoming.includes(id) || this.config.outgoing.includes(id);
  }

  /** Whether `id` alone is every quorum. A leader that was removed from a membership of two is not. */
  isSingleton(id: NodeId): boolean {
    const { incoming, outgoing } = this.config;
    const alone = (half: readonly NodeId[]): boolean => half.length === 1 && half[0] === id;
    return alone(incoming) && (outgoing.length === 0 || alone(outgoing));
  }

  /** The highest index that both halves' majorities have acknowledged. */
  committed(): number {
    const first = this.majority(this.incoming);
    if (this.outgoing.length === 0) return first;
    const second = this.majority(this.outgoing);
    return first < second ? first : second;
  }

  /** Whether a quorum of voters has been heard from lately. */
  quorumActive(): boolean {
    const active = new Map<NodeId, boolean>();
    for (const progress of this.progresses) {
      if (!progress.isLearner) active.set(progress.id, progress.recentActive);
    }
    return this.quorumOf(active) === VoteResult.Won;
  }

  quorumOf(votes: ReadonlyMap<NodeId, boolean>): VoteResult {
    return jointVoteResult(this.config.incoming, this.config.outgoing, votes);
  }

  /** The first answer of a node counts; later ones do not change it. */
  recordVote(id: NodeId, granted: boolean): void {
    if (!this.votes.has(id)) this.votes.set(id, granted);
  }

  /** Counts for people leave learners out; the result asks the voters only. */
  tallyVotes(): VoteTally {
    let granted = 0;
    let rejected = 0;
    for (const progress of this.progresses) {
      const vote = progress.isLearner ? undefined : this.votes.get(progress.id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    return { granted, rejected, result: this.quorumOf(this.votes) };
  }

  confState(): ConfState {
    return {
      voters: this.config.incoming,
      learners: this.config.learners,
      votersOutgoing: this.config.outgoing,
      learnersNext: this.config.learnersNext,
      autoLeave: this.config.autoLeave,
    };
  }

  private voters(ids: readonly NodeId[]): Progress[] {
    const found: Progress[] = [];
    for (const id of ids) {
      const progress = this.get(id);
      if (progress !== undefined) found.push(progress);
    }
    return found;
  }

  private majority(voters: readonly Progress[]): number {
    const scratch = this.scratch;
    scratch.length = voters.length;
    for (let i = 0; i < voters.length; i++) scratch[i] = voters[i].match;
    return majorityIndex(scratch);
  }
}
