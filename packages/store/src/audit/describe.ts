/**
 * What the audit log says of a request: every method of every service has its row, and one without does not compile. It
 * names keys, ranges, leases, members, users and roles, and sizes of values; never a value, a password, a hash or a
 * token. What only reads is not described.
 */
import { hexId } from '@keelson/base';
import { etcdserverpb, services, authpb, type AnyMethod } from '@keelson/proto';
import type { MethodDescriptor } from '@keelson/rpc';

/** JSON of one request; what is undefined is left out. */
export type Fields = Readonly<Record<string, unknown>>;

/** Undefined: this one only reads. */
type Describe<Req> = (request: Req) => Fields | undefined;
type RequestOf<M> = M extends MethodDescriptor<infer Req, infer _Res> ? Req : never;

type Services = typeof services;
type DescribeTable = {
  readonly [S in keyof Services]: {
    readonly [M in keyof Services[S]['methods']]:
      | 'read'
      /** Made of other methods, each of which is told by itself. */
      | 'composed'
      | Describe<RequestOf<Services[S]['methods'][M]>>;
  };
};

const named = ({ name }: { readonly name: string }): Fields => ({ name });
const nothing = (): Fields => ({});

const AUDITED: DescribeTable = {
  KV: {
    range: 'read',
    rangeStream: 'read',
    put: putFields,
    deleteRange: deleteFields,
    txn: (request) => (writes(request) ? txnFields(request) : undefined),
    compact: ({ revision, physical }) => ({ revision, physical: physical || undefined }),
  },
  Watch: { watch: 'read' },
  Lease: {
    leaseGrant: ({ ID, TTL }) => ({ lease: leaseId(ID), ttl: TTL }),
    leaseRevoke: ({ ID }) => ({ lease: leaseId(ID) }),
    // Renewals change nothing that is replicated.
    leaseKeepAlive: 'read',
    leaseTimeToLive: 'read',
    leaseLeases: 'read',
  },
  Cluster: {
    memberAdd: ({ peerURLs, isLearner }) => ({ peer_urls: peerURLs, learner: isLearner || undefined }),
    memberRemove: ({ ID }) => ({ member: hexId(ID) }),
    memberUpdate: ({ ID, peerURLs }) => ({ member: hexId(ID), peer_urls: peerURLs }),
    memberList: 'read',
    memberPromote: ({ ID }) => ({ member: hexId(ID) }),
  },
  Maintenance: {
    alarm: ({ action, memberID, alarm }) =>
      action === etcdserverpb.AlarmAction.GET
        ? undefined
        : {
            action: nameOf(etcdserverpb.AlarmAction, action),
            member: hexId(memberID),
            alarm: nameOf(etcdserverpb.AlarmType, alarm),
          },
    status: 'read',
    defragment: nothing,
    hash: 'read',
    hashKV: 'read',
    snapshot: 'read',
    moveLeader: ({ targetID }) => ({ member: hexId(targetID) }),
    downgrade: ({ action, version }) =>
      action === etcdserverpb.DowngradeAction.VALIDATE
        ? undefined
        : { action: nameOf(etcdserverpb.DowngradeAction, action), version },
  },
  Auth: {
    authEnable: nothing,
    authDisable: nothing,
    authStatus: 'read',
    authenticate: named,
    userAdd: ({ name, options }) => ({ name, no_password: options?.noPassword === true || undefined }),
    userGet: 'read',
    userList: 'read',
    userDelete: named,
    userChangePassword: named,
    userGrantRole: ({ user, role }) => ({ user, role }),
    userRevokeRole: ({ name, role }) => ({ user: name, role }),
    roleAdd: named,
    roleGet: 'read',
    roleList: 'read',
    roleDelete: ({ role }) => ({ role }),
    roleGrantPermission: ({ name, perm }) => ({
      role: name,
      ...(perm !== undefined && {
        permission: nameOf(authpb.PermissionType, perm.permType),
        ...range(perm.key, perm.rangeEnd),
      }),
    }),
    roleRevokePermission: ({ role, key, rangeEnd }) => ({ role, ...range(key, rangeEnd) }),
  },
  Lock: { lock: 'composed', unlock: 'composed' },
  Election: {
    campaign: 'composed',
    proclaim: 'composed',
    leader: 'composed',
    observe: 'composed',
    resign: 'composed',
  },
  Backup: { shipLog: 'read' },
  Health: { check: 'read', watch: 'read' },
};

