/** The Maintenance service: status, alarms, hashes, defragmentation, snapshots, moving the leader, downgrades. */
import { createHash } from 'node:crypto';
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type MethodTable, type ServerStream } from '@keelson/rpc';
import { AlarmType, type Alarm } from '../alarm/alarms.ts';
import { CommandKind } from '../apply/command.ts';
import { ETCD_VERSION } from '../config/version.ts';
import type { Downgrades } from '../consensus/downgrades.ts';
import type { Reconfiguration } from '../consensus/reconfiguration.ts';
import type { Replica } from '../consensus/replica.ts';
import { messageOf, StoreError } from '../errors.ts';
import { hashBackend } from '../snapshot/backend-hash.ts';
import { planBbolt, writeBbolt, type Turn } from '../snapshot/bbolt-writer.ts';
import { exportBuckets, markOf, STORAGE_VERSION } from '../snapshot/state-image.ts';
import { answer, header } from './header.ts';
import type { ServingStatus } from './health.ts';
import { withBytes } from './services.ts';

/** Bytes of the database file in one message (etcd). */
const SNAPSHOT_CHUNK_BYTES = 32 * 1024;

export function registerMaintenance(
  table: MethodTable,
  replica: Replica,
  reconfiguration: Reconfiguration,
  downgrades: Downgrades,
  quotaBytes: number,
  /** Told around a defragmentation, so that clients which ask for health go elsewhere; undefined: they stay. */
  serving: ServingStatus | undefined,
  /** Between slices of a snapshot. */
  turn: Turn,
): void {
  const { Maintenance } = services;

  table.unary(Maintenance.methods.status, async () => {
    const { totalBytes, inUseBytes } = await replica.state.sizes();
    const self = replica.state.membership.get(replica.memberId);
    return new etcdserverpb.StatusResponse({
      header: header(replica),
      version: ETCD_VERSION,
      dbSize: totalBytes,
      dbSizeInUse: inUseBytes,
      leader: replica.leaderId,
      raftIndex: replica.commitIndex,
      raftTerm: replica.term,
      raftAppliedIndex: replica.appliedIndex,
      errors: statusErrors(replica),
      isLearner: self?.isLearner ?? false,
      storageVersion: storageVersionOf(replica),
      dbSizeQuota: quotaBytes,
      downgradeInfo: new etcdserverpb.DowngradeInfo(replica.state.membership.downgrade),
    });
  });

  table.unary(withBytes(Maintenance.methods.alarm), async ({ bytes }) => {
    const result = await replica.propose(CommandKind.Alarm, bytes);
    return answer(replica, result, etcdserverpb.AlarmResponse);
  });

  table.unary(Maintenance.methods.hashKV, async (request) => {
    const hash = await replica.state.mvcc.hashKV(request.revision);
    if (hash === 'COMPACTED') throw new StoreError('COMPACTED');
    if (hash === 'FUTURE') throw new StoreError('FUTURE_REVISION');
    return new etcdserverpb.HashKVResponse({
      header: header(replica),
      hash: hash.hash,
      compactRevision: hash.compactRevision,
      hashRevision: hash.hashRevision,
    });
  });

  table.unary(Maintenance.methods.hash, async () => {
    const view = await replica.state.buffer.snapshot();
    try {
      const mark = await markOf(view);
      const hash = mark === undefined ? 0 : await hashBackend(view, mark);
      return new etcdserverpb.HashResponse({ header: header(replica), hash });
    } finally {
      await view.close();
    }
  });

  // Without a header, as in etcd.
  table.unary(Maintenance.methods.defragment, async () => {
    serving?.pause();
    try {
      await replica.state.defragment();
    } finally {
      serving?.resume();
    }
    return new etcdserverpb.DefragmentResponse();
  });

  table.unary(Maintenance.methods.downgrade, async ({ action, version }) => {
    const { VALIDATE, ENABLE, CANCEL } = etcdserverpb.DowngradeAction;
    if (action === VALIDATE) return downgradeAnswer(replica, await downgrades.validate(version));
    if (action === ENABLE) return downgradeAnswer(replica, await downgrades.enable(version));
    if (action === CANCEL) return downgradeAnswer(replica, await downgrades.cancel());
    throw new StoreError('UNKNOWN_METHOD');
  });

  table.serverStream(Maintenance.methods.snapshot, (_request, stream) => sendSnapshot(replica, stream, turn));

  table.unary(Maintenance.methods.moveLeader, async (request) => {
    await reconfiguration.moveLeader(request.targetID);
    return new etcdserverpb.MoveLeaderResponse();
  });
}

function downgradeAnswer(replica: Replica, version: string): etcdserverpb.DowngradeResponse {
  return new etcdserverpb.DowngradeResponse({ header: header(replica), version });
}

/** It follows the cluster's version down, and up again (etcd: UpdateStorageVersionIfNeeded). */
function storageVersionOf(replica: Replica): string {
  const { clusterVersion, downgrade } = replica.state.membership;
  return downgrade.enabled && clusterVersion === downgrade.targetVersion ? clusterVersion : STORAGE_VERSION;
}

/** The state as a bbolt file, then the SHA-256 of it as the last message's blob; no header in any of them. */
async function sendSnapshot(
  replica: Replica,
  stream: ServerStream<etcdserverpb.SnapshotResponse>,
  turn: Turn,
): Promise<void> {
  const view = await replica.state.buffer.snapshot();
  try {
    const mark = await markOf(view);
    if (mark === undefined) throw new RpcError(StatusCode.Unavailable, 'nothing has been applied yet');
    const buckets = exportBuckets(view, mark);
    const plan = await planBbolt(buckets, turn);
    const hash = createHash('sha256');
    let remainingBytes = plan.bytes;
    const send = async (blob: Buffer): Promise<void> => {
      const message = new etcdserverpb.SnapshotResponse({ remainingBytes, blob, version: STORAGE_VERSION });
      if (!stream.write(message)) await stream.ready();
    };
    for await (const part of writeBbolt(plan, buckets, turn)) {
      hash.update(part);
      for (let at = 0; at < part.length; at += SNAPSHOT_CHUNK_BYTES) {
        if (stream.closed) return;
        const blob = part.subarray(at, at + SNAPSHOT_CHUNK_BYTES);
        remainingBytes -= blob.length;
        await send(blob);
      }
    }
    await send(hash.digest());
  } finally {
    await view.close();
  }
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
