/**
 * What a request asks of its caller, read off the parsed request that is executed, not its bytes or a corrected
 * copy: ranges to read, ranges to write, leases whose keys would be touched. One list for the door and for the applier,
 * so that both decide alike. It decides nothing.
 *
 * All operations of both branches of a transaction count, at every depth: which branch runs is itself told by
 * what the compares read.
 */
import { keyFromBytes } from '@keelson/base';
import type { etcdserverpb } from '@keelson/proto';

export type Need =
  | { readonly kind: 'read' | 'write'; readonly key: string; readonly end: string }
  /** Writing every key that is attached to the lease: revoking it deletes them, and a renewal keeps them. */
  | { readonly kind: 'lease'; readonly id: bigint };

function rangeNeed(
  kind: 'read' | 'write',
  request: { readonly key: Buffer; readonly rangeEnd: Buffer },
): Need {
  return { kind, key: keyFromBytes(request.key), end: keyFromBytes(request.rangeEnd) };
}

export function rangeNeeds(request: etcdserverpb.RangeRequest): Need[] {
  return [rangeNeed('read', request)];
}

/**
 * A lease is attached only by whoever could revoke it: else a key of one's own would ride on the lease of others, or
 * theirs end with one's own.
 */
export function putNeeds(request: etcdserverpb.PutRequest): Need[] {
  const key = keyFromBytes(request.key);
  const needs: Need[] = [{ kind: 'write', key, end: '' }];
  if (request.lease !== 0n) needs.push({ kind: 'lease', id: request.lease });
  if (request.prevKv) needs.push({ kind: 'read', key, end: '' });
  return needs;
}

export function deleteNeeds(request: etcdserverpb.DeleteRangeRequest): Need[] {
  const needs = [rangeNeed('write', request)];
  if (request.prevKv) needs.push(rangeNeed('read', request));
  return needs;
}

export function txnNeeds(request: etcdserverpb.TxnRequest): Need[] {
  const needs: Need[] = [];
  addTxnNeeds(request, needs);
  return needs;
}

function addTxnNeeds(request: etcdserverpb.TxnRequest, needs: Need[]): void {
  for (const compare of request.compare) needs.push(rangeNeed('read', compare));
  for (const ops of [request.success, request.failure])
    for (const op of ops) {
      if (op.requestRange !== undefined) needs.push(...rangeNeeds(op.requestRange));
      else if (op.requestPut !== undefined) needs.push(...putNeeds(op.requestPut));
      else if (op.requestDeleteRange !== undefined) needs.push(...deleteNeeds(op.requestDeleteRange));
      else if (op.requestTxn !== undefined) addTxnNeeds(op.requestTxn, needs);
    }
}

export function leaseNeeds(id: bigint): Need[] {
  return [{ kind: 'lease', id }];
}

/** To be told the keys of a lease one must be allowed to read each of them. */
export function keysNeeds(keys: Iterable<string>): Need[] {
  return [...keys].map((key) => ({ kind: 'read', key, end: '' }));
}
