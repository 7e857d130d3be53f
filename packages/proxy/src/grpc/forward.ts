/**
 * The methods that pass through as bytes: leases, members, maintenance, users and roles, locks and elections. What the
 * namespace or the cache must hear of is looked at, the rest is not decoded. The tables say which calls only read:
 * those alone are repeated at another member. (etcd: grpcproxy/{lease,cluster,maintenance,auth,lock,election}.go.)
 */
import { etcdserverpb, services, v3electionpb, v3lockpb, type AnyMethod } from '@keelson/proto';
import type { CallContext, MethodTable } from '@keelson/rpc';
import type { Effect } from '@keelson/client';
import { invalidateBelow } from './kv.ts';
import type { Namespace } from './namespace.ts';
import { raw } from './raw.ts';
import type { RangeCache } from './range-cache.ts';
import type { Upstream } from './upstream.ts';

export interface ForwardParts {
  readonly upstream: Upstream;
  readonly namespace: Namespace;
  readonly cache: RangeCache;
}

const { Auth, Cluster, Election, Lease, Lock, Maintenance } = services;

/** Untouched, and what they do. MemberList and those below are not among them. */
const PLAIN: readonly (readonly [method: AnyMethod, effect: Effect])[] = [
  [Lease.methods.leaseGrant, 'write'],
  [Lease.methods.leaseLeases, 'read'],
  [Cluster.methods.memberAdd, 'write'],
  [Cluster.methods.memberRemove, 'write'],
  [Cluster.methods.memberUpdate, 'write'],
  [Cluster.methods.memberPromote, 'write'],
  [Maintenance.methods.alarm, 'write'],
  [Maintenance.methods.status, 'read'],
  [Maintenance.methods.defragment, 'write'],
  [Maintenance.methods.hash, 'read'],
  [Maintenance.methods.hashKV, 'read'],
  [Maintenance.methods.moveLeader, 'write'],
  [Maintenance.methods.downgrade, 'write'],
  [Auth.methods.authStatus, 'read'],
  [Auth.methods.authenticate, 'write'],
  [Auth.methods.userGet, 'read'],
  [Auth.methods.userList, 'read'],
  [Auth.methods.roleGet, 'read'],
  [Auth.methods.roleList, 'read'],
];

/** They change who may read: answers that were kept for somebody may not be that somebody's any more. */
const RIGHTS: readonly AnyMethod[] = [
  Auth.methods.authEnable,
  Auth.methods.authDisable,
  Auth.methods.userAdd,
  Auth.methods.userDelete,
  Auth.methods.userChangePassword,
  Auth.methods.userGrantRole,
  Auth.methods.userRevokeRole,
  Auth.methods.roleAdd,
  Auth.methods.roleDelete,
  Auth.methods.roleGrantPermission,
  Auth.methods.roleRevokePermission,
];

export function registerForwarded(table: MethodTable, parts: ForwardParts): void {
  const { upstream, cache } = parts;
  for (const [method, effect] of PLAIN) {
    const bytes = raw(method);
    table.unary(bytes, (request, call) => upstream.forward(bytes, request, effect, call));
  }
  for (const method of [...RIGHTS, Lease.methods.leaseRevoke]) {
    // A revoked lease takes keys along that only the cluster knows.
    const bytes = raw(method);
    table.unary(bytes, async (request, call) => {
      try {
        return await upstream.forward(bytes, request, 'write', call);
      } finally {
        cache.clear();
      }
    });
  }
  const snapshot = raw(Maintenance.methods.snapshot);
  table.serverStream(snapshot, async (request, stream) => {
    const answers = await upstream.forwardStream(snapshot, request, stream.call);
    for await (const bytes of answers) if (!stream.writeEncoded(bytes)) await stream.ready();
  });
  registerTimeToLive(table, parts);
  registerLock(table, parts);
  registerElection(table, parts);
}

function registerTimeToLive(table: MethodTable, { upstream, namespace }: ForwardParts): void {
  const method = raw(Lease.methods.leaseTimeToLive);
  table.unary(method, async (request, call) => {
    const answer = await upstream.forward(method, request, 'read', call);
    if (namespace.whole) return answer;
    const response = etcdserverpb.decodeLeaseTimeToLiveResponse(answer);
    response.keys = namespace.ownKeys(response.keys);
    return etcdserverpb.encodeLeaseTimeToLiveResponse(response);
  });
}

