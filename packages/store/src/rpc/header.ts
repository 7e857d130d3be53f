/** Response headers: who answers, in which term, at which revision. */
import { etcdserverpb } from '@keelson/proto';
import type { Replica } from '../consensus/replica.ts';

/** @param revision that of the operation; 0 or left out: the current one */
export function header(replica: Replica, revision = 0): etcdserverpb.ResponseHeader {
  return new etcdserverpb.ResponseHeader({
    clusterId: replica.clusterId,
    memberId: replica.memberId,
    revision: revision === 0 ? replica.state.mvcc.currentRevision : revision,
    raftTerm: replica.term,
  });
}

/** Cluster answers carry no revision. */
export function headerWithoutRevision(replica: Replica): etcdserverpb.ResponseHeader {
  return new etcdserverpb.ResponseHeader({
    clusterId: replica.clusterId,
    memberId: replica.memberId,
    raftTerm: replica.term,
  });
}
