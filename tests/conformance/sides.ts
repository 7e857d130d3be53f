/**
 * The two clusters of a differential test: a real etcd's and Keelson's, started alike, and what must be known
 * of each to compare their outputs: ids and addresses, which differ by nature.
 */
import { etcdserverpb, services } from '@keelson/proto';
import { KEELSON_ETCD, KEELSON_FLAGS, REFERENCE_ETCD } from '../harness/binaries.ts';
import { TLS_EVERYWHERE } from '../harness/certificates.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';

export interface Side {
  /** "etcd" or "keelson", for messages. */
  readonly name: string;
  readonly cluster: ProcessCluster;
  readonly identity: Identity;
}

/** Roles in the order in which members are compared: a leader with a leader. */
export const ROLES = ['leader', 'follower1', 'follower2'] as const;

/** What is a cluster's own. */
export interface Identity {
  readonly clusterId: bigint;
  /** In the order of ROLES. */
  readonly members: readonly MemberIdentity[];
}

export interface MemberIdentity {
  readonly role: (typeof ROLES)[number];
  /** Place in `cluster.members`. */
  readonly index: number;
  readonly name: string;
  readonly id: bigint;
  readonly clientAddress: string;
  readonly peerAddress: string;
}

/** Apart from everything else that is printed. */
const NAME_PREFIX = 'member-';

/** Both sides, started side by side with these flags; the reference first. */
export async function startSides(flags: readonly string[] = [], size = 3): Promise<[Side, Side]> {
  if (REFERENCE_ETCD === undefined) throw new Error('no real etcd to compare with');
  const clusters = await Promise.all([
    ProcessCluster.start({ binary: REFERENCE_ETCD, prefix: NAME_PREFIX, size, flags, tls: TLS_EVERYWHERE }),
    ProcessCluster.start({
      binary: KEELSON_ETCD,
      prefix: NAME_PREFIX,
      size,
      tls: TLS_EVERYWHERE,
      flags: [...KEELSON_FLAGS, ...flags],
    }),
  ]);
  const [reference, subject] = await Promise.all(
    clusters.map(async (cluster, i) => ({
      name: ['etcd', 'keelson'][i],
      cluster,
      identity: await identify(cluster),
    })),
  );
  return [reference, subject];
}

async function identify(cluster: ProcessCluster): Promise<Identity> {
  const { members, header } = await cluster
    .api(0)
    .call(services.Cluster.methods.memberList, new etcdserverpb.MemberListRequest(), { timeoutMs: 5000 });
  const leader = await cluster.leader();
  const order = [leader, ...[...cluster.members.keys()].filter((i) => i !== leader)];
  return {
    clusterId: header?.clusterId ?? 0n,
    members: order.map((index, i) => {
      const process = cluster.members[index];
      const member = members.find(({ name }) => name === process.name);
      if (member === undefined) throw new Error(`${process.name} is not in the member list`);
      return {
        role: ROLES[i],
        index,
        name: process.name,
        id: member.ID,
        clientAddress: process.address,
        peerAddress: process.peerUrl.replace(/^https?:\/\//, ''),
      };
    }),
  };
}
