/**
 * Between a history's plain requests and answers and the messages on the wire. It only translates: nothing is sent here, and
 * nothing is judged. Values are written as they are; what a load sends should be short.
 */
import { authpb, etcdserverpb as pb, mvccpb, services } from '@keelson/proto';
import type { MethodDescriptor } from '@keelson/rpc';
import type {
  Compare,
  DeleteRequest,
  KeyValue,
  Permission,
  PutRequest,
  RangeRequest,
  Request,
  Response,
  TxnOp,
  TxnOpResponse,
  TxnRequest,
  WatchEvent,
} from '@keelson/sim';

/** What the translation must be told of the cluster. */
export interface Names {
  /** @throws Error when there is no member of that name */
  idOf(member: string): bigint;
  nameOf(id: bigint): string | undefined;
  peerUrlOf(member: string): string;
  passwordOf(user: string): string;
}

/** A request ready to be sent, and what turns its answer into the history's. */
export interface Translated<Req = never, Res = never> {
  readonly method: MethodDescriptor<Req, Res>;
  readonly message: Req;
  readonly answer: (message: Res) => Response;
}

const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'latin1');
const text = (buffer: Buffer): string => buffer.toString('latin1');
const hex = (id: bigint): string => BigInt.asUintN(64, id).toString(16);
const leaseOf = (id: string | undefined): bigint => BigInt.asIntN(64, BigInt(`0x${id ?? '0'}`));

const SORT_TARGETS = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;
const SORT_ORDERS = { ascend: 1, descend: 2 } as const;
const COMPARE_TARGETS = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const;
const COMPARE_RESULTS = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const;
const PERMISSIONS = { read: 0, write: 1, readwrite: 2 } as const;
const ALARM_ACTIONS = { get: 0, activate: 1, deactivate: 2 } as const;
const ALARMS: readonly string[] = ['NONE', 'NOSPACE', 'CORRUPT'];

/** @throws Error for kinds that are streams: a keep-alive, a snapshot */
export function translate(request: Request, names: Names): Translated {
  return translated(request, names) as Translated;
}

function of<Req, Res extends { readonly header?: pb.ResponseHeader | undefined }>(
  method: MethodDescriptor<Req, Res>,
  message: Req,
  answer: (message: Res) => Response,
): Translated<Req, Res> {
  return {
    method,
    message,
    answer: (response) => ({ ...headerOf(response.header), ...answer(response) }),
  };
}

function headerOf(header: pb.ResponseHeader | undefined): { revision?: number; term?: number } {
  if (header === undefined) return {};
  const term = header.raftTerm;
  return { ...(header.revision === 0 ? {} : { revision: header.revision }), ...(term === 0 ? {} : { term }) };
}

