/**
 * Who may call what: every method of every service has its row, and one without does not compile. The rows are those of
 * etcd 3.7.1, whose advisories of 2026 were methods that had been forgotten, and that of our own service for backups.
 * What a row means is done in access.ts; it counts only while auth is on.
 */
import { services, type AnyMethod } from '@keelson/proto';

export type Policy =
  /** Nobody is asked who they are. */
  | 'open'
  /** A token is not needed, but if there is one it must be good. */
  | 'token'
  /** Anyone we know, asked before the handler. */
  | 'user'
  /** The role root, asked before the handler. */
  | 'root'
  /** The request tells which of the two, before the handler: an alarm is read by anyone, raised by root. */
  | 'request'
  /** The handler asks for what the request would read, on the state that it reads, once that is up to date. */
  | 'read'
  /** The command carries its caller and is decided where it is applied (apply/applier.ts). */
  | 'applied'
  /** A stream: each message is asked about by itself. */
  | 'message'
  /** Made of other methods, each called in the caller's name. */
  | 'composed';

type Services = typeof services;
type PolicyTable = {
  readonly [S in keyof Services]: { readonly [M in keyof Services[S]['methods']]: Policy };
};

export const POLICIES = {
  KV: {
    range: 'read',
    rangeStream: 'read',
    put: 'applied',
    deleteRange: 'applied',
    txn: 'applied',
    compact: 'root',
  },
  Watch: { watch: 'message' },
  Lease: {
    leaseGrant: 'user',
    leaseRevoke: 'applied',
    leaseKeepAlive: 'message',
    leaseTimeToLive: 'read',
    leaseLeases: 'read',
  },
  Cluster: {
    memberAdd: 'root',
    memberRemove: 'root',
    memberUpdate: 'root',
    memberList: 'user',
    memberPromote: 'root',
  },
  Maintenance: {
    alarm: 'request',
    status: 'user',
    defragment: 'root',
    hash: 'root',
    hashKV: 'root',
    snapshot: 'root',
    moveLeader: 'root',
    downgrade: 'root',
  },
  Auth: {
    authEnable: 'applied',
    authDisable: 'applied',
    authStatus: 'token',
    authenticate: 'open',
    userAdd: 'applied',
    userGet: 'read',
    userList: 'read',
    userDelete: 'applied',
    userChangePassword: 'applied',
    userGrantRole: 'applied',
    userRevokeRole: 'applied',
    roleAdd: 'applied',
    roleGet: 'read',
    roleList: 'read',
    roleDelete: 'applied',
    roleGrantPermission: 'applied',
    roleRevokePermission: 'applied',
  },
  Lock: { lock: 'composed', unlock: 'composed' },
  Election: {
    campaign: 'composed',
    proclaim: 'composed',
    leader: 'composed',
    observe: 'composed',
    resign: 'composed',
  },
  Health: { check: 'open', watch: 'open' },
  Backup: { shipLog: 'root' },
} as const satisfies PolicyTable;

const BY_PATH: ReadonlyMap<string, Policy> = new Map(
  Object.entries(services).flatMap(([service, { methods }]) => {
    const rows: Readonly<Record<string, Policy>> = {
      ...Object.entries(POLICIES).find(([name]) => name === service)?.[1],
    };
    return Object.entries<AnyMethod>(methods).map(([name, { path }]): [string, Policy] => [path, rows[name]]);
  }),
);

/** Undefined for a path that no service has. */
export function policyOf(path: string): Policy | undefined {
  return BY_PATH.get(path);
}
