/** Response headers: who answers, in which term, at which revision. */
import { assert } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import type { ApplyResult } from '../apply/results.ts';
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

/** The applier's response to a command, of the kind the method promises, with the header of its revision. */
export function answer<T extends { header: etcdserverpb.ResponseHeader | undefined }>(
  replica: Replica,
  { response, revision }: ApplyResult,
  kind: new () => T,
): T {
  assert(response instanceof kind, () => `a command was answered with something else than ${kind.name}`);
  response.header = header(replica, revision);
  return response;
}
