/**
 * Requests of a history as calls, and the wire's answers as a history keeps them. Data only: who asks whom, and when, is not
 * known here. It serves the simulation (test/sim) and the tests of real processes (tests/harness) alike, etcd's too.
 */
import { keyFromBytes } from '@keelson/base';
import { authpb, etcdserverpb, services } from '@keelson/proto';
import type { MethodDescriptor } from '@keelson/rpc';
import type { Request, Response } from '@keelson/sim';
import {
  bytes,
  deleteRequest,
  deleteResponse,
  leaseId,
  leaseName,
  putRequest,
  putResponse,
  rangeRequest,
  rangeResponse,
  txnRequest,
  txnResponse,
} from './values.ts';

const { KV, Lease, Maintenance, Cluster, Auth } = services;
const { AlarmAction } = etcdserverpb;

/** By their numbers. */
const ALARMS: readonly string[] = ['NONE', 'NOSPACE', 'CORRUPT'];

/** A call: what is asked, and what becomes of its answer. */
export interface WireCall {
  readonly method: MethodDescriptor<unknown, unknown>;
  readonly message: unknown;
  readonly read: (answer: unknown) => Response;
}

type Headed = { readonly header: etcdserverpb.ResponseHeader | undefined };
type Fields = { readonly revision?: number; readonly term?: number };

function headOf({ header }: Headed): Fields {
  if (header === undefined) return {};
  const { revision, raftTerm } = header;
  return { ...(revision !== 0 && { revision }), ...(raftTerm !== 0 && { term: raftTerm }) };
}

function call<Req, Res>(
  method: MethodDescriptor<Req, Res>,
  message: Req,
  read: (answer: Res) => Response,
): WireCall {
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- the three belong together here and are kept together
  return { method, message, read } as unknown as WireCall;
}

function plain<Req, Res extends Headed>(
  method: MethodDescriptor<Req, Res>,
  message: Req,
  kind: Exclude<Response['kind'], 'leaseGrant' | 'leaseTimeToLive' | 'leaseLeases' | 'hashKv'>,
  names?: (answer: Res) => readonly string[],
): WireCall {
  return call(method, message, (answer) => {
    const listed = names?.(answer);
    return { kind, ...headOf(answer), ...(listed !== undefined && { names: listed }) } as Response;
  });
}

/** What the translation must be told of the cluster. */
export interface Names {
  /** A member's id by the name it has in the history. @throws Error when there is no member of that name */
  idOf(member: string): bigint;
  nameOf(id: bigint): string | undefined;
  peerUrlOf(member: string): string;
  passwordOf(user: string): string;
}

