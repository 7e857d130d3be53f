/**
 * The members of a raft snapshot's v2 tree, for a database that has none to be trusted: one of an etcd before
 * 3.5 (no conf state in it), whose buckets of members are only written and never read. Pure.
 */
import { hexId } from '@keelson/base';
import { encodeMember } from '../membership/member.ts';
import type { ClusterFacts } from '../membership/v2-store.ts';
import type { ImageMembership } from '../snapshot/state-image.ts';

export function imageMembership(facts: Omit<ClusterFacts, 'hasV2Keys'>): ImageMembership {
  return {
    members: new Map(facts.members.map((member) => [hexId(member.id), encodeMember(member)])),
    removed: facts.removed.map(hexId),
    clusterVersion: facts.clusterVersion,
  };
}
