/**
 * What happens around every call: metadata etcd acts on, what took long. It answers for
 * nothing a handler does.
 */
import { RpcError, StatusCode, type CallContext, type CallHooks } from '@keelson/rpc';
import { toError, type Logger } from '@keelson/base';
import { services } from '@keelson/proto';
import type { Replica } from '../consensus/replica.ts';
import { StoreError } from '../errors.ts';
import { requiresLeader } from './require-leader.ts';

/** What a learner answers; of ranges only the serializable ones, which the handler knows. */
const FOR_LEARNERS: ReadonlySet<string> = new Set([
  services.Maintenance.methods.status.path,
  services.Maintenance.methods.snapshot.path,
  services.Backup.methods.shipLog.path,
  services.KV.methods.range.path,
]);

export function callHooks(replica: Replica, logger: Logger, slowMs: number): CallHooks {
  return {
    before(call: CallContext): void {
      if (replica.isLearner && !FOR_LEARNERS.has(call.path))
        throw new StoreError('NOT_SUPPORTED_FOR_LEARNER');
      if (requiresLeader(call) && replica.leaderId === 0n) throw new StoreError('NO_LEADER');
    },
    after(call, outcome) {
      const unary = outcome.receivedCount <= 1 && outcome.sentCount <= 1;
      if (unary && outcome.durationMs > slowMs && outcome.code === StatusCode.OK)
        logger.warn('request stats', {
          'start-method': call.path,
          'time-spent': `${outcome.durationMs.toFixed(1)}ms`,
          remote: call.peer,
          'request-size': outcome.receivedBytes,
          'response-size': outcome.sentBytes,
        });
    },
    unexpected(call, error) {
      if (error instanceof RpcError) return;
      logger.warn('handler failed', { method: call.path, error: toError(error).stack });
    },
  };
}
