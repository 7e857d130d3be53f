/**
 * Requests about keys, and what is told of keys, between a history's plain data and the messages on the wire. Data only. Both the
 * simulation's clients and those of real processes ask here, so that their histories say the same in the same way.
 */
import { asBuffer, EMPTY, keyFromBytes, keyToBytes } from '@keelson/base';
import { etcdserverpb, type mvccpb } from '@keelson/proto';
import type {
  Compare,
  DeleteRequest,
  DeleteResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnOp,
  TxnOpResponse,
  TxnRequest,
  TxnResponse,
  WatchEvent,
} from '@keelson/sim';

const { SortOrder, SortTarget, CompareResult, CompareTarget } = etcdserverpb;

export function bytes(text: string | undefined): Buffer {
  return text === undefined || text === '' ? EMPTY : keyToBytes(text);
}

/** A lease as a history names it: hexadecimal digits of 64 bits. */
export function leaseName(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}

export function leaseId(id: string | undefined): bigint {
  return id === undefined ? 0n : BigInt.asIntN(64, BigInt(`0x${id}`));
}

const TARGETS = {
  key: SortTarget.KEY,
  version: SortTarget.VERSION,
  create: SortTarget.CREATE,
  mod: SortTarget.MOD,
  value: SortTarget.VALUE,
} as const;

export function rangeRequest(request: RangeRequest): etcdserverpb.RangeRequest {
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

export function putRequest(request: PutRequest): etcdserverpb.PutRequest {
  return new etcdserverpb.PutRequest({
    key: bytes(request.key),
    value: request.ignoreValue === true ? EMPTY : bytes(request.value),
    lease: leaseId(request.lease),
    prevKv: request.prevKv ?? false,
    ignoreValue: request.ignoreValue ?? false,
    ignoreLease: request.ignoreLease ?? false,
  });
}

export function deleteRequest(request: DeleteRequest): etcdserverpb.DeleteRangeRequest {
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

export function txnRequest(request: TxnRequest): etcdserverpb.TxnRequest {
  return new etcdserverpb.TxnRequest({
    compare: (request.compare ?? []).map(compareOf),
    success: (request.then ?? []).map(opOf),
    failure: (request.else ?? []).map(opOf),
  });
}

export function rangeResponse(answer: etcdserverpb.RangeResponse): RangeResponse {
  return {
    kind: 'range',
    ...(answer.kvs.length > 0 && { kvs: answer.kvs.map(kvOf) }),
    ...(answer.count !== 0 && { count: answer.count }),
    ...(answer.more && { more: true }),
  };
}

export function putResponse(answer: etcdserverpb.PutResponse): PutResponse {
  return { kind: 'put', ...(answer.prevKv !== undefined && { prev: kvOf(answer.prevKv) }) };
}

export function deleteResponse(answer: etcdserverpb.DeleteRangeResponse): DeleteResponse {
  return {
    kind: 'delete',
    ...(answer.deleted !== 0 && { deleted: answer.deleted }),
    ...(answer.prevKvs.length > 0 && { prevs: answer.prevKvs.map(kvOf) }),
  };
}

export function txnResponse(answer: etcdserverpb.TxnResponse): TxnResponse {
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
    ...(kv.lease !== 0n && { lease: leaseName(kv.lease) }),
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
