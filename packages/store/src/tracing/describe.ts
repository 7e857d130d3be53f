/**
 * What etcd 3.7 calls the work behind a request, and what it tells of it: names and attributes of the spans in its
 * server/etcdserver/v3_server.go. Keys are told as text, as there; values never.
 */
import { etcdserverpb, services } from '@keelson/proto';
import type { Attribute, AttributeValue } from '@keelson/rpc';

export interface Described {
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

/** The decoded request, which some handlers get together with its bytes. */
function messageOf(request: unknown): unknown {
  return typeof request === 'object' && request !== null && 'message' in request ? request.message : request;
}

/** Undefined for a request whose work has no span of its own. */
export function describe(path: string, request: unknown): Described | undefined {
  return BY_PATH.get(path)?.(messageOf(request));
}

type Describer = (message: unknown) => Described | undefined;

function row<T>(
  method: { readonly path: string },
  type: new () => T,
  name: string,
  attributes: (message: T) => Readonly<Record<string, AttributeValue>>,
): [string, Describer] {
  return [
    method.path,
    (message) =>
      message instanceof type
        ? { name, attributes: Object.entries(attributes(message)).map(([key, value]) => ({ key, value })) }
        : undefined,
  ];
}

const { KV, Lease } = services;

const BY_PATH: ReadonlyMap<string, Describer> = new Map([
  row(KV.methods.range, etcdserverpb.RangeRequest, 'range', (request) => ({
    range_begin: request.key.toString(),
    range_end: request.rangeEnd.toString(),
    rev: request.revision,
    limit: request.limit,
    count_only: request.countOnly,
    keys_only: request.keysOnly,
  })),
  row(KV.methods.put, etcdserverpb.PutRequest, 'put', ({ key }) => ({ key: key.toString() })),
  row(KV.methods.deleteRange, etcdserverpb.DeleteRangeRequest, 'delete_range', ({ key, rangeEnd }) => ({
    range_begin: key.toString(),
    range_end: rangeEnd.toString(),
  })),
  row(KV.methods.txn, etcdserverpb.TxnRequest, 'txn', ({ compare, success, failure }) => ({
    compare_first_key: compare.find(({ key }) => key.length > 0)?.key.toString() ?? '',
    ...firstOperation(success),
    compare_len: compare.length,
    success_len: success.length,
    failure_len: failure.length,
    read_only: success.every(readsOnly) && failure.every(readsOnly),
  })),
  row(KV.methods.compact, etcdserverpb.CompactionRequest, 'compact', ({ physical, revision }) => ({
    is_physical: physical,
    rev: revision,
  })),
  row(Lease.methods.leaseGrant, etcdserverpb.LeaseGrantRequest, 'lease_grant', ({ ID, TTL }) => ({
    id: ID,
    ttl: TTL,
  })),
  row(Lease.methods.leaseKeepAlive, etcdserverpb.LeaseKeepAliveRequest, 'lease_renew', ({ ID }) => ({
    id: ID,
  })),
  row(Lease.methods.leaseRevoke, etcdserverpb.LeaseRevokeRequest, 'lease_revoke', ({ ID }) => ({ id: ID })),
]);

/** -1 stands for an operation that is no put. */
const NO_LEASE = -1;

function firstOperation(
  operations: readonly etcdserverpb.RequestOp[],
): Readonly<Record<string, AttributeValue>> {
  const { requestPut, requestRange, requestDeleteRange, requestTxn } = operations[0] ?? {};
  const keyed = requestPut ?? requestRange ?? requestDeleteRange;
  const types: readonly (readonly [unknown, string])[] = [
    [requestPut, 'put'],
    [requestRange, 'range'],
    [requestDeleteRange, 'delete_range'],
    [requestTxn, 'txn'],
  ];
  return {
    success_first_key: keyed?.key.toString() ?? '',
    success_first_type: types.find(([operation]) => operation !== undefined)?.[1] ?? '',
    success_first_lease: requestPut?.lease ?? NO_LEASE,
  };
}

function readsOnly({ requestRange, requestTxn }: etcdserverpb.RequestOp): boolean {
  if (requestTxn !== undefined) return [...requestTxn.success, ...requestTxn.failure].every(readsOnly);
  return requestRange !== undefined;
}
