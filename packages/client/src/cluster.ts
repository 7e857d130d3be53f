/** Members of the cluster: list, add, remove, update, promote. */
import { etcdserverpb, services } from '@keelson/proto';
import type { Caller, RequestOptions } from './retry.ts';

export class Cluster {
  private readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  /** @param options.serializable answer from one member's own view; default: linearizable */
  memberList(
    options: RequestOptions & { readonly serializable?: boolean } = {},
  ): Promise<etcdserverpb.MemberListResponse> {
    const request = new etcdserverpb.MemberListRequest({ linearizable: options.serializable !== true });
    return this.caller.unary(M.memberList, request, 'read', options);
  }

  memberAdd(
    peerURLs: readonly string[],
    options: RequestOptions & { readonly learner?: boolean } = {},
  ): Promise<etcdserverpb.MemberAddResponse> {
    const request = new etcdserverpb.MemberAddRequest({
      peerURLs: [...peerURLs],
      isLearner: options.learner ?? false,
    });
    return this.caller.unary(M.memberAdd, request, 'write', options);
  }

  memberRemove(id: bigint, options?: RequestOptions): Promise<etcdserverpb.MemberRemoveResponse> {
    const request = new etcdserverpb.MemberRemoveRequest({ ID: id });
    return this.caller.unary(M.memberRemove, request, 'write', options);
  }

  memberUpdate(
    id: bigint,
    peerURLs: readonly string[],
    options?: RequestOptions,
  ): Promise<etcdserverpb.MemberUpdateResponse> {
    const request = new etcdserverpb.MemberUpdateRequest({ ID: id, peerURLs: [...peerURLs] });
    return this.caller.unary(M.memberUpdate, request, 'write', options);
  }

  memberPromote(id: bigint, options?: RequestOptions): Promise<etcdserverpb.MemberPromoteResponse> {
    const request = new etcdserverpb.MemberPromoteRequest({ ID: id });
    return this.caller.unary(M.memberPromote, request, 'write', options);
  }
}

const M = services.Cluster.methods;