// One row a request: splitting the table would hide that it is one.
// eslint-disable-next-line complexity
function translated(request: Request, names: Names): unknown {
  const { KV, Lease, Maintenance, Cluster, Auth } = services;
  const { kind } = request;
  const plain = { kind } as Response;
  switch (request.kind) {
    case 'range':
      return of(KV.methods.range, rangeMessage(request), (r) => opResponse(request, { responseRange: r }));
    case 'put':
      return of(KV.methods.put, putMessage(request), (r) => opResponse(request, { responsePut: r }));
    case 'delete':
      return of(KV.methods.deleteRange, deleteMessage(request), (r) =>
        opResponse(request, { responseDeleteRange: r }),
      );
    case 'txn':
      return of(KV.methods.txn, txnMessage(request), (r) => opResponse(request, { responseTxn: r }));
    case 'compact': {
      const { revision, physical = false } = request;
      return of(KV.methods.compact, new pb.CompactionRequest({ revision, physical }), () => plain);
    }
    case 'leaseGrant': {
      const message = new pb.LeaseGrantRequest({ TTL: request.ttl, ID: leaseOf(request.id) });
      return of(Lease.methods.leaseGrant, message, ({ ID, TTL }) => ({
        kind: 'leaseGrant',
        id: hex(ID),
        ttl: TTL,
      }));
    }
    case 'leaseRevoke':
      return of(
        Lease.methods.leaseRevoke,
        new pb.LeaseRevokeRequest({ ID: leaseOf(request.id) }),
        () => plain,
      );
    case 'leaseTimeToLive': {
      const message = new pb.LeaseTimeToLiveRequest({ ID: leaseOf(request.id), keys: request.keys ?? false });
      return of(Lease.methods.leaseTimeToLive, message, ({ TTL, grantedTTL, keys }) => ({
        kind: 'leaseTimeToLive',
        ttl: TTL,
        ...(grantedTTL === 0 ? {} : { grantedTtl: grantedTTL }),
        ...(keys.length === 0 ? {} : { keys: keys.map(text) }),
      }));
    }
    case 'leaseLeases':
      return of(Lease.methods.leaseLeases, new pb.LeaseLeasesRequest(), ({ leases }) => ({
        kind: 'leaseLeases',
        ids: leases.map(({ ID }) => hex(ID)),
      }));
    case 'hashKv': {
      const message = new pb.HashKVRequest({ revision: request.revision ?? 0 });
      return of(Maintenance.methods.hashKV, message, (r) => ({
        kind: 'hashKv',
        hash: r.hash,
        compactRevision: r.compactRevision,
        // 3.4 does not say of which revision it is.
        hashRevision: r.hashRevision || request.revision || (r.header?.revision ?? 0),
      }));
    }
    case 'status':
      return of(Maintenance.methods.status, new pb.StatusRequest(), (r) => {
        const leader = names.nameOf(r.leader);
        return {
          kind: 'status',
          raftIndex: r.raftIndex,
          appliedIndex: r.raftAppliedIndex,
          ...(leader === undefined ? {} : { leader }),
        };
      });
    case 'defragment':
      return of(Maintenance.methods.defragment, new pb.DefragmentRequest(), () => plain);
    case 'moveLeader': {
      const message = new pb.MoveLeaderRequest({ targetID: names.idOf(request.to) });
      return of(Maintenance.methods.moveLeader, message, () => plain);
    }
    case 'alarm': {
      const alarm = ALARMS.indexOf(request.alarm ?? 'NONE');
      const message = new pb.AlarmRequest({ action: ALARM_ACTIONS[request.action], alarm });
      return of(Maintenance.methods.alarm, message, ({ alarms }) => ({
        kind: 'alarm',
        names: alarms.map((a) => `${names.nameOf(a.memberID) ?? hex(a.memberID)}:${ALARMS[a.alarm]}`),
      }));
    }
    case 'memberAdd': {
      const peerURLs = [names.peerUrlOf(request.member)];
      const message = new pb.MemberAddRequest({ peerURLs, isLearner: request.learner ?? false });
      return of(Cluster.methods.memberAdd, message, () => plain);
    }
    case 'memberRemove': {
      const message = new pb.MemberRemoveRequest({ ID: names.idOf(request.member) });
      return of(Cluster.methods.memberRemove, message, () => plain);
    }
    case 'memberPromote': {
      const message = new pb.MemberPromoteRequest({ ID: names.idOf(request.member) });
      return of(Cluster.methods.memberPromote, message, () => plain);
    }
    case 'memberUpdate': {
      const peerURLs = [names.peerUrlOf(request.member)];
      const message = new pb.MemberUpdateRequest({ ID: names.idOf(request.member), peerURLs });
      return of(Cluster.methods.memberUpdate, message, () => plain);
    }
    case 'memberList':
      return of(Cluster.methods.memberList, new pb.MemberListRequest({ linearizable: true }), (r) => ({
        kind: 'memberList',
        names: r.members.map(({ name }) => name),
      }));
    case 'authEnable':
      return of(Auth.methods.authEnable, new pb.AuthEnableRequest(), () => plain);
    case 'authDisable':
      return of(Auth.methods.authDisable, new pb.AuthDisableRequest(), () => plain);
    case 'userAdd': {
      const message = new pb.AuthUserAddRequest({
        name: request.user,
        password: names.passwordOf(request.user),
      });
      return of(Auth.methods.userAdd, message, () => plain);
    }
    case 'userDelete':
      return of(Auth.methods.userDelete, new pb.AuthUserDeleteRequest({ name: request.user }), () => plain);
    case 'userGrantRole': {
      const message = new pb.AuthUserGrantRoleRequest({ user: request.user, role: request.role });
      return of(Auth.methods.userGrantRole, message, () => plain);
    }
    case 'userRevokeRole': {
      const message = new pb.AuthUserRevokeRoleRequest({ name: request.user, role: request.role });
      return of(Auth.methods.userRevokeRole, message, () => plain);
    }
    case 'roleAdd':
      return of(Auth.methods.roleAdd, new pb.AuthRoleAddRequest({ name: request.role }), () => plain);
    case 'roleDelete':
      return of(Auth.methods.roleDelete, new pb.AuthRoleDeleteRequest({ role: request.role }), () => plain);
    case 'roleGrantPermission': {
      const message = new pb.AuthRoleGrantPermissionRequest({
        name: request.role,
        perm: permissionMessage(request),
      });
      return of(Auth.methods.roleGrantPermission, message, () => plain);
    }
    case 'roleRevokePermission': {
      const message = new pb.AuthRoleRevokePermissionRequest({
        role: request.role,
        key: bytes(request.key),
        rangeEnd: bytes(request.end),
      });
      return of(Auth.methods.roleRevokePermission, message, () => plain);
    }
    default:
      throw new Error(`a load does not ask for ${kind} in this way`);
  }
}

export function keepAliveMessage(id: string): pb.LeaseKeepAliveRequest {
  return new pb.LeaseKeepAliveRequest({ ID: leaseOf(id) });
}

export function keepAliveAnswer(message: pb.LeaseKeepAliveResponse): Response {
  return {
    kind: 'leaseKeepAlive',
    ...headerOf(message.header),
    ...(message.TTL > 0 ? { ttl: message.TTL } : {}),
  };
}

