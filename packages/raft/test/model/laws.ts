/**
 * The laws R1 to R10 as predicates, written for the model alone: `lookAt` reads a member, `lawsOfStep` says
 * what one event may do to one member, the others what members may be to each other and to what was ever
 * elected, committed and asked. A broken law is thrown. Nothing here changes a member.
 */
import { Role } from '../../src/index.ts';
import { ProgressState } from '../../src/progress.ts';
import { law } from './broken.ts';
import { type Chains, type Members, membersOf, quorum, quorumsMeet } from './chains.ts';
import { describeChain, type Member } from './member.ts';

/** What the laws and the explorer want to know of a member; made once for each state of one. */
export interface View {
  readonly id: number;
  readonly term: number;
  readonly role: Role;
  readonly lead: number;
  readonly commit: number;
  /** What the core believes to be applied; the state machine's own word is `appliedChain`. */
  readonly applied: number;
  readonly appliedChain: number;
  /** Of the whole log, from a snapshot on; log[0] is the snapshot's. */
  readonly log: readonly number[];
  readonly durable: readonly number[];
  readonly members: Members;
  readonly votes: readonly number[];
  readonly appends: number;
  readonly applies: number;
  /** Whose progress waits for a snapshot. */
  readonly snapshotsTo: readonly number[];
  /** A commit index on the disk that a crash may take back. */
  readonly looseCommit: boolean;
}

export function lookAt(member: Member, chains: Chains): View {
  const { core } = member;
  const { incoming, outgoing, learners, learnersNext, autoLeave } = core.tracker.config;
  return {
    id: member.id,
    term: core.term,
    role: core.role,
    lead: Number(core.lead),
    commit: core.log.committed,
    applied: core.log.applied,
    appliedChain: member.applied,
    log: member.wholeLog(chains),
    durable: member.durableLog(chains),
    members: {
      incoming: incoming.map(Number),
      outgoing: outgoing.map(Number),
      learners: learners.map(Number),
      learnersNext: learnersNext.map(Number),
      autoLeave,
    },
    votes: member.votes.slice(),
    appends: member.appends.length,
    applies: member.applies.length,
    snapshotsTo: core.tracker.progresses
      .filter(({ state }) => state === ProgressState.Snapshot)
      .map(({ id }) => Number(id)),
    looseCommit: member.durable.commit > member.syncedCommit,
  };
}

/** The chain at `index` of a log; -1 when it is compacted or not there. */
export function chainAt(chains: Chains, log: readonly number[], index: number): number {
  return log[index - chains.index(log[0])] ?? -1;
}

/** Laws of one member alone, whatever the event was. */
export function lawsOfMember(member: Member, view: View, chains: Chains): void {
  const { core } = member;
  const { log, tracker } = core;
  for (const chain of view.log) {
    const index = chains.index(chain);
    law(
      'R3',
      log.termOrZero(index) === chains.term(chain),
      () => `${view.id} holds ${describeChain(chains, chain)} to be of term ${log.termOrZero(index)}`,
    );
  }
  for (const { id } of tracker.progresses) {
    law(
      'R9',
      isMember(view.members, Number(id)),
      () => `${view.id} follows the progress of ${id}, which is no member`,
    );
  }
  const mayLead =
    !core.config.stepDownOnRemoval ||
    view.role !== Role.Leader ||
    view.members.incoming.includes(view.id) ||
    view.members.outgoing.includes(view.id);
  law('R9', mayLead, () => `${view.id} leads on although it is no voter any more`);
  const last = log.lastIndex();
  law(
    'R8',
    log.applied <= log.applying && log.applying <= log.committed && log.committed <= last,
    () => `marks of ${view.id} are out of order: ${log.describe()}`,
  );
  law(
    'R8',
    chains.index(view.appliedChain) <= view.commit,
    () => `${view.id} has applied more than it knows to be committed`,
  );
  keepsWhatItAcknowledged(member, chains);
  const kept = member.storage.snapshot();
  law(
    'R9',
    kept !== undefined && sameMembers(membersOf(kept.confState), chains.members(view.durable[0])),
    () => `the snapshot of ${view.id} does not hold the membership of its index`,
  );
  const snapshot = log.unstable.snapshot;
  const base = snapshot === undefined ? view.appliedChain : view.log[0];
  const wanted = chains.members(base);
  law(
    'R9',
    sameMembers(wanted, view.members),
    () => `${view.id} has the membership ${text(view.members)} and applied ${text(wanted)}`,
  );
}

