/**
 * States in which etcd's raft library stays for ever as well, each as an exact predicate over what all nodes
 * hold: the only reasons for which a seed may end without agreement. Options alone excuse nothing.
 *
 * 'deaf member': without checkQuorum and preVote a node ignores the leader's messages of a lower term in
 * silence. A member that came to a higher term (from a removed voter that campaigned) and may not campaign
 * itself, a learner for one, then never hears of the leader, nor the leader of it.
 *
 * 'membership left behind': membership takes effect when applied. A leader that leaves, or dies, before the
 * remaining voters know that its leaving is committed leaves them to be elected by the old membership, whose
 * other voters know better and may not campaign. One message would mend it; nobody is left to send it.
 */
import { allVoters } from '../../src/tracker.ts';
import { type NodeId, Role } from '../../src/index.ts';
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

export function excuse(cluster: World): string | undefined {
  if (deafMember(cluster)) return 'deaf member';
  if (leftBehind(cluster)) return 'membership left behind';
  return undefined;
}

function deafMember(cluster: World): boolean {
  const { checkQuorum, preVote } = cluster.options;
  if (checkQuorum || preVote) return false;
  const up = [...cluster.nodes.values()].filter((node) => node.up);
  return up.some((leader) => {
    const { core } = leader;
    if (core.role !== Role.Leader || !core.committedInTerm()) return false;
    if (core.log.committed < cluster.oracle.maxCommitted) return false;
    const higher = up.filter((node) => node.core.term > core.term);
    if (!higher.some((node) => core.tracker.get(node.id) !== undefined)) return false;
    if (!higher.every((node) => isDeafTo(node, leader.id))) return false;
    const others = up.filter((node) => core.tracker.get(node.id) !== undefined && !higher.includes(node));
    const { incoming, outgoing } = core.tracker.config;
    const quorum = [incoming, outgoing].every(
      (half) => half.length === 0 || others.filter((node) => half.includes(node.id)).length * 2 > half.length,
    );
    return !quorum || others.every((node) => node.applied >= core.log.committed - 3);
  });
}

/** It will never campaign against the leader, so the leader never hears of its term. */
function isDeafTo({ core }: SimNode, leader: NodeId): boolean {
  if (core.role === Role.Leader) return false;
  if (!core.promotable() || core.log.hasUnappliedConfChange()) return true;
  return !allVoters(core.tracker.config).includes(leader);
}

function leftBehind(cluster: World): boolean {
  const up = [...cluster.nodes.values()].filter((node) => node.up);
  if (up.some((node) => node.core.role === Role.Leader)) return false;
  const electable = (node: SimNode, halves: readonly (readonly NodeId[])[]): boolean => {
    const { core, id } = node;
    if (!core.promotable() || core.log.hasUnappliedConfChange()) return false;
    if (!halves.some((half) => half.includes(id))) return false;
    return halves.every((half) => {
      const granting = half.filter((voter) => {
        const other = cluster.nodes.get(voter);
        return other !== undefined && other.up && asLong(node, other);
      });
      return half.length === 0 || granting.length * 2 > half.length;
    });
  };
  const own = ({ core }: SimNode): (readonly NodeId[])[] => {
    const { incoming, outgoing } = core.tracker.config;
    return [incoming, outgoing];
  };
  if (up.some((node) => electable(node, own(node)))) return false;
  const { index, confState } = cluster.oracle.newest;
  return up.some(
    (node) =>
      confState.voters.includes(node.id) &&
      node.applied < index &&
      electable(node, [confState.voters, confState.votersOutgoing]),
  );
}

/** Whether the log of `a` is as up to date as that of `b` (Raft §5.4.1). */
function asLong(a: SimNode, b: SimNode): boolean {
  return b.core.log.isUpToDate(a.core.log.lastIndex(), a.core.log.lastTerm());
}