/** What is a stream on the wire (keepalives) is not here. @throws Error for those */
export function wireCall(request: Request, names: Names): WireCall {
  switch (request.kind) {
    case 'range':
      return call(KV.methods.range, rangeRequest(request), (answer) => ({
        ...headOf(answer),
        ...rangeResponse(answer),
      }));
    case 'put':
      return call(KV.methods.put, putRequest(request), (answer) => ({
        ...headOf(answer),
        ...putResponse(answer),
      }));
    case 'delete':
      return call(KV.methods.deleteRange, deleteRequest(request), (answer) => ({
        ...headOf(answer),
        ...deleteResponse(answer),
      }));
    case 'txn':
      return call(KV.methods.txn, txnRequest(request), (answer) => ({
        ...headOf(answer),
        ...txnResponse(answer),
      }));
    case 'compact':
      return plain(
        KV.methods.compact,
        new etcdserverpb.CompactionRequest({
          revision: request.revision,
          physical: request.physical ?? false,
        }),
        'compact',
      );
    case 'leaseGrant':
      return call(
        Lease.methods.leaseGrant,
        new etcdserverpb.LeaseGrantRequest({ TTL: request.ttl, ID: leaseId(request.id) }),
        (answer) => ({
          kind: 'leaseGrant',
          ...headOf(answer),
          id: leaseName(answer.ID),
          ttl: answer.TTL,
        }),
      );
    case 'leaseRevoke':
      return plain(
        Lease.methods.leaseRevoke,
        new etcdserverpb.LeaseRevokeRequest({ ID: leaseId(request.id) }),
        'leaseRevoke',
      );
    case 'leaseTimeToLive':
      return call(
        Lease.methods.leaseTimeToLive,
        new etcdserverpb.LeaseTimeToLiveRequest({ ID: leaseId(request.id), keys: request.keys ?? false }),
        (answer) => ({
          kind: 'leaseTimeToLive',
          ...headOf(answer),
          ttl: answer.TTL,
          ...(answer.grantedTTL !== 0 && { grantedTtl: answer.grantedTTL }),
          ...(answer.keys.length > 0 && { keys: answer.keys.map(keyFromBytes) }),
        }),
      );
    case 'leaseLeases':
      return call(Lease.methods.leaseLeases, new etcdserverpb.LeaseLeasesRequest(), (answer) => ({
        kind: 'leaseLeases',
        ...headOf(answer),
        ids: answer.leases.map(({ ID }) => leaseName(ID)),
      }));
    case 'hashKv':
      return call(
        Maintenance.methods.hashKV,
        new etcdserverpb.HashKVRequest({ revision: request.revision ?? 0 }),
        (answer) => ({
          kind: 'hashKv',
          ...headOf(answer),
          hash: answer.hash,
          compactRevision: answer.compactRevision,
          // 3.4 does not say of which revision it is.
          hashRevision: answer.hashRevision || request.revision || (answer.header?.revision ?? 0),
        }),
      );
    case 'status':
      return call(Maintenance.methods.status, new etcdserverpb.StatusRequest(), (answer) => ({
        kind: 'status',
        ...headOf(answer),
        raftIndex: answer.raftIndex,
        appliedIndex: answer.raftAppliedIndex,
        ...leaderOf(answer.leader === 0n ? undefined : names.nameOf(answer.leader)),
      }));
    case 'defragment':
      return plain(Maintenance.methods.defragment, new etcdserverpb.DefragmentRequest(), 'defragment');
    case 'moveLeader':
      return plain(
        Maintenance.methods.moveLeader,
        new etcdserverpb.MoveLeaderRequest({ targetID: names.idOf(request.to) }),
        'moveLeader',
      );
    case 'alarm': {
      const action =
        request.action === 'get'
          ? AlarmAction.GET
          : request.action === 'activate'
            ? AlarmAction.ACTIVATE
            : AlarmAction.DEACTIVATE;
      const alarm = ALARMS.indexOf(request.alarm ?? 'NONE');
      return plain(
        Maintenance.methods.alarm,
        new etcdserverpb.AlarmRequest({
          action,
          alarm,
          ...(request.member !== undefined && { memberID: names.idOf(request.member) }),
        }),
        'alarm',
        ({ alarms }) =>
          alarms.map(
            (each) => `${names.nameOf(each.memberID) ?? leaseName(each.memberID)}:${ALARMS[each.alarm]}`,
          ),
      );
    }
    case 'memberAdd':
      return plain(
        Cluster.methods.memberAdd,
        new etcdserverpb.MemberAddRequest({
          peerURLs: [names.peerUrlOf(request.member)],
          isLearner: request.learner ?? false,
        }),
        'memberAdd',
        ({ members }) => members.map(({ peerURLs }) => peerURLs.join()),
      );
    case 'memberRemove':
      return plain(
        Cluster.methods.memberRemove,
        new etcdserverpb.MemberRemoveRequest({ ID: names.idOf(request.member) }),
        'memberRemove',
      );
    case 'memberPromote':
      return plain(
        Cluster.methods.memberPromote,
        new etcdserverpb.MemberPromoteRequest({ ID: names.idOf(request.member) }),
        'memberPromote',
      );
    case 'memberUpdate':
      return plain(
        Cluster.methods.memberUpdate,
        new etcdserverpb.MemberUpdateRequest({
          ID: names.idOf(request.member),
          peerURLs: [names.peerUrlOf(request.member)],
        }),
        'memberUpdate',
      );
    case 'memberList':
      return plain(
        Cluster.methods.memberList,
        new etcdserverpb.MemberListRequest({ linearizable: true }),
        'memberList',
        ({ members }) => members.map(({ ID, name }) => names.nameOf(ID) ?? name),
      );
    default:
      return authCall(request, names);
  }
}

