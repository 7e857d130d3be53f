/**
 * States in which etcd's raft library stays for ever as well, each as an exact predicate over what all nodes
 * hold: the only reasons for which a seed may end without agreement. Options alone excuse nothing.
 *
 * 'deaf member': without checkQuorum and preVote a node ignores the leader's messages of a lower term in
 * silence. A member that came to a higher term (from a removed voter that campaigned) and may not campaign
 * itself, a learner for one, then never hears of the leader, nor the leader of it. Either it alone stays
 * behind, or the leader lacks it for its quorum and commits nothing.
 *
 * 'membership left behind': membership takes effect when applied. A leader that leaves, or dies, before the
 * remaining voters know that its leaving is committed leaves them to be elected by the old membership, whose
 * other voters know better and may not campaign. One message would mend it; nobody is left to send it.
 *
 * 'counting apart': without preVote a request for a vote of a lower term is ignored in silence, whatever
 * checkQuorum says. Whoever can be elected needs the vote of a voter that is ahead in terms and goes by an
 * older membership: that one cannot be elected, asks others than the first, and counts up once in each of
 * its timeouts as the first does. Their distance is a walk without drift: it may end with any step, and no
 * number of timeouts bounds it. With preVote the answer to a request of a lower term ends it.
 */
import { allVoters } from '../../src/tracker.ts';
import { type NodeId, Role } from '../../src/index.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

export function excuse(cluster: World): string | undefined {
  if (deafMember(cluster)) return 'deaf member';
  if (leftBehind(cluster)) return 'membership left behind';
  if (countingApart(cluster)) return 'counting apart';
  return undefined;
}

type Halves = readonly (readonly NodeId[])[];

function upNodes(cluster: World): SimNode[] {
  return [...cluster.nodes.values()].filter((node) => node.up);
}

/** The membership a node goes by. */
function ownHalves({ core }: SimNode): Halves {
  const { incoming, outgoing } = core.tracker.config;
  return [incoming, outgoing];
}

function majority(half: readonly NodeId[], nodes: readonly SimNode[]): boolean {
  return half.length === 0 || nodes.filter((node) => half.includes(node.id)).length * 2 > half.length;
}

function deafMember(cluster: World): boolean {
  const { checkQuorum, preVote } = cluster.options;
  if (checkQuorum || preVote) return false;
  const up = upNodes(cluster);
  return up.some((leader) => {
    const { core } = leader;
    if (core.role !== Role.Leader) return false;
    const higher = up.filter((node) => node.core.term > core.term);
    const members = up.filter((node) => core.tracker.get(node.id) !== undefined);
    if (!higher.some((node) => members.includes(node))) return false;
    if (!higher.every((node) => isDeafTo(node, leader.id))) return false;
    const halves = ownHalves(leader);
    if (!halves.every((half) => majority(half, members))) return false;
    const others = members.filter((node) => !higher.includes(node));
    if (!halves.every((half) => majority(half, others))) return true;
    if (!core.committedInTerm() || core.log.committed < cluster.oracle.maxCommitted) return false;
    return others.every((node) => node.applied >= core.log.committed - 3);
  });
}

/** It will never campaign against the leader, so the leader never hears of its term. */
function isDeafTo({ core }: SimNode, leader: NodeId): boolean {
  if (core.role === Role.Leader) return false;
  return !mayCampaign(core) || !allVoters(core.tracker.config).includes(leader);
}

function mayCampaign(core: SimNode['core']): boolean {
  return core.promotable() && !core.log.hasUnappliedConfChange();
}

/** Whether it may campaign, and by these halves would win if terms stood in nobody's way. */
function electable(up: readonly SimNode[], node: SimNode, halves: Halves): boolean {
  if (!mayCampaign(node.core) || !halves.some((half) => half.includes(node.id))) return false;
  const granting = up.filter((other) => asLong(node, other));
  return halves.every((half) => majority(half, granting));
}

function leftBehind(cluster: World): boolean {
  const up = upNodes(cluster);
  if (up.some((node) => node.core.role === Role.Leader)) return false;
  if (up.some((node) => electable(up, node, ownHalves(node)))) return false;
  const { index, confState } = cluster.oracle.newest;
  return up.some(
    (node) =>
      confState.voters.includes(node.id) &&
      node.applied < index &&
      electable(up, node, [confState.voters, confState.votersOutgoing]),
  );
}

function countingApart(cluster: World): boolean {
  if (cluster.options.preVote) return false;
  const up = upNodes(cluster);
  if (up.some((node) => node.core.role === Role.Leader)) return false;
  const able = up.filter((node) => electable(up, node, ownHalves(node)));
  if (able.length === 0) return false;
  return able.every((node) => {
    // They are ahead, and stay so: they count up by themselves and never tell this one.
    const ahead = up.filter(
      (other) =>
        other.core.term > node.core.term &&
        mayCampaign(other.core) &&
        !able.includes(other) &&
        !allVoters(other.core.tracker.config).includes(node.id),
    );
    const granting = up.filter((other) => asLong(node, other) && !ahead.includes(other));
    return !ownHalves(node).every((half) => majority(half, granting));
  });
}

/** Whether the log of `a` is as up to date as that of `b` (Raft §5.4.1). */
function asLong(a: SimNode, b: SimNode): boolean {
  return b.core.log.isUpToDate(a.core.log.lastIndex(), a.core.log.lastTerm());
}