/** R6: until a later term, what was acknowledged stays on the disk. */
function keepsWhatItAcknowledged(member: Member, chains: Chains): void {
  if (member.durable.term !== member.ackTerm) return;
  law(
    'R6',
    member.holdsDurably(chains, member.ackChain),
    () =>
      `${member.id} has thrown away ${describeChain(chains, member.ackChain)}, which it acknowledged in term ${member.ackTerm}`,
  );
}

/** What kind of event it was, as far as the laws ask. */
export interface Happened {
  /** A restart: what was volatile may be gone. */
  readonly crashed: boolean;
  /** A pre-vote was asked for, by it or of it: nothing that costs a term (R11). */
  readonly preVote: boolean;
  /** A message came; without one no entry of a log can be replaced. */
  readonly delivered: boolean;
}

/** Laws of one event at one member. */
export function lawsOfStep(before: View, after: View, chains: Chains, happened: Happened): void {
  const { crashed, preVote, delivered } = happened;
  const { id } = after;
  if (crashed) return;
  law(
    'R11',
    !preVote || after.term === before.term,
    () => `a pre-vote raises the term of ${id} to ${after.term}`,
  );
  law('R6', after.term >= before.term, () => `the term of ${id} falls from ${before.term} to ${after.term}`);
  law(
    'R7',
    after.commit >= before.commit,
    () => `the commit index of ${id} falls from ${before.commit} to ${after.commit}`,
  );
  const leads = after.role === Role.Leader;
  const led = before.role === Role.Leader && before.term === after.term;
  if ((led && leads) || !delivered) appendOnly(before, after, chains);
  if (leads) {
    oneChangeInFlight(before, after, chains);
    const grew =
      after.log.length - before.log.length + chains.index(after.log[0]) - chains.index(before.log[0]);
    law(
      'R9',
      !led || grew <= 0 || isMember(before.members, id) || isMember(after.members, id),
      () => `${id} is removed, and appends as a leader`,
    );
    if (after.commit > before.commit) {
      const term = chains.term(chainAt(chains, after.log, after.commit));
      law(
        'R4',
        term === after.term,
        () =>
          `leader ${id} of term ${after.term} commits up to ${term}/${after.commit}: only its own term's entries may be counted (Raft §5.4.2)`,
      );
    }
  }
  const campaigns = after.role === Role.Candidate || after.role === Role.PreCandidate;
  if ((campaigns && (before.role !== after.role || before.term !== after.term)) || (leads && !led)) {
    for (let index = after.applied + 1; index <= after.commit; index++) {
      const chain = chainAt(chains, after.log, index);
      law(
        'R9',
        !campaigns || !chains.isChange(chain),
        () => `${id} campaigns with committed conf change ${index} unapplied`,
      );
    }
    const { incoming, outgoing } = after.members;
    law('R9', incoming.includes(id) || outgoing.includes(id), () => `${id} campaigns and is no voter`);
  }
  if (!sameMembers(before.members, after.members)) membershipsMeet(before, after, chains);
}

function appendOnly(before: View, after: View, chains: Chains): void {
  const first = chains.index(after.log[0]);
  const last = chains.index(before.log[before.log.length - 1]);
  for (let index = Math.max(first, chains.index(before.log[0])); index <= last; index++) {
    law(
      'R2',
      chainAt(chains, after.log, index) === chainAt(chains, before.log, index),
      () => `${after.id} in term ${after.term} changes its entry ${index}, and leads or was told nothing`,
    );
  }
}

