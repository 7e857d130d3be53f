/**
 * Range, Put and DeleteRange on the state: protobuf requests in, protobuf responses out, key names joined
 * with leases. Checks come apart from effects, so that a transaction can check all before it does any.
 */
import { keyFromBytes } from '@keelson/base';
import { etcdserverpb, mvccpb } from '@keelson/proto';
import { StoreError } from '../errors.ts';
import type { Lessor } from '../lease/lessor.ts';
import { answerRange } from '../mvcc/range-options.ts';
import type { RangeOptions, RangeResult } from '../mvcc/store.ts';
import type { DeleteResult } from '../mvcc/write-txn.ts';

/** State to read: the store at its current revision, or a write transaction that sees its own writes. */
export interface Reader {
  readonly currentRevision: number;
  /** Last compacted revision, -1 when never compacted; it can still be read itself. */
  readonly compactRevision: number;
  range(key: string, end: string, options: RangeOptions): RangeResult | 'COMPACTED' | 'FUTURE';
}

/** One write transaction: everything in it shares one main revision. */
export interface Writer extends Reader {
  put(key: string, value: Buffer, leaseId: bigint): void;
  deleteRange(key: string, end: string, wantPrevious: boolean): DeleteResult;
}

export interface KvContext {
  readonly lessor: Lessor;
}

/** @throws StoreError COMPACTED, FUTURE_REVISION */
export function range(source: Reader, request: etcdserverpb.RangeRequest): etcdserverpb.RangeResponse {
  const answer = answerRange(source, request);
  if (answer === 'COMPACTED') throw new StoreError('COMPACTED');
  if (answer === 'FUTURE') throw new StoreError('FUTURE_REVISION');
  return new etcdserverpb.RangeResponse({ kvs: answer.kvs, more: answer.more, count: answer.count });
}

function current(source: Reader, key: string): mvccpb.KeyValue | undefined {
  const found = source.range(key, '', {});
  return typeof found === 'string' ? undefined : found.kvs[0];
}

/** @throws StoreError KEY_NOT_FOUND, LEASE_NOT_FOUND; nothing has been changed */
export function checkPut(context: KvContext, source: Reader, request: etcdserverpb.PutRequest): void {
  if (
    (request.ignoreValue || request.ignoreLease) &&
    current(source, keyFromBytes(request.key)) === undefined
  )
    throw new StoreError('KEY_NOT_FOUND');
  if (request.lease !== 0n && context.lessor.lookup(request.lease) === undefined)
    throw new StoreError('LEASE_NOT_FOUND');
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
    const previous = current(writer, key);
    if (request.prevKv) response.prevKv = previous;
    if (request.ignoreValue && previous !== undefined) value = previous.value;
    if (request.ignoreLease && previous !== undefined) lease = previous.lease;
  }
  writer.put(key, value, lease);
  context.lessor.attach(key, lease);
  return response;
}

/** Deletes a range; deleting nothing makes no revision. */
export function deleteRange(
  context: KvContext,
  writer: Writer,
  request: etcdserverpb.DeleteRangeRequest,
): etcdserverpb.DeleteRangeResponse {
  const result = writer.deleteRange(
    keyFromBytes(request.key),
    keyFromBytes(request.rangeEnd),
    request.prevKv,
  );
  for (const key of result.keys) context.lessor.detach(key);
  return new etcdserverpb.DeleteRangeResponse({ deleted: result.keys.length, prevKvs: [...result.previous] });
}
