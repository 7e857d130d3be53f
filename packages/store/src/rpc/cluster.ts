/** The Cluster service: who is in the cluster, and changes of that one member at a time. */
import { etcdserverpb, services } from '@keelson/proto';
import type { MethodTable } from '@keelson/rpc';
import { memberId } from '../config/ids.ts';
import { parseUrlList, urlTexts } from '../config/urls.ts';
import type { Replica } from '../consensus/replica.ts';
import type { Reconfiguration } from '../consensus/reconfiguration.ts';
import { StoreError } from '../errors.ts';
import type { Member } from '../membership/member.ts';
import { headerWithoutRevision } from './header.ts';

export interface ClusterChanges {
  readonly reconfiguration: Reconfiguration;
  /** Promotes here or, where this member does not lead, at the leader. */
  readonly promote: (id: bigint) => Promise<readonly Member[]>;
  /** Wall time, for the ids of new members. */
  readonly nowMs: () => number;
}

export function registerCluster(table: MethodTable, replica: Replica, changes: ClusterChanges): void {
  const { Cluster } = services;
  const { reconfiguration } = changes;

  table.unary(Cluster.methods.memberList, async (request) => {
    if (request.linearizable) await replica.linearizable();
    return new etcdserverpb.MemberListResponse({
      header: headerWithoutRevision(replica),
      members: replica.state.membership.list().map(toMessage),
    });
  });

  table.unary(Cluster.methods.memberAdd, async (request) => {
    const peerUrls = checkedUrls(request.peerURLs);
    const member: Member = {
      id: memberId(peerUrls, '', Math.floor(changes.nowMs() / 1000)),
      peerUrls,
      isLearner: request.isLearner,
      name: '',
      clientUrls: [],
    };
    const members = await reconfiguration.add(member);
    return new etcdserverpb.MemberAddResponse({
      header: headerWithoutRevision(replica),
      member: toMessage(member),
      members: members.map(toMessage),
    });
  });

  table.unary(Cluster.methods.memberRemove, async (request) => {
    const members = (await reconfiguration.remove(request.ID)).map(toMessage);
    return new etcdserverpb.MemberRemoveResponse({ header: headerWithoutRevision(replica), members });
  });

  table.unary(Cluster.methods.memberUpdate, async (request) => {
    // An unknown member is told first, as in etcd, which does not look at the URLs at all.
    if (replica.state.membership.get(request.ID) !== undefined) checkedUrls(request.peerURLs);
    const members = (await reconfiguration.update(request.ID, request.peerURLs)).map(toMessage);
    return new etcdserverpb.MemberUpdateResponse({ header: headerWithoutRevision(replica), members });
  });

  table.unary(Cluster.methods.memberPromote, async (request) => {
    const members = (await changes.promote(request.ID)).map(toMessage);
    return new etcdserverpb.MemberPromoteResponse({ header: headerWithoutRevision(replica), members });
  });
}

/** In etcd's canonical text and order. @throws StoreError BAD_MEMBER_URLS */
function checkedUrls(texts: readonly string[]): string[] {
  const urls = parseUrlList(texts);
  if (!urls.ok) throw new StoreError('BAD_MEMBER_URLS');
  return urlTexts(urls.value);
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
