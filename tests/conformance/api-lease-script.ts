/** Leases, members and maintenance at the level of the API. */
import { etcdserverpb as pb } from '@keelson/proto';
import { RpcError, StatusCode, type MethodDescriptor } from '@keelson/rpc';
import { CLUSTER, LEASE, MAINTENANCE, putting, ranges, step, type ApiStep, type Scene } from './api-call.ts';

const grant = (name: string, request: (s: Scene) => Partial<pb.LeaseGrantRequest>): ApiStep =>
  step(name, (s) => s.api.call(LEASE.leaseGrant, new pb.LeaseGrantRequest(request(s))));
const revoke = (name: string, id: (s: Scene) => bigint): ApiStep =>
  step(name, (s) => s.api.call(LEASE.leaseRevoke, new pb.LeaseRevokeRequest({ ID: id(s) })));

/** Attached keys come in no order, and the seconds left are a matter of time. */
const timeToLive = (name: string, id: (s: Scene) => bigint): ApiStep =>
  step(name, async (s) => {
    const request = new pb.LeaseTimeToLiveRequest({ ID: id(s), keys: true });
    const response = await s.api.call(LEASE.leaseTimeToLive, request);
    response.keys.sort((a, b) => a.compare(b));
    if (response.TTL > 500) response.TTL = 500;
    return response;
  });

/** Before everything: the leases that other steps attach keys to. */
export const LEASE_SETUP: readonly ApiStep[] = [
  grant('lease: grant', (s) => ({ ID: s.lease(1), TTL: 600 })),
  grant('lease: grant again', (s) => ({ ID: s.lease(1), TTL: 600 })),
];

export const LEASE_STEPS: readonly ApiStep[] = [
  grant('lease: grant zero seconds', (s) => ({ ID: s.lease(2), TTL: 0 })),
  grant('lease: grant negative seconds', (s) => ({ ID: s.lease(3), TTL: -4 })),
  grant('lease: grant too long', (s) => ({ ID: s.lease(4), TTL: 9_000_000_001 })),
  grant('lease: grant as long as can be', (s) => ({ ID: s.lease(5), TTL: 9_000_000_000 })),
  step('lease: one the server names', async (s) => {
    const response = await s.api.call(LEASE.leaseGrant, new pb.LeaseGrantRequest({ TTL: 600 }));
    await s.api.call(LEASE.leaseRevoke, new pb.LeaseRevokeRequest({ ID: response.ID }));
    return { positive: response.ID > 0n, TTL: response.TTL, error: response.error };
  }),
  timeToLive('lease: time to live', (s) => s.lease(1)),
  timeToLive('lease: time to live of an unknown one', () => 99n),
  step('lease: those of this pass', async (s) => {
    const { leases } = await s.api.call(LEASE.leaseLeases, new pb.LeaseLeasesRequest());
    const ours = [1, 2, 3, 4, 5].filter((n) => leases.some(({ ID }) => ID === s.lease(n)));
    // The two short ones may have expired meanwhile.
    return { ours: ours.filter((n) => n !== 2 && n !== 3) };
  }),
  step('lease: keep-alives on one stream', async (s) => {
    const stream = s.api.channel.bidi(LEASE.leaseKeepAlive);
    const asked = [s.lease(1), 77n, s.lease(5), s.lease(1)];
    for (const ID of asked) stream.write(new pb.LeaseKeepAliveRequest({ ID }));
    const responses: pb.LeaseKeepAliveResponse[] = [];
    for await (const response of stream) {
      responses.push(response);
      if (responses.length === asked.length) break;
    }
    return { responses };
  }),
  putting('lease: attach', (s) => ({ key: `${s.p}lease/2`, value: 'x', lease: s.lease(5) })),
  putting('lease: attach another', (s) => ({ key: `${s.p}lease/1`, value: 'y', lease: s.lease(5) })),
  ranges('lease: the keys', (s) => ({ key: `${s.p}lease/`, rangeEnd: `${s.p}lease0` })),
  timeToLive('lease: its keys', (s) => s.lease(5)),
  putting('lease: detach by a put', (s) => ({ key: `${s.p}lease/2`, value: 'z' })),
  putting('lease: keep it by ignoring', (s) => ({ key: `${s.p}lease/1`, ignoreLease: true, value: 'w' })),
  timeToLive('lease: its keys now', (s) => s.lease(5)),
  revoke('lease: revoke', (s) => s.lease(5)),
  revoke('lease: revoke again', (s) => s.lease(5)),
  revoke('lease: revoke nothing', () => 0n),
  revoke('lease: revoke the first', (s) => s.lease(1)),
  ranges('lease: what is left', (s) => ({ key: s.p, rangeEnd: `${s.p}\xff` })),
];

/** A method that no service has, with any bytes. */
const nameless = (path: string): MethodDescriptor<Buffer, Buffer> => ({
  path,
  kind: 'unary',
  request: { encode: (message) => message, decode: (bytes) => bytes },
  response: { encode: (message) => message, decode: (bytes) => bytes },
});

export const CLUSTER_STEPS: readonly ApiStep[] = [
  step('cluster: members', async (s) => {
    const response = await s.api.call(CLUSTER.memberList, new pb.MemberListRequest());
    // Each side has its own order, names and addresses; etcdctl's test compares those.
    return {
      revision: response.header?.revision,
      members: response.members.map((member) => [
        member.isLearner,
        member.peerURLs.length,
        member.clientURLs.length,
      ]),
    };
  }),
  step('maintenance: status', (s) => s.api.call(MAINTENANCE.status, new pb.StatusRequest())),
  step('maintenance: no alarms', (s) => s.api.call(MAINTENANCE.alarm, new pb.AlarmRequest())),
  step('maintenance: hash of a future revision', (s) =>
    s.api.call(MAINTENANCE.hashKV, new pb.HashKVRequest({ revision: s.rev(5) })),
  ),
  step('maintenance: hash of a compacted revision', (s) =>
    s.api.call(MAINTENANCE.hashKV, new pb.HashKVRequest({ revision: 1 })),
  ),
  step('an unknown method', (s) => s.api.call(nameless('/etcdserverpb.KV/Frobnicate'), Buffer.alloc(0))),
  step('an unknown service', (s) => s.api.call(nameless('/etcdserverpb.Nothing/Range'), Buffer.alloc(0))),
  step('bytes that are no message', async (s) => {
    try {
      return await s.api.call(nameless('/etcdserverpb.KV/Range'), Buffer.from([0x0a, 0x7f, 0x01]));
    } catch (error) {
      // The text after the code is the decoder's own.
      if (error instanceof RpcError && error.code === StatusCode.Internal) return { code: 'Internal' };
      throw error;
    }
  }),
];
