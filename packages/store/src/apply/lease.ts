/** Lease commands: the lessor keeps the promise, mvcc loses the keys of a revoked one. */
import { etcdserverpb } from '@keelson/proto';
import type { Lessor } from '../lease/lessor.ts';
import type { KvContext, Writer } from './kv.ts';

export interface LeaseContext extends KvContext {
  readonly lessor: Lessor;
  write<T>(change: (writer: Writer) => T): T;
}

/** The id was drawn before the proposal; here it is only checked. */
export function grantLease(
  context: LeaseContext,
  request: etcdserverpb.LeaseGrantRequest,
): etcdserverpb.LeaseGrantResponse {
  const lease = context.lessor.grant(request.ID, request.TTL);
  return new etcdserverpb.LeaseGrantResponse({ ID: lease.id, TTL: lease.ttlSeconds });
}

/** Deletes the lease's keys in key order, all in one revision; no keys, no revision. */
export function revokeLease(
  context: LeaseContext,
  request: etcdserverpb.LeaseRevokeRequest,
): etcdserverpb.LeaseRevokeResponse {
  const keys = context.lessor.revoke(request.ID);
  if (keys.length > 0)
    context.write((writer) => {
      for (const key of keys) writer.deleteRange(key, '', false);
    });
  return new etcdserverpb.LeaseRevokeResponse();
}

/** The leader's word on how long leases still have; only there do deadlines move. */
export function checkpointLeases(
  context: LeaseContext,
  request: etcdserverpb.LeaseCheckpointRequest,
): etcdserverpb.LeaseCheckpointResponse {
  for (const checkpoint of request.checkpoints)
    context.lessor.checkpoint(checkpoint.ID, checkpoint.remainingTTL);
  return new etcdserverpb.LeaseCheckpointResponse();
}
