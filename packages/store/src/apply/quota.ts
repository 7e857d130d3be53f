/**
 * What a command takes of the backend's quota, as etcd reckons it (storage/quota.go): an estimate, made
 * before anything is written. Deletes cost nothing, since they are the way out. Unlike etcd's it counts the
 * puts of nested transactions too.
 */
import type { etcdserverpb } from '@keelson/proto';
import { QUOTA_LEASE_BYTES, QUOTA_PUT_OVERHEAD_BYTES } from '../limits.ts';

/** Whether there is room. It may differ between members: it decides about answers and alarms, never effects. */
export interface SpaceGauge {
  /** Whether the backend has room for `costBytes` more; notes that they come. */
  admits(costBytes: number): boolean;
}

export const NO_QUOTA: SpaceGauge = { admits: () => true };

/** Of a put of so many bytes. */
export function lonePutCost(keyLength: number, valueLength: number): number {
  return QUOTA_PUT_OVERHEAD_BYTES + keyLength + valueLength;
}

export function putCost({ key, value }: etcdserverpb.PutRequest): number {
  return lonePutCost(key.length, value.length);
}

export function leaseCost(): number {
  return QUOTA_LEASE_BYTES;
}

/** Of the dearer branch; 0 when no path puts anything. */
export function txnCost(request: etcdserverpb.TxnRequest): number {
  return Math.max(branchCost(request.success), branchCost(request.failure));
}

function branchCost(ops: readonly etcdserverpb.RequestOp[]): number {
  let cost = 0;
  for (const op of ops) {
    if (op.requestPut !== undefined) cost += putCost(op.requestPut);
    else if (op.requestTxn !== undefined) cost += txnCost(op.requestTxn);
  }
  return cost;
}