const BY_PATH: ReadonlyMap<string, Describe<never>> = new Map(
  Object.entries(services).flatMap(([service, { methods }]) => {
    const rows: Readonly<Record<string, 'read' | 'composed' | Describe<never>>> = {
      ...Object.entries(AUDITED).find(([name]) => name === service)?.[1],
    };
    return Object.entries<AnyMethod>(methods).flatMap(([name, { path }]): [string, Describe<never>][] => {
      const row = rows[name];
      return typeof row === 'function' ? [[path, row]] : [];
    });
  }),
);

/** What describes the requests of a method; undefined for one that never writes by itself. */
export function describerOf(path: string): Describe<unknown> | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row of a method takes that method's requests
  return BY_PATH.get(path) as Describe<unknown> | undefined;
}

/** What an answer adds, and its revision; undefined where there is none. */
export function describeAnswer(response: unknown): { readonly revision: number; readonly result?: Fields } {
  const revision = revisionOf(response);
  if (response instanceof etcdserverpb.DeleteRangeResponse)
    return { revision, result: { deleted: response.deleted } };
  if (response instanceof etcdserverpb.TxnResponse)
    return { revision, result: { succeeded: response.succeeded } };
  if (response instanceof etcdserverpb.LeaseGrantResponse)
    return { revision, result: { lease: leaseId(response.ID), ttl: response.TTL } };
  if (response instanceof etcdserverpb.MemberAddResponse && response.member !== undefined)
    return { revision, result: { member: hexId(response.member.ID) } };
  return { revision };
}

function revisionOf(response: unknown): number {
  if (typeof response !== 'object' || response === null || !('header' in response)) return 0;
  return response.header instanceof etcdserverpb.ResponseHeader ? response.header.revision : 0;
}

function putFields(request: etcdserverpb.PutRequest): Fields {
  return {
    ...text('key', request.key),
    value_bytes: request.ignoreValue ? undefined : request.value.length,
    lease: leaseId(request.lease),
    ignore_value: request.ignoreValue || undefined,
    ignore_lease: request.ignoreLease || undefined,
  };
}

function deleteFields(request: etcdserverpb.DeleteRangeRequest): Fields {
  return range(request.key, request.rangeEnd);
}

function txnFields(request: etcdserverpb.TxnRequest): Fields {
  return {
    compare: request.compare.map((each) => ({
      ...range(each.key, each.rangeEnd),
      target: nameOf(etcdserverpb.CompareTarget, each.target),
    })),
    success: request.success.map(opFields),
    failure: request.failure.map(opFields),
  };
}

function opFields(op: etcdserverpb.RequestOp): Fields {
  if (op.requestPut !== undefined) return { put: putFields(op.requestPut) };
  if (op.requestDeleteRange !== undefined) return { delete: deleteFields(op.requestDeleteRange) };
  if (op.requestTxn !== undefined) return { txn: txnFields(op.requestTxn) };
  if (op.requestRange !== undefined) return { range: range(op.requestRange.key, op.requestRange.rangeEnd) };
  return {};
}

/** As the server decides whether a transaction goes through the log. */
function writes({ success, failure }: etcdserverpb.TxnRequest): boolean {
  const onlyReads = (op: etcdserverpb.RequestOp): boolean => op.requestRange !== undefined;
  return !(success.every(onlyReads) && failure.every(onlyReads));
}

function range(key: Buffer, end: Buffer): Fields {
  return { ...text('key', key), ...(end.length > 0 && text('range_end', end)) };
}

/** Bytes under `name` where they are text, else in base64 under another name: a line says exactly what was asked. */
function text(name: string, bytes: Buffer): Fields {
  const decoded = bytes.toString('utf8');
  return Buffer.from(decoded, 'utf8').equals(bytes)
    ? { [name]: decoded }
    : { [`${name}_base64`]: bytes.toString('base64') };
}

/** As etcdctl prints it; left out for none. */
function leaseId(id: bigint): string | undefined {
  return id === 0n ? undefined : hexId(id);
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(names).find(([, each]) => each === value)?.[0] ?? String(value);
}
