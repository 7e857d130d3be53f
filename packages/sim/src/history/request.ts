/**
 * What clients ask and are answered, as a history keeps it: etcd's requests in plain data that survives JSON. Not the
 * wire's messages: this package knows nothing of proto, and real etcd's histories have the same form. What has
 * its default (0, false, empty, none) is left out, in memory and in a file. Nothing here computes.
 *
 * Keys and values are latin1 strings (one code unit a byte), leases and members what their names say. A long value may be
 * written by `recordedValue`, then everywhere.
 */

/** A lease's id in hex, as etcdctl prints it; '0' and undefined: no lease. */
export type LeaseId = string;

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly lease?: LeaseId;
}

export type SortTarget = 'key' | 'version' | 'create' | 'mod' | 'value';

export interface RangeRequest {
  readonly kind: 'range';
  readonly key: string;
  /** As on the wire: undefined or '': the key alone; '\0': from the key on; else the first key beyond. */
  readonly end?: string;
  /** Undefined or 0: the newest. */
  readonly revision?: number;
  readonly limit?: number;
  readonly order?: 'ascend' | 'descend';
  readonly target?: SortTarget;
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minMod?: number;
  readonly maxMod?: number;
  readonly minCreate?: number;
  readonly maxCreate?: number;
}

export interface PutRequest {
  readonly kind: 'put';
  readonly key: string;
  readonly value: string;
  readonly lease?: LeaseId;
  readonly prevKv?: boolean;
  readonly ignoreValue?: boolean;
  readonly ignoreLease?: boolean;
}

export interface DeleteRequest {
  readonly kind: 'delete';
  readonly key: string;
  readonly end?: string;
  readonly prevKv?: boolean;
}

export interface Compare {
  readonly key: string;
  readonly end?: string;
  readonly target: 'version' | 'create' | 'mod' | 'value' | 'lease';
  readonly result: 'equal' | 'greater' | 'less' | 'notEqual';
  /** A number for version, create and mod; the value; the lease's id. */
  readonly operand: number | string;
}

export interface TxnRequest {
  readonly kind: 'txn';
  readonly compare?: readonly Compare[];
  readonly then?: readonly TxnOp[];
  readonly else?: readonly TxnOp[];
}

export type TxnOp = RangeRequest | PutRequest | DeleteRequest | TxnRequest;

/** What needs no model of keys: leases, upkeep, members, users and roles. */
export type OtherRequest =
  | { readonly kind: 'compact'; readonly revision: number; readonly physical?: boolean }
  /** `id` undefined or '0': the server chooses. Seconds. */
  | { readonly kind: 'leaseGrant'; readonly ttl: number; readonly id?: LeaseId }
  | { readonly kind: 'leaseRevoke'; readonly id: LeaseId }
  | { readonly kind: 'leaseKeepAlive'; readonly id: LeaseId }
  | { readonly kind: 'leaseTimeToLive'; readonly id: LeaseId; readonly keys?: boolean }
  | { readonly kind: 'leaseLeases' }
  | { readonly kind: 'hashKv'; readonly revision?: number }
  | { readonly kind: 'status' }
  | { readonly kind: 'defragment' }
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'moveLeader'; readonly to: string }
  | {
      readonly kind: 'alarm';
      readonly action: 'get' | 'activate' | 'deactivate';
      readonly alarm?: string;
      /** Whose; undefined: of all that is listed, of nobody that is disarmed. */
      readonly member?: string;
    }
  /** Members by the names the recorder gives them, as in `Operation.member`. */
  | { readonly kind: 'memberAdd'; readonly member: string; readonly learner?: boolean }
  | { readonly kind: 'memberRemove'; readonly member: string }
  | { readonly kind: 'memberPromote'; readonly member: string }
  | { readonly kind: 'memberUpdate'; readonly member: string }
  | { readonly kind: 'memberList' }
  | { readonly kind: 'authEnable' }
  | { readonly kind: 'authDisable' }
  | { readonly kind: 'authStatus' }
  | { readonly kind: 'authenticate'; readonly user: string }
  | { readonly kind: 'userAdd'; readonly user: string }
  | { readonly kind: 'userGet'; readonly user: string }
  | { readonly kind: 'userList' }
  | { readonly kind: 'userDelete'; readonly user: string }
  | { readonly kind: 'userChangePassword'; readonly user: string }
  | { readonly kind: 'userGrantRole'; readonly user: string; readonly role: string }
  | { readonly kind: 'userRevokeRole'; readonly user: string; readonly role: string }
  | { readonly kind: 'roleAdd'; readonly role: string }
  | { readonly kind: 'roleGet'; readonly role: string }
  | { readonly kind: 'roleList' }
  | { readonly kind: 'roleDelete'; readonly role: string }
  | ({ readonly kind: 'roleGrantPermission'; readonly role: string } & Permission)
  | {
      readonly kind: 'roleRevokePermission';
      readonly role: string;
      readonly key: string;
      readonly end?: string;
    };

