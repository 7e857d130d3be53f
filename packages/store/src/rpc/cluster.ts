/** The Cluster service: who is in the cluster, and changes of that one member at a time. */
import { etcdserverpb, services } from '@keelson/proto';
import type { MethodTable } from '@keelson/rpc';
import type { Replica } from '../consensus/replica.ts';
import type { Member } from '../membership/member.ts';
import { headerWithoutRevision } from './header.ts';
import { toRpcError } from './status.ts';

export function registerCluster(table: MethodTable, replica: Replica): void {
  table.unary(services.Cluster.methods.memberList, async (request) => {
    try {
      if (request.linearizable) await replica.linearizable();
      return new etcdserverpb.MemberListResponse({
        header: headerWithoutRevision(replica),
        members: replica.state.membership.list().map(toMessage),
      });
    } catch (error) {
      throw toRpcError(error);
    }
  });
}

function toMessage(member: Member): etcdserverpb.Member {
  return new etcdserverpb.Member({
    ID: member.id,
    name: member.name,
    peerURLs: [...member.peerUrls],
    clientURLs: [...member.clientUrls],
    isLearner: member.isLearner,
  });
}
