/**
 * Requests of a history as the wire's messages, and the wire's answers as a history keeps them. Data only: who asks whom,
 * and when, is not known here.
 */
import { asBuffer, EMPTY, keyFromBytes, keyToBytes } from '@keelson/base';
import { authpb, etcdserverpb, services, type mvccpb } from '@keelson/proto';
import type { MethodDescriptor } from '@keelson/rpc';
import type {
  Compare,
  DeleteRequest,
  DeleteResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  Request,
  Response,
  TxnOp,
  TxnOpResponse,
  TxnRequest,
  TxnResponse,
  WatchEvent,
} from '@keelson/sim';

const { KV, Lease, Maintenance, Cluster, Auth } = services;
const { SortOrder, SortTarget, CompareResult, CompareTarget, AlarmAction, AlarmType } = etcdserverpb;

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

export interface Names {
  /** A member's id by the name it has in the history. */
  readonly idOf: (member: string) => bigint;
  readonly urlOf: (member: string) => string;
  readonly nameOf: (id: bigint) => string;
  readonly passwordOf: (user: string) => string;
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
          id: answer.ID.toString(16),
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
        ids: answer.leases.map(({ ID }) => ID.toString(16)),
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
          hashRevision: answer.hashRevision,
        }),
      );
    case 'status':
      return call(Maintenance.methods.status, new etcdserverpb.StatusRequest(), (answer) => ({
        kind: 'status',
        ...headOf(answer),
        raftIndex: answer.raftIndex,
        appliedIndex: answer.raftAppliedIndex,
        ...(answer.leader !== 0n && { leader: names.nameOf(answer.leader) }),
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
      const alarm = request.alarm === 'NOSPACE' ? AlarmType.NOSPACE : AlarmType.NONE;
      return plain(
        Maintenance.methods.alarm,
        new etcdserverpb.AlarmRequest({ action, alarm }),
        'alarm',
        ({ alarms }) => alarms.map((each) => `${names.nameOf(each.memberID)} ${each.alarm}`),
      );
    }
    case 'memberAdd':
      return plain(
        Cluster.methods.memberAdd,
        new etcdserverpb.MemberAddRequest({
          peerURLs: [names.urlOf(request.member)],
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
          peerURLs: [names.urlOf(request.member)],
        }),
        'memberUpdate',
      );
    case 'memberList':
      return plain(
        Cluster.methods.memberList,
        new etcdserverpb.MemberListRequest({ linearizable: true }),
        'memberList',
        ({ members }) => members.map(({ ID }) => names.nameOf(ID)),
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

export function bytes(text: string | undefined): Buffer {
  return text === undefined || text === '' ? EMPTY : keyToBytes(text);
}

export function leaseId(id: string | undefined): bigint {
  return id === undefined ? 0n : BigInt(`0x${id}`);
}

const TARGETS = {
  key: SortTarget.KEY,
  version: SortTarget.VERSION,
  create: SortTarget.CREATE,
  mod: SortTarget.MOD,
  value: SortTarget.VALUE,
} as const;

function rangeRequest(request: RangeRequest): etcdserverpb.RangeRequest {
  return new etcdserverpb.RangeRequest({
    key: bytes(request.key),
    rangeEnd: bytes(request.end),
    limit: request.limit ?? 0,
    revision: request.revision ?? 0,
    sortOrder:
      request.order === undefined
        ? SortOrder.NONE
        : request.order === 'ascend'
          ? SortOrder.ASCEND
          : SortOrder.DESCEND,
    sortTarget: TARGETS[request.target ?? 'key'],
    serializable: request.serializable ?? false,
    keysOnly: request.keysOnly ?? false,
    countOnly: request.countOnly ?? false,
    minModRevision: request.minMod ?? 0,
    maxModRevision: request.maxMod ?? 0,
    minCreateRevision: request.minCreate ?? 0,
    maxCreateRevision: request.maxCreate ?? 0,
  });
}

function putRequest(request: PutRequest): etcdserverpb.PutRequest {
  return new etcdserverpb.PutRequest({
    key: bytes(request.key),
    value: request.ignoreValue === true ? EMPTY : bytes(request.value),
    lease: leaseId(request.lease),
    prevKv: request.prevKv ?? false,
    ignoreValue: request.ignoreValue ?? false,
    ignoreLease: request.ignoreLease ?? false,
  });
}

function deleteRequest(request: DeleteRequest): etcdserverpb.DeleteRangeRequest {
  return new etcdserverpb.DeleteRangeRequest({
    key: bytes(request.key),
    rangeEnd: bytes(request.end),
    prevKv: request.prevKv ?? false,
  });
}

const RESULTS = {
  equal: CompareResult.EQUAL,
  greater: CompareResult.GREATER,
  less: CompareResult.LESS,
  notEqual: CompareResult.NOT_EQUAL,
} as const;

function compareOf({ key, end, target, result, operand }: Compare): etcdserverpb.Compare {
  const text = String(operand);
  const count = Number(operand);
  return new etcdserverpb.Compare({
    key: bytes(key),
    rangeEnd: bytes(end),
    result: RESULTS[result],
    ...(target === 'version'
      ? { target: CompareTarget.VERSION, version: count }
      : target === 'create'
        ? { target: CompareTarget.CREATE, createRevision: count }
        : target === 'mod'
          ? { target: CompareTarget.MOD, modRevision: count }
          : target === 'value'
            ? { target: CompareTarget.VALUE, value: bytes(text) }
            : { target: CompareTarget.LEASE, lease: leaseId(text) }),
  });
}

function opOf(op: TxnOp): etcdserverpb.RequestOp {
  switch (op.kind) {
    case 'range':
      return new etcdserverpb.RequestOp({ requestRange: rangeRequest(op) });
    case 'put':
      return new etcdserverpb.RequestOp({ requestPut: putRequest(op) });
    case 'delete':
      return new etcdserverpb.RequestOp({ requestDeleteRange: deleteRequest(op) });
    case 'txn':
      return new etcdserverpb.RequestOp({ requestTxn: txnRequest(op) });
  }
}

function txnRequest(request: TxnRequest): etcdserverpb.TxnRequest {
  return new etcdserverpb.TxnRequest({
    compare: (request.compare ?? []).map(compareOf),
    success: (request.then ?? []).map(opOf),
    failure: (request.else ?? []).map(opOf),
  });
}

function rangeResponse(answer: etcdserverpb.RangeResponse): RangeResponse {
  return {
    kind: 'range',
    ...(answer.kvs.length > 0 && { kvs: answer.kvs.map(kvOf) }),
    ...(answer.count !== 0 && { count: answer.count }),
    ...(answer.more && { more: true }),
  };
}

function putResponse(answer: etcdserverpb.PutResponse): PutResponse {
  return { kind: 'put', ...(answer.prevKv !== undefined && { prev: kvOf(answer.prevKv) }) };
}

function deleteResponse(answer: etcdserverpb.DeleteRangeResponse): DeleteResponse {
  return {
    kind: 'delete',
    ...(answer.deleted !== 0 && { deleted: answer.deleted }),
    ...(answer.prevKvs.length > 0 && { prevs: answer.prevKvs.map(kvOf) }),
  };
}

function txnResponse(answer: etcdserverpb.TxnResponse): TxnResponse {
  return {
    kind: 'txn',
    ...(answer.succeeded && { succeeded: true }),
    ...(answer.responses.length > 0 && { responses: answer.responses.map(opResponse) }),
  };
}

function opResponse(op: etcdserverpb.ResponseOp): TxnOpResponse {
  if (op.responseRange !== undefined) return rangeResponse(op.responseRange);
  if (op.responsePut !== undefined) return putResponse(op.responsePut);
  if (op.responseDeleteRange !== undefined) return deleteResponse(op.responseDeleteRange);
  if (op.responseTxn !== undefined) return txnResponse(op.responseTxn);
  throw new Error('a response of a txn that is none');
}

function kvOf(kv: mvccpb.KeyValue): KeyValue {
  return {
    key: keyFromBytes(kv.key),
    value: keyFromBytes(asBuffer(kv.value)),
    create: kv.createRevision,
    mod: kv.modRevision,
    version: kv.version,
    ...(kv.lease !== 0n && { lease: kv.lease.toString(16) }),
  };
}

export function eventOf(event: mvccpb.Event): WatchEvent {
  if (event.kv === undefined) throw new Error('an event without its key');
  return {
    kind: event.type === 0 ? 'put' : 'delete',
    kv: kvOf(event.kv),
    ...(event.prevKv !== undefined && { prev: kvOf(event.prevKv) }),
  };
}
