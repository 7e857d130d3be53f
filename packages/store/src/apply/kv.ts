/**
 * Range, Put and DeleteRange on the state: protobuf requests in, protobuf responses out, key names joined
 * with leases. Checks come apart from effects, so that a transaction can check all before it does any.
 */
import { keyFromBytes } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import { StoreError } from '../errors.ts';
import { NO_LEASE, type Lessor } from '../lease/lessor.ts';
import type { KeyValue } from '../mvcc/key-value.ts';
import { selectRange, storeOptions } from '../mvcc/range-options.ts';
import type { RangeOptions, RangeResult, RevisionError } from '../mvcc/state.ts';
import type { DeleteResult } from '../mvcc/write-txn.ts';

/** State to read: the store at its current revision, or a write transaction that sees its own writes. */
export interface Reader {
  readonly currentRevision: number;
  /** Last compacted revision, -1 when never compacted; it can still be read itself. */
  readonly compactRevision: number;
  range(key: string, end: string, options: RangeOptions): RangeResult | RevisionError;
  /** The newest version of one key. */
  get(key: string): KeyValue | undefined;
}

/** One write transaction: everything in it shares one main revision. */
export interface Writer extends Reader {
  put(key: string, value: Buffer, leaseId: bigint, from?: number, to?: number): KeyValue;
  deleteRange(key: string, end: string, wantPrevious: boolean): DeleteResult;
}

export interface KvContext {
  readonly lessor: Lessor;
}

/** @throws StoreError COMPACTED, FUTURE_REVISION */
export function range(source: Reader, request: etcdserverpb.RangeRequest): etcdserverpb.RangeResponse {
  const key = keyFromBytes(request.key);
  const found = source.range(key, keyFromBytes(request.rangeEnd), storeOptions(request));
  if (found === 'COMPACTED') throw new StoreError('COMPACTED');
  if (found === 'FUTURE') throw new StoreError('FUTURE_REVISION');
  const { kvs, more, count } = selectRange(found, request);
  return new etcdserverpb.RangeResponse({ kvs, more, count });
}

/** A put inside a transaction. @throws StoreError KEY_NOT_FOUND, LEASE_NOT_FOUND; nothing has been changed */
export function checkPut(context: KvContext, source: Reader, request: etcdserverpb.PutRequest): void {
  if ((request.ignoreValue || request.ignoreLease) && source.get(keyFromBytes(request.key)) === undefined)
    throw new StoreError('KEY_NOT_FOUND');
  checkLease(context, request);
}

/** A put of its own: etcd asks for the lease first there, and last in a transaction. @throws as checkPut */
export function checkLonePut(context: KvContext, source: Reader, request: etcdserverpb.PutRequest): void {
  checkLease(context, request);
  checkPut(context, source, request);
}

/** @throws StoreError LEASE_NOT_FOUND */
export function checkLease({ lessor }: KvContext, { lease }: { readonly lease: bigint }): void {
  if (lease !== 0n && lessor.lookup(lease) === undefined) throw new StoreError('LEASE_NOT_FOUND');
}

/** Puts a key that checkPut has passed. */
export function put(
  context: KvContext,
  writer: Writer,
  request: etcdserverpb.PutRequest,
): etcdserverpb.PutResponse {
  const key = keyFromBytes(request.key);
  let value = request.value;
  let lease = request.lease;
  const response = new etcdserverpb.PutResponse();
  if (request.prevKv || request.ignoreValue || request.ignoreLease) {
    const previous = writer.get(key);
    if (request.prevKv) response.prevKv = previous;
    if (request.ignoreValue && previous !== undefined) value = previous.value;
    if (request.ignoreLease && previous !== undefined) lease = previous.lease;
  }
  store(context, writer, key, value, lease);
  return response;
}

/** The effect of every put, of value[from, to). */
export function store(
  { lessor }: KvContext,
  writer: Writer,
  key: string,
  value: Buffer,
  lease: bigint,
  from = 0,
  to: number = value.length,
): void {
  writer.put(key, value, lease, from, to);
  // A lease kept by ignore_lease may be gone where the data came from elsewhere; then it only stays a number.
  lessor.attach(key, lease === NO_LEASE || lessor.lookup(lease) === undefined ? NO_LEASE : lease);
}

/** Deletes a range; deleting nothing makes no revision. */
export function deleteRange(
  context: KvContext,
  writer: Writer,
  request: etcdserverpb.DeleteRangeRequest,
): etcdserverpb.DeleteRangeResponse {
  const key = keyFromBytes(request.key);
  const result = writer.deleteRange(key, keyFromBytes(request.rangeEnd), request.prevKv);
  for (const deleted of result.keys) context.lessor.detach(deleted);
  return new etcdserverpb.DeleteRangeResponse({ deleted: result.keys.length, prevKvs: result.previous });
}