export interface Permission {
  readonly permission: 'read' | 'write' | 'readwrite';
  readonly key: string;
  readonly end?: string;
}

export type Request = TxnOp | OtherRequest;

/** Inside a txn's response `revision` is left out. */
export interface Header {
  /** Of the response's header; undefined or 0: it had none. */
  readonly revision?: number;
  readonly term?: number;
}

export interface RangeResponse extends Header {
  readonly kind: 'range';
  readonly kvs?: readonly KeyValue[];
  readonly count?: number;
  readonly more?: boolean;
}

export interface PutResponse extends Header {
  readonly kind: 'put';
  readonly prev?: KeyValue;
}

export interface DeleteResponse extends Header {
  readonly kind: 'delete';
  readonly deleted?: number;
  readonly prevs?: readonly KeyValue[];
}

export interface TxnResponse extends Header {
  readonly kind: 'txn';
  readonly succeeded?: boolean;
  readonly responses?: readonly TxnOpResponse[];
}

export type TxnOpResponse = RangeResponse | PutResponse | DeleteResponse | TxnResponse;

export interface LeaseGrantResponse extends Header {
  readonly kind: 'leaseGrant';
  readonly id: LeaseId;
  /** Seconds, as granted. */
  readonly ttl: number;
}

export interface LeaseKeepAliveResponse extends Header {
  readonly kind: 'leaseKeepAlive';
  /** 0: there is no such lease. */
  readonly ttl?: number;
}

export interface LeaseTimeToLiveResponse extends Header {
  readonly kind: 'leaseTimeToLive';
  /** Seconds left; -1: there is no such lease. */
  readonly ttl: number;
  readonly grantedTtl?: number;
  readonly keys?: readonly string[];
}

export interface LeaseLeasesResponse extends Header {
  readonly kind: 'leaseLeases';
  readonly ids: readonly LeaseId[];
}

export interface HashKvResponse extends Header {
  readonly kind: 'hashKv';
  readonly hash: number;
  /** -1: never compacted. */
  readonly compactRevision: number;
  readonly hashRevision: number;
}

export interface StatusResponse extends Header {
  readonly kind: 'status';
  readonly raftIndex?: number;
  readonly appliedIndex?: number;
  /** By the recorder's name; undefined: none. */
  readonly leader?: string;
}

/** Of everything whose answer says nothing more than that it was done. */
export interface PlainResponse extends Header {
  readonly kind: Exclude<
    OtherRequest['kind'],
    'leaseGrant' | 'leaseKeepAlive' | 'leaseTimeToLive' | 'leaseLeases' | 'hashKv' | 'status'
  >;
  /** Names or words the answer listed: users, roles, members, alarms. */
  readonly names?: readonly string[];
}

export type Response =
  | TxnOpResponse
  | LeaseGrantResponse
  | LeaseKeepAliveResponse
  | LeaseTimeToLiveResponse
  | LeaseLeasesResponse
  | HashKvResponse
  | StatusResponse
  | PlainResponse;