function registerLock(table: MethodTable, { upstream, namespace, cache }: ForwardParts): void {
  const lock = raw(Lock.methods.lock);
  table.unary(lock, async (bytes, call) => {
    const request = v3lockpb.decodeLockRequest(bytes);
    const { name } = request;
    if (!namespace.whole) request.name = namespace.key(name);
    const asked = namespace.whole ? bytes : v3lockpb.encodeLockRequest(request);
    try {
      const answer = await upstream.forward(lock, asked, 'write', call);
      if (namespace.whole) return answer;
      const response = v3lockpb.decodeLockResponse(answer);
      response.key = namespace.stripped(response.key);
      return v3lockpb.encodeLockResponse(response);
    } finally {
      invalidateBelow(cache, name);
    }
  });
  const unlock = raw(Lock.methods.unlock);
  table.unary(unlock, async (bytes, call) => {
    const request = v3lockpb.decodeUnlockRequest(bytes);
    const { key } = request;
    if (!namespace.whole) request.key = namespace.key(key);
    const asked = namespace.whole ? bytes : v3lockpb.encodeUnlockRequest(request);
    try {
      return await upstream.forward(unlock, asked, 'write', call);
    } finally {
      invalidateBelow(cache, key);
    }
  });
}

function registerElection(table: MethodTable, parts: ForwardParts): void {
  const { upstream, namespace, cache } = parts;
  const { campaign, leader, observe, proclaim, resign } = Election.methods;
  table.unary(raw(campaign), async (bytes, call) => {
    const request = v3electionpb.decodeCampaignRequest(bytes);
    const { name } = request;
    if (!namespace.whole) request.name = namespace.key(name);
    const asked = namespace.whole ? bytes : v3electionpb.encodeCampaignRequest(request);
    try {
      const answer = await upstream.forward(raw(campaign), asked, 'write', call);
      if (namespace.whole) return answer;
      const response = v3electionpb.decodeCampaignResponse(answer);
      namespace.stripLeader(response.leader);
      return v3electionpb.encodeCampaignResponse(response);
    } finally {
      invalidateBelow(cache, name);
    }
  });
  const held = async (
    method: AnyMethod,
    request: { leader: v3electionpb.LeaderKey | undefined },
    asked: () => Buffer,
    call: CallContext,
  ): Promise<Buffer> => {
    const name = request.leader?.name;
    if (!namespace.whole) namespace.addToLeader(request.leader);
    try {
      return await upstream.forward(raw(method), asked(), 'write', call);
    } finally {
      if (name !== undefined) invalidateBelow(cache, name);
    }
  };
  table.unary(raw(proclaim), (bytes, call) => {
    const request = v3electionpb.decodeProclaimRequest(bytes);
    return held(proclaim, request, () => v3electionpb.encodeProclaimRequest(request), call);
  });
  table.unary(raw(resign), (bytes, call) => {
    const request = v3electionpb.decodeResignRequest(bytes);
    return held(resign, request, () => v3electionpb.encodeResignRequest(request), call);
  });
  const ofName = (bytes: Buffer): Buffer => {
    if (namespace.whole) return bytes;
    const request = v3electionpb.decodeLeaderRequest(bytes);
    request.name = namespace.key(request.name);
    return v3electionpb.encodeLeaderRequest(request);
  };
  const stripped = (bytes: Buffer): Buffer => {
    if (namespace.whole) return bytes;
    const response = v3electionpb.decodeLeaderResponse(bytes);
    namespace.stripKv(response.kv);
    return v3electionpb.encodeLeaderResponse(response);
  };
  table.unary(raw(leader), async (bytes, call) =>
    stripped(await upstream.forward(raw(leader), ofName(bytes), 'read', call)),
  );
  table.serverStream(raw(observe), async (bytes, stream) => {
    const answers = await upstream.forwardStream(raw(observe), ofName(bytes), stream.call);
    for await (const answer of answers) if (!stream.writeEncoded(stripped(answer))) await stream.ready();
  });
}
