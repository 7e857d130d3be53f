/**
 * Builders of what a transaction is made of: comparisons, operations, and the whole tree of them. Plain
 * functions from what users write to the messages of the API; nothing here is sent.
 */
import { etcdserverpb } from '@keelson/proto';
import { rangeOf, toBytes, type Bytes, type KeyRange } from './bytes.ts';

const { CompareResult, CompareTarget, SortOrder, SortTarget } = etcdserverpb;

export interface GetSpec extends KeyRange {
  readonly limit?: number;
  /** The store as it was at this revision; 0 or absent: now. */
  readonly revision?: number;
  readonly sortBy?: 'key' | 'version' | 'create' | 'mod' | 'value';
  readonly order?: 'ascend' | 'descend';
  /** Answer from the member's own state: fast, possibly stale. Default: linearizable. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
}

export interface PutSpec {
  readonly lease?: bigint;
  readonly prevKv?: boolean;
  /** Keep the value, change the lease; the value given must be empty. */
  readonly ignoreValue?: boolean;
  readonly ignoreLease?: boolean;
}

export interface DeleteSpec extends KeyRange {
  readonly prevKv?: boolean;
}

/** Comparisons and the two branches; an operation may be a transaction again. */
export interface TxnSpec {
  readonly compare?: readonly etcdserverpb.Compare[];
  readonly success?: readonly etcdserverpb.RequestOp[];
  readonly failure?: readonly etcdserverpb.RequestOp[];
}

export type Relation = '=' | '!=' | '>' | '<';

const RELATIONS: Readonly<Record<Relation, number>> = {
  '=': CompareResult.EQUAL,
  '!=': CompareResult.NOT_EQUAL,
  '>': CompareResult.GREATER,
  '<': CompareResult.LESS,
};

const TARGETS: Readonly<Record<NonNullable<GetSpec['sortBy']>, number>> = {
  key: SortTarget.KEY,
  version: SortTarget.VERSION,
  create: SortTarget.CREATE,
  mod: SortTarget.MOD,
  value: SortTarget.VALUE,
};

const ORDERS: Readonly<Record<NonNullable<GetSpec['order']>, number>> = {
  ascend: SortOrder.ASCEND,
  descend: SortOrder.DESCEND,
};

type Target = Pick<
  Partial<etcdserverpb.Compare>,
  'version' | 'createRevision' | 'modRevision' | 'value' | 'lease'
>;

function comparison(
  key: Bytes,
  relation: Relation,
  target: number,
  value: Target,
  range: KeyRange | undefined,
): etcdserverpb.Compare {
  return new etcdserverpb.Compare({
    ...value,
    ...rangeOf(key, range),
    result: RELATIONS[relation],
    target,
  });
}

/**
 * Comparisons. A key that does not exist has version, revisions and lease 0, and no value: comparing its
 * value is false whatever the relation. With a range, every key in it must satisfy the comparison.
 */
export const compare = {
  value: (key: Bytes, relation: Relation, value: Bytes, range?: KeyRange): etcdserverpb.Compare =>
    comparison(key, relation, CompareTarget.VALUE, { value: toBytes(value) }, range),
  version: (key: Bytes, relation: Relation, version: number, range?: KeyRange): etcdserverpb.Compare =>
    comparison(key, relation, CompareTarget.VERSION, { version }, range),
  createRevision: (
    key: Bytes,
    relation: Relation,
    revision: number,
    range?: KeyRange,
  ): etcdserverpb.Compare =>
    comparison(key, relation, CompareTarget.CREATE, { createRevision: revision }, range),
  modRevision: (key: Bytes, relation: Relation, revision: number, range?: KeyRange): etcdserverpb.Compare =>
    comparison(key, relation, CompareTarget.MOD, { modRevision: revision }, range),
  lease: (key: Bytes, relation: Relation, lease: bigint, range?: KeyRange): etcdserverpb.Compare =>
    comparison(key, relation, CompareTarget.LEASE, { lease }, range),
  exists: (key: Bytes): etcdserverpb.Compare =>
    comparison(key, '>', CompareTarget.CREATE, { createRevision: 0 }, undefined),
  absent: (key: Bytes): etcdserverpb.Compare =>
    comparison(key, '=', CompareTarget.CREATE, { createRevision: 0 }, undefined),
};

/** Operations, for the branches of a transaction. */
export const op = {
  get: (key: Bytes, spec: GetSpec = {}): etcdserverpb.RequestOp =>
    new etcdserverpb.RequestOp({ requestRange: rangeRequest(key, spec) }),
  put: (key: Bytes, value: Bytes, spec: PutSpec = {}): etcdserverpb.RequestOp =>
    new etcdserverpb.RequestOp({ requestPut: putRequest(key, value, spec) }),
  delete: (key: Bytes, spec: DeleteSpec = {}): etcdserverpb.RequestOp =>
    new etcdserverpb.RequestOp({ requestDeleteRange: deleteRequest(key, spec) }),
  txn: (spec: TxnSpec): etcdserverpb.RequestOp =>
    new etcdserverpb.RequestOp({ requestTxn: txnRequest(spec) }),
};

export function rangeRequest(key: Bytes, spec: GetSpec): etcdserverpb.RangeRequest {
  const request = new etcdserverpb.RangeRequest(rangeOf(key, spec));
  request.limit = spec.limit ?? 0;
  request.revision = spec.revision ?? 0;
  request.sortTarget = TARGETS[spec.sortBy ?? 'key'];
  // Keys come in ascending order anyway; asking for it would make the server sort.
  if (spec.order === 'descend' || (spec.sortBy ?? 'key') !== 'key') {
    request.sortOrder = ORDERS[spec.order ?? 'ascend'];
  }
  request.serializable = spec.serializable ?? false;
  request.keysOnly = spec.keysOnly ?? false;
  request.countOnly = spec.countOnly ?? false;
  request.minModRevision = spec.minModRevision ?? 0;
  request.maxModRevision = spec.maxModRevision ?? 0;
  request.minCreateRevision = spec.minCreateRevision ?? 0;
  request.maxCreateRevision = spec.maxCreateRevision ?? 0;
  return request;
}

export function putRequest(key: Bytes, value: Bytes, spec: PutSpec): etcdserverpb.PutRequest {
  return new etcdserverpb.PutRequest({
    key: toBytes(key),
    value: toBytes(value),
    lease: spec.lease ?? 0n,
    prevKv: spec.prevKv ?? false,
    ignoreValue: spec.ignoreValue ?? false,
    ignoreLease: spec.ignoreLease ?? false,
  });
}

export function deleteRequest(key: Bytes, spec: DeleteSpec): etcdserverpb.DeleteRangeRequest {
  return new etcdserverpb.DeleteRangeRequest({ ...rangeOf(key, spec), prevKv: spec.prevKv ?? false });
}

export function txnRequest(spec: TxnSpec): etcdserverpb.TxnRequest {
  return new etcdserverpb.TxnRequest({
    compare: [...(spec.compare ?? [])],
    success: [...(spec.success ?? [])],
    failure: [...(spec.failure ?? [])],
  });
}

/** Whether any branch, at any depth, could change the store. */
export function writes(spec: TxnSpec): boolean {
  const changes = (operation: etcdserverpb.RequestOp): boolean =>
    operation.requestPut !== undefined ||
    operation.requestDeleteRange !== undefined ||
    (operation.requestTxn !== undefined && writes(operation.requestTxn));
  return (spec.success ?? []).some(changes) || (spec.failure ?? []).some(changes);
}