function permissionMessage({ permission, key, end }: Permission): authpb.Permission {
  return new authpb.Permission({ permType: PERMISSIONS[permission], key: bytes(key), rangeEnd: bytes(end) });
}

function rangeMessage(request: RangeRequest): pb.RangeRequest {
  return new pb.RangeRequest({
    key: bytes(request.key),
    rangeEnd: bytes(request.end),
    revision: request.revision ?? 0,
    limit: request.limit ?? 0,
    sortOrder: request.order === undefined ? 0 : SORT_ORDERS[request.order],
    sortTarget: SORT_TARGETS[request.target ?? 'key'],
    serializable: request.serializable ?? false,
    keysOnly: request.keysOnly ?? false,
    countOnly: request.countOnly ?? false,
    minModRevision: request.minMod ?? 0,
    maxModRevision: request.maxMod ?? 0,
    minCreateRevision: request.minCreate ?? 0,
    maxCreateRevision: request.maxCreate ?? 0,
  });
}

function putMessage(request: PutRequest): pb.PutRequest {
  return new pb.PutRequest({
    key: bytes(request.key),
    value: bytes(request.value),
    lease: leaseOf(request.lease),
    prevKv: request.prevKv ?? false,
    ignoreValue: request.ignoreValue ?? false,
    ignoreLease: request.ignoreLease ?? false,
  });
}

function deleteMessage(request: DeleteRequest): pb.DeleteRangeRequest {
  return new pb.DeleteRangeRequest({
    key: bytes(request.key),
    rangeEnd: bytes(request.end),
    prevKv: request.prevKv ?? false,
  });
}

function txnMessage(request: TxnRequest): pb.TxnRequest {
  return new pb.TxnRequest({
    compare: (request.compare ?? []).map(compareMessage),
    success: (request.then ?? []).map(opMessage),
    failure: (request.else ?? []).map(opMessage),
  });
}

function opMessage(op: TxnOp): pb.RequestOp {
  if (op.kind === 'range') return new pb.RequestOp({ requestRange: rangeMessage(op) });
  if (op.kind === 'put') return new pb.RequestOp({ requestPut: putMessage(op) });
  if (op.kind === 'delete') return new pb.RequestOp({ requestDeleteRange: deleteMessage(op) });
  return new pb.RequestOp({ requestTxn: txnMessage(op) });
}

function compareMessage({ key, end, target, result, operand }: Compare): pb.Compare {
  const asked =
    target === 'value'
      ? { value: bytes(String(operand)) }
      : target === 'lease'
        ? { lease: leaseOf(String(operand)) }
        : target === 'version'
          ? { version: Number(operand) }
          : target === 'create'
            ? { createRevision: Number(operand) }
            : { modRevision: Number(operand) };
  return new pb.Compare({
    key: bytes(key),
    rangeEnd: bytes(end),
    target: COMPARE_TARGETS[target],
    result: COMPARE_RESULTS[result],
    ...asked,
  });
}

function opResponse(op: TxnOp, response: Partial<pb.ResponseOp>): TxnOpResponse {
  if (op.kind === 'range') {
    const { kvs = [], count = 0, more = false } = response.responseRange ?? {};
    return {
      kind: 'range',
      ...(kvs.length === 0 ? {} : { kvs: kvs.map(keyValue) }),
      ...(count === 0 ? {} : { count }),
      ...(more ? { more } : {}),
    };
  }
  if (op.kind === 'put') {
    const prev = response.responsePut?.prevKv;
    return { kind: 'put', ...(prev === undefined ? {} : { prev: keyValue(prev) }) };
  }
  if (op.kind === 'delete') {
    const { deleted = 0, prevKvs = [] } = response.responseDeleteRange ?? {};
    return {
      kind: 'delete',
      ...(deleted === 0 ? {} : { deleted }),
      ...(prevKvs.length === 0 ? {} : { prevs: prevKvs.map(keyValue) }),
    };
  }
  const { succeeded = false, responses = [] } = response.responseTxn ?? {};
  const branch = (succeeded ? op.then : op.else) ?? [];
  return {
    kind: 'txn',
    ...(succeeded ? { succeeded } : {}),
    ...(responses.length === 0 ? {} : { responses: responses.map((r, i) => opResponse(branch[i], r)) }),
  };
}

export function keyValue(kv: mvccpb.KeyValue): KeyValue {
  return {
    key: text(kv.key),
    value: text(kv.value),
    create: kv.createRevision,
    mod: kv.modRevision,
    version: kv.version,
    ...(kv.lease === 0n ? {} : { lease: hex(kv.lease) }),
  };
}

export function watchEvent(event: mvccpb.Event): WatchEvent {
  return {
    kind: event.type === mvccpb.EventType.DELETE ? 'delete' : 'put',
    kv: keyValue(event.kv ?? new mvccpb.KeyValue()),
    ...(event.prevKv === undefined ? {} : { prev: keyValue(event.prevKv) }),
  };
}
