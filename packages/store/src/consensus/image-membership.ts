/**
 * Which members a database that comes from another etcd is taken to have. From 3.5 on they are its own. Before
 * that its buckets of members were only written and never read: they may be ahead of it, or, after a restore,
 * those of a cluster that is no more; the v2 tree of the raft snapshot beside it has the true ones. A database may
 * have gone through both hands, so its own are held against the quorum, which is always known from the log.
 */
import { hexId } from '@keelson/base';
import type { ConfState } from '@keelson/raft';
import { Buckets } from '../backend/buckets.ts';
import { encodeMember } from '../membership/member.ts';
import type { ClusterFacts } from '../membership/v2-store.ts';
import type { BboltReader } from '../snapshot/bbolt-reader.ts';
import { readImageFacts, type ImageMembership } from '../snapshot/state-image.ts';

/** Whether the database's own members are to be believed, where the quorum is `confState`. */
export async function hasTrueMembers(reader: BboltReader, confState: ConfState): Promise<boolean> {
  if ((await readImageFacts(reader)).confState === '') return false;
  const ids: string[] = [];
  for await (const pairs of (await reader.bucket(Buckets.members.name))?.entries() ?? [])
    for (const { key } of pairs) ids.push(key.toString('latin1'));
  return areMembersOf(confState, ids);
}

/** Whether these, in hex, are exactly the members of a quorum. */
export function areMembersOf(confState: ConfState, ids: Iterable<string>): boolean {
  const { voters, learners, votersOutgoing, learnersNext } = confState;
  const quorum = new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext].map(hexId));
  const members = new Set(ids);
  return members.size === quorum.size && [...members].every((id) => quorum.has(id));
}

export function imageMembership(facts: Omit<ClusterFacts, 'hasV2Keys'>): ImageMembership {
  return {
    members: new Map(facts.members.map((member) => [hexId(member.id), encodeMember(member)])),
    removed: facts.removed.map(hexId),
    clusterVersion: facts.clusterVersion,
  };
}