function authCall(request: Request, names: Names): WireCall {
  const { methods } = Auth;
  switch (request.kind) {
    case 'authEnable':
      return plain(methods.authEnable, new etcdserverpb.AuthEnableRequest(), request.kind);
    case 'authDisable':
      return plain(methods.authDisable, new etcdserverpb.AuthDisableRequest(), request.kind);
    case 'authStatus':
      return plain(methods.authStatus, new etcdserverpb.AuthStatusRequest(), request.kind);
    case 'userAdd':
      return plain(
        methods.userAdd,
        new etcdserverpb.AuthUserAddRequest({
          name: request.user,
          password: names.passwordOf(request.user),
        }),
        request.kind,
      );
    case 'userGet':
      return plain(
        methods.userGet,
        new etcdserverpb.AuthUserGetRequest({ name: request.user }),
        request.kind,
        ({ roles }) => roles,
      );
    case 'userList':
      return plain(
        methods.userList,
        new etcdserverpb.AuthUserListRequest(),
        request.kind,
        ({ users }) => users,
      );
    case 'userDelete':
      return plain(
        methods.userDelete,
        new etcdserverpb.AuthUserDeleteRequest({ name: request.user }),
        request.kind,
      );
    case 'userChangePassword':
      return plain(
        methods.userChangePassword,
        new etcdserverpb.AuthUserChangePasswordRequest({
          name: request.user,
          password: names.passwordOf(request.user),
        }),
        request.kind,
      );
    case 'userGrantRole':
      return plain(
        methods.userGrantRole,
        new etcdserverpb.AuthUserGrantRoleRequest({ user: request.user, role: request.role }),
        request.kind,
      );
    case 'userRevokeRole':
      return plain(
        methods.userRevokeRole,
        new etcdserverpb.AuthUserRevokeRoleRequest({ name: request.user, role: request.role }),
        request.kind,
      );
    case 'roleAdd':
      return plain(
        methods.roleAdd,
        new etcdserverpb.AuthRoleAddRequest({ name: request.role }),
        request.kind,
      );
    case 'roleGet':
      return plain(
        methods.roleGet,
        new etcdserverpb.AuthRoleGetRequest({ role: request.role }),
        request.kind,
      );
    case 'roleList':
      return plain(
        methods.roleList,
        new etcdserverpb.AuthRoleListRequest(),
        request.kind,
        ({ roles }) => roles,
      );
    case 'roleDelete':
      return plain(
        methods.roleDelete,
        new etcdserverpb.AuthRoleDeleteRequest({ role: request.role }),
        request.kind,
      );
    case 'roleGrantPermission': {
      const { READ, WRITE, READWRITE } = authpb.PermissionType;
      const permType =
        request.permission === 'read' ? READ : request.permission === 'write' ? WRITE : READWRITE;
      return plain(
        methods.roleGrantPermission,
        new etcdserverpb.AuthRoleGrantPermissionRequest({
          name: request.role,
          perm: new authpb.Permission({ permType, key: bytes(request.key), rangeEnd: bytes(request.end) }),
        }),
        request.kind,
      );
    }
    case 'roleRevokePermission':
      return plain(
        methods.roleRevokePermission,
        new etcdserverpb.AuthRoleRevokePermissionRequest({
          role: request.role,
          key: bytes(request.key),
          rangeEnd: bytes(request.end),
        }),
        request.kind,
      );
    default:
      throw new Error(`${request.kind} is no call`);
  }
}

function leaderOf(leader: string | undefined): { readonly leader?: string } {
  return leader === undefined ? {} : { leader };
}

export function keepAliveRequest(id: string): etcdserverpb.LeaseKeepAliveRequest {
  return new etcdserverpb.LeaseKeepAliveRequest({ ID: leaseId(id) });
}

export function keepAliveResponse(answer: etcdserverpb.LeaseKeepAliveResponse): Response {
  return { kind: 'leaseKeepAlive', ...headOf(answer), ...(answer.TTL > 0 && { ttl: answer.TTL }) };
}