function oneChangeInFlight(before: View, after: View, chains: Chains): void {
  const from = chains.index(before.log[before.log.length - 1]) + 1;
  for (let index = after.log.length - 1 + chains.index(after.log[0]); index >= from; index--) {
    const chain = chainAt(chains, after.log, index);
    if (!chains.isChange(chain) || chains.term(chain) !== after.term) continue;
    for (let other = after.applied + 1; other < index; other++) {
      law(
        'R9',
        !chains.isChange(chainAt(chains, after.log, other)),
        () => `${after.id} appends conf change ${index} while ${other} is unapplied`,
      );
    }
  }
}

function isMember({ incoming, outgoing, learners }: Members, id: number): boolean {
  return incoming.includes(id) || outgoing.includes(id) || learners.includes(id);
}

/** Every membership that was in force between the two meets the next one's quorums. */
function membershipsMeet(before: View, after: View, chains: Chains): void {
  const path: number[] = [];
  for (
    let chain = after.appliedChain;
    chain >= 0 && chain !== before.appliedChain;
    chain = chains.previous(chain)
  )
    path.push(chain);
  let earlier = before.members;
  for (const chain of path.toReversed()) {
    const next = chains.members(chain);
    law('R9', quorumsMeet(earlier, next), () => `quorums of ${text(earlier)} and ${text(next)} do not meet`);
    earlier = next;
  }
}

/** R3: wherever two logs have an entry of one term at one index, they are equal up to it. */
export function logsMatch(a: View, b: View, chains: Chains): void {
  const low = Math.max(chains.index(a.log[0]), chains.index(b.log[0]));
  for (let index = low; ; index++) {
    const ours = chainAt(chains, a.log, index);
    const theirs = chainAt(chains, b.log, index);
    if (ours < 0 || theirs < 0) return;
    law(
      'R3',
      ours === theirs || chains.term(ours) !== chains.term(theirs),
      () => `${a.id} and ${b.id} have ${describeChain(chains, ours)} after different logs`,
    );
  }
}

/** R1 and R9: a leader of a term had votes of a quorum of its own membership, each on a disk at some time. */
export function elected(leader: View, views: readonly View[]): void {
  const voted = (id: number): boolean =>
    views.some((each) => each.id === id && each.votes[leader.term] === leader.id);
  law(
    'R1',
    quorum(leader.members, voted),
    () =>
      `${leader.id} leads term ${leader.term} without durable votes of a quorum of ${text(leader.members)}`,
  );
}

/**
 * R7: an index that is announced for the first time is durable on a quorum of the membership in force. An
 * event that commits a change may apply it as well: then it was counted in the membership before.
 */
export function durableOnQuorum(
  before: View,
  after: View,
  views: readonly View[],
  chain: number,
  chains: Chains,
): void {
  const index = chains.index(chain);
  const holds = (id: number): boolean =>
    views.some(
      (each) =>
        each.id === id &&
        (chainAt(chains, each.durable, index) === chain || chains.index(each.durable[0]) > index),
    );
  law(
    'R7',
    quorum(after.members, holds) || quorum(before.members, holds),
    () =>
      `${after.id} announces ${describeChain(chains, chain)}, which is not durable on a quorum of ${text(after.members)}`,
  );
}

/** R4: what was committed in an earlier term is in the log of a leader of a later one. */
export function complete(leader: View, chain: number, chains: Chains): void {
  const index = chains.index(chain);
  const held = chainAt(chains, leader.log, index);
  const compacted = index < chains.index(leader.log[0]);
  law(
    'R4',
    held === chain || compacted,
    () => `leader ${leader.id} of term ${leader.term} lacks committed ${describeChain(chains, chain)}`,
  );
}

function sameMembers(a: Members, b: Members): boolean {
  return text(a) === text(b);
}

function text({ incoming, outgoing, learners, learnersNext, autoLeave }: Members): string {
  return `(${incoming.join(' ')})(${outgoing.join(' ')}) learners (${learners.join(' ')})(${learnersNext.join(' ')})${autoLeave ? ' autoleave' : ''}`;
}
