/**
 * L1 to L3, the liveness phase: all faults stop, a random core that holds every quorum that may be needed
 * comes back and the others stay down for good. Then, counted in election timeouts (the longest a follower
 * may wait, 2·electionTick ticks):
 *
 * - L1: within LEADER_WITHIN timeouts a leader has committed an entry of its term;
 * - L2: every read that waits is answered, new proposals get through, and no write is left in between: each
 *   log ends where it is committed and applied;
 * - L3: all members of the core agree: leader, term, log, applied index, state, membership. L2 and L3 within
 *   ALL_WITHIN timeouts.
 *
 * Both bounds grow by what candidates may have to count up to the highest term, and count from the moment
 * when no committed membership change is left to apply.
 *
 * It is demanded for every combination of options. What upstream's raft does not promise either is excused
 * by an exact predicate over the final state (excuses.ts) and counted by its name.
 */
import type { Prng } from '@keelson/base';
import { law } from '@keelson/sim';
import { type ConfState, type Entry, EntryType, type NodeId } from '../../src/index.ts';
import { allVoters } from '../../src/tracker.ts';
import { excuse } from './excuses.ts';
import { membersOf } from './membership-laws.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

/** The target; runs count how many seeds meet it. */
const LEADER_TARGET = 5;
/**
 * The bound. 99 seeds of 100 meet the target. Split votes decide the rest: up to seven nodes with an
 * electionTick of 3, where messages and syncs take a good part of a tick. The worst of the first thousands
 * took 9; a bound of 20 is not met by chance when nobody can be elected.
 */
export const LEADER_WITHIN = 20;
/** As in the plan of tests: converged within 200 election timeouts. */
export const ALL_WITHIN = 200;
/** Timeouts without a leader after which removed nodes are taken down, whatever is known of them. */
const HELP_AFTER = 8;
/** A state that is about to be excused, or to end, may take so many timeouts to show which. */
const GRACE = 10;
const EVENTS_PER_LOOK = 50;

/** @throws LawBroken */
export function heal(cluster: World, prng: Prng): void {
  const { scheduler } = cluster;
  cluster.healed = true;
  cluster.network.heal();
  chooseCore(cluster, prng);
  for (const node of cluster.nodes.values()) {
    node.pausedUntil = 0;
    node.slowUntil = 0;
    if (!node.up && cluster.mayStart(node)) cluster.start(node);
  }
  cluster.clients.heal();
  const healedAt = scheduler.now;
  let led = false;
  /** When there was a leader last. */
  let ledAt = healedAt;
  /** From here on every node may do its part. */
  let readyAt = healedAt;
  const gap = termGap(cluster);
  for (;;) {
    const leader = leaderOf(cluster);
    if (leader !== undefined) {
      ledAt = scheduler.now;
      if (!led) {
        led = true;
        cluster.leaderAfter = cluster.timeoutsSince(healedAt);
        // How far the target is met is part of each run's totals.
        if (cluster.leaderAfter <= LEADER_TARGET) cluster.count('leaderWithin5');
      }
    }
    const late = disagreement(cluster, leader);
    if (late === undefined) return;
    if (!led && cluster.timeoutsSince(healedAt) <= ALL_WITHIN && changesWait(cluster))
      readyAt = scheduler.now;
    const timeouts = cluster.timeoutsSince(readyAt);
    if (leader === undefined && cluster.timeoutsSince(ledAt) > HELP_AFTER) takeDownWhoLeft(cluster, prng);
    if (timeouts > LEADER_WITHIN + gap) {
      // A state that is excused does not mend itself: no need to wait for the end.
      const reason = excuse(cluster);
      if (reason !== undefined) {
        cluster.count(`excused:${reason}`);
        return;
      }
      const within = timeouts <= LEADER_WITHIN + gap + GRACE;
      law('L1', led || within, () => `no leader: ${picture(cluster)}`);
    }
    law(late.law, timeouts <= ALL_WITHIN + gap, () => `${late.text}: ${picture(cluster)}`);
    for (let i = 0; i < EVENTS_PER_LOOK; i++) scheduler.next();
    retire(cluster, prng);
  }
}

/**
 * Whether a voter has a committed membership change yet to apply: until then it may not campaign, and with
 * checkQuorum it may keep its lease on a leader that is gone. A slow state machine with a long way to go
 * takes what it takes; the bounds count from its arrival.
 */
function changesWait(cluster: World): boolean {
  return cluster.running().some(({ core }) => core.promotable() && core.log.hasUnappliedConfChange());
}

/** Without preVote a candidate is told nothing of higher terms: it counts up to them, one in each timeout. */
function termGap(cluster: World): number {
  if (cluster.options.preVote) return 0;
  const terms = [...cluster.nodes.values()].filter((node) => node.up).map((node) => node.core.term);
  return Math.max(...terms) - Math.min(...terms.filter((term) => term > 0));
}

/**
 * Nobody leads: the operator, who knows whom he removed, takes them down, for they may be what disturbs. He
 * leaves who may still have to elect a member that has not heard of the removal.
 */
function takeDownWhoLeft(cluster: World, prng: Prng): void {
  const { left, newest } = cluster.oracle.membership;
  const members = membersOf(newest.confState);
  const needed = new Set<NodeId>();
  for (const { id, core } of cluster.running()) {
    if (members.has(id) && core.promotable())
      for (const voter of allVoters(core.tracker.config)) needed.add(voter);
  }
  for (const id of left) {
    const node = cluster.nodes.get(id);
    if (node === undefined || !node.up || needed.has(id)) continue;
    cluster.count('takenDownWithoutLeader');
    cluster.retired.add(node);
    node.crash(prng, false);
  }
}

