/** The Maintenance service of this stage: Status, alarms, and the hash of what is stored. */
import { etcdserverpb, services } from '@keelson/proto';
import type { MethodTable } from '@keelson/rpc';
import { AlarmType, type Alarm } from '../alarm/alarms.ts';
import { CommandKind } from '../apply/command.ts';
import { ETCD_VERSION } from '../config/version.ts';
import type { Replica } from '../consensus/replica.ts';
import { messageOf, StoreError } from '../errors.ts';
import { STORAGE_VERSION } from '../snapshot/state-image.ts';
import { answer, header } from './header.ts';
import { withBytes } from './services.ts';
import { toRpcError } from './status.ts';

export function registerMaintenance(table: MethodTable, replica: Replica, quotaBytes: number): void {
  const { Maintenance } = services;

  table.unary(Maintenance.methods.status, async () => {
    const sizeBytes = await replica.state.sizeBytes();
    const self = replica.state.membership.get(replica.memberId);
    return new etcdserverpb.StatusResponse({
      header: header(replica),
      version: ETCD_VERSION,
      dbSize: sizeBytes,
      dbSizeInUse: sizeBytes,
      leader: replica.leaderId,
      raftIndex: replica.commitIndex,
      raftTerm: replica.term,
      raftAppliedIndex: replica.appliedIndex,
      errors: statusErrors(replica),
      isLearner: self?.isLearner ?? false,
      storageVersion: STORAGE_VERSION,
      dbSizeQuota: quotaBytes,
      downgradeInfo: new etcdserverpb.DowngradeInfo(),
    });
  });

  table.unary(withBytes(Maintenance.methods.alarm), async ({ bytes }) => {
    try {
      const result = await replica.propose(CommandKind.Alarm, bytes);
      return answer(replica, result, etcdserverpb.AlarmResponse);
    } catch (error) {
      throw toRpcError(error);
    }
  });

  table.unary(Maintenance.methods.hashKV, async (request) => {
    try {
      const hash = await replica.state.mvcc.hashKV(request.revision);
      if (hash === 'COMPACTED') throw new StoreError('COMPACTED');
      if (hash === 'FUTURE') throw new StoreError('FUTURE_REVISION');
      return new etcdserverpb.HashKVResponse({
        header: header(replica),
        hash: hash.hash,
        compactRevision: hash.compactRevision,
        hashRevision: hash.hashRevision,
      });
    } catch (error) {
      throw toRpcError(error);
    }
  });
}

function statusErrors(replica: Replica): string[] {
  const errors = replica.leaderId === 0n ? [messageOf('NO_LEADER')] : [];
  for (const alarm of replica.state.alarms.list(AlarmType.None)) errors.push(alarmText(alarm));
  return errors;
}

/** Go's text of an AlarmMember message. */
function alarmText(alarm: Alarm): string {
  return `memberID:${alarm.memberId} alarm:${alarm.type === AlarmType.NoSpace ? 'NOSPACE' : 'CORRUPT'}`;
}