/** Who leads and knows all that is committed; a stale leader may still think it leads. */
function leaderOf(cluster: World): SimNode | undefined {
  return cluster
    .leaders()
    .find(({ core }) => core.committedInTerm() && core.log.committed >= cluster.oracle.maxCommitted);
}

function shuffled(nodes: readonly SimNode[], prng: Prng): SimNode[] {
  const left = [...nodes];
  const order: SimNode[] = [];
  while (left.length > 0) order.push(...left.splice(prng.below(left.length), 1));
  return order;
}

/** Some members stay down, as many as the quorums allow. */
function chooseCore(cluster: World, prng: Prng): void {
  const needed = quorumsNeeded(cluster);
  if (needed === undefined || prng.chance(1, 4)) return;
  const down = new Set<NodeId>();
  const holds = (half: readonly NodeId[]): boolean =>
    half.length === 0 || half.filter((id) => !down.has(id)).length * 2 > half.length;
  const members = [...membersOf(cluster.oracle.newest.confState)].flatMap(
    (id) => cluster.nodes.get(id) ?? [],
  );
  for (const node of shuffled(members, prng)) {
    down.add(node.id);
    if (!needed.every(({ voters, votersOutgoing }) => holds(voters) && holds(votersOutgoing))) {
      down.delete(node.id);
      continue;
    }
    cluster.count('deadAtTheEnd');
    cluster.retired.add(node);
    if (node.up) node.crash(prng, false);
  }
}

/**
 * The memberships of which a quorum must come back: each from the oldest that a voter still goes by, since
 * a node may have to be elected by it to learn of the next. Undefined when a change is in a log that nobody
 * has applied: then all come back.
 */
function quorumsNeeded(cluster: World): ConfState[] | undefined {
  const { history, newest } = cluster.oracle.membership;
  let floor = newest.index;
  for (const node of cluster.nodes.values()) {
    const { storage } = node;
    const last = node.up ? node.core.log.lastIndex() : storage.lastIndex();
    const first = Math.max(newest.index + 1, node.up ? node.core.log.firstIndex() : storage.firstIndex());
    for (let index = first; index <= last; index++) {
      const found: readonly Entry[] | string = node.up
        ? node.core.log.slice(index, index + 1, Infinity)
        : storage.entries(index, index + 1, Infinity);
      if (Array.isArray(found) && found.some((entry) => entry.type !== EntryType.Normal)) return undefined;
    }
    if (!newest.confState.voters.includes(node.id)) continue;
    floor = Math.min(floor, node.up ? node.core.log.applied : node.durable.commit);
  }
  const from = history.findLastIndex((each) => each.index <= floor);
  return history.slice(Math.max(0, from)).map((each) => each.confState);
}

/** The operator takes down who was removed, as soon as a leader that knows all that is committed says so. */
function retire(cluster: World, prng: Prng): void {
  const leader = leaderOf(cluster);
  if (leader === undefined || leader.applied < leader.core.log.lastIndex()) return;
  for (const node of cluster.nodes.values()) {
    if (!node.up || leader.core.tracker.get(node.id) !== undefined) continue;
    cluster.retired.add(node);
    node.crash(prng, false);
  }
}

interface Disagreement {
  readonly law: 'L1' | 'L2' | 'L3';
  readonly text: string;
}

/** What is still missing; undefined when all is well. */
function disagreement(cluster: World, leader: SimNode | undefined): Disagreement | undefined {
  if (leader === undefined) return { law: 'L1', text: 'no leader' };
  const { clients } = cluster;
  if (!clients.satisfied) return { law: 'L2', text: clients.describe() };
  const { core } = leader;
  const { config } = core.tracker;
  if (config.outgoing.length > 0 && config.autoLeave) return { law: 'L3', text: 'still joint' };
  if (core.uncommittedSize > 0)
    return { law: 'L2', text: 'the leader counts what is applied as uncommitted' };
  const last = core.log.lastIndex();
  for (const { id } of core.tracker.progresses) {
    const node = cluster.nodes.get(id);
    if (node === undefined || !cluster.mayStart(node)) continue;
    const { log, term, lead } = node.core;
    if (log.lastIndex() !== last || log.committed !== last || node.applied !== last || log.applied !== last) {
      return { law: 'L2', text: `${id} does not end at ${last}` };
    }
    const alike = node.up && term === core.term && lead === leader.id;
    if (!alike || node.state.hash !== leader.state.hash || node.confState !== leader.confState) {
      const same = alike && sameMembers(node.confState, leader.confState);
      if (!same || node.state.hash !== leader.state.hash) return { law: 'L3', text: `${id} does not agree` };
    }
  }
  return undefined;
}

function sameMembers(a: ConfState, b: ConfState): boolean {
  return a.voters.join() === b.voters.join() && a.learners.join() === b.learners.join();
}

function picture(cluster: World): string {
  return [...cluster.nodes.values()]
    .filter((node) => cluster.mayStart(node))
    .map(({ id, up, core, applied }) => {
      const { incoming, outgoing, learners } = core.tracker.config;
      return (
        `${id}${up ? '' : ' down'} role=${core.role} term=${core.term} lead=${core.lead} commit=${core.log.committed} ` +
        `applied=${applied} last=${core.log.lastTerm()}/${core.log.lastIndex()} voters=(${incoming.join(' ')})&&(${outgoing.join(' ')}) learners=(${learners.join(' ')})`
      );
    })
    .join('; ');
}
