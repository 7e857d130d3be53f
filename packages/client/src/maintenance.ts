/**
 * Looking after members: status, alarms, hashes, defragmentation, snapshots, moving the leader, downgrade.
 * Calls that concern one member take its endpoint; without it they go to whichever is current.
 */
import { etcdserverpb, services } from '@keelson/proto';
import { toEtcdError } from './errors.ts';
import type { Caller, RequestOptions } from './retry.ts';

export interface MemberOptions extends RequestOptions {
  /** One of the client's endpoints; the call goes there and nowhere else. */
  readonly endpoint?: string;
}

export type AlarmKind = 'NONE' | 'NOSPACE' | 'CORRUPT';
export type DowngradeStep = 'VALIDATE' | 'ENABLE' | 'CANCEL';

export class Maintenance {
  private readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  status(options: MemberOptions = {}): Promise<etcdserverpb.StatusResponse> {
    return this.caller.unary(M.status, new etcdserverpb.StatusRequest(), 'read', options, options.endpoint);
  }

  /** Alarms that are raised, on all members. */
  alarms(options: MemberOptions = {}): Promise<etcdserverpb.AlarmResponse> {
    const request = new etcdserverpb.AlarmRequest({ action: etcdserverpb.AlarmAction.GET });
    return this.caller.unary(M.alarm, request, 'read', options, options.endpoint);
  }

  alarmActivate(
    memberId: bigint,
    alarm: AlarmKind,
    options: MemberOptions = {},
  ): Promise<etcdserverpb.AlarmResponse> {
    return this.changeAlarm(etcdserverpb.AlarmAction.ACTIVATE, memberId, alarm, options);
  }

  alarmDisarm(
    memberId: bigint,
    alarm: AlarmKind,
    options: MemberOptions = {},
  ): Promise<etcdserverpb.AlarmResponse> {
    return this.changeAlarm(etcdserverpb.AlarmAction.DEACTIVATE, memberId, alarm, options);
  }

  /** Blocks that member while it rewrites its backend: give it time. */
  defragment(options: MemberOptions = {}): Promise<etcdserverpb.DefragmentResponse> {
    const request = new etcdserverpb.DefragmentRequest();
    return this.caller.unary(M.defragment, request, 'write', options, options.endpoint);
  }

  hash(options: MemberOptions = {}): Promise<etcdserverpb.HashResponse> {
    return this.caller.unary(M.hash, new etcdserverpb.HashRequest(), 'read', options, options.endpoint);
  }

  /** @param options.revision hash what was current then; 0 or absent: now */
  hashKV(options: MemberOptions & { readonly revision?: number } = {}): Promise<etcdserverpb.HashKVResponse> {
    const request = new etcdserverpb.HashKVRequest({ revision: options.revision ?? 0 });
    return this.caller.unary(M.hashKV, request, 'read', options, options.endpoint);
  }

  /** Only the leader does it: name its endpoint. */
  moveLeader(targetId: bigint, options: MemberOptions = {}): Promise<etcdserverpb.MoveLeaderResponse> {
    const request = new etcdserverpb.MoveLeaderRequest({ targetID: targetId });
    return this.caller.unary(M.moveLeader, request, 'write', options, options.endpoint);
  }

  downgrade(
    step: DowngradeStep,
    version: string,
    options: RequestOptions = {},
  ): Promise<etcdserverpb.DowngradeResponse> {
    const request = new etcdserverpb.DowngradeRequest({
      action: etcdserverpb.DowngradeAction[step],
      version,
    });
    return this.caller.unary(M.downgrade, request, step === 'VALIDATE' ? 'read' : 'write', options);
  }

  /**
   * The backend of one member as a stream of chunks, the last of which is the SHA-256 of the rest. Leaving
   * the iteration ends the stream.
   * @throws EtcdError when it breaks; a snapshot is never resumed
   */
  async *snapshot(
    options: { readonly endpoint?: string; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<etcdserverpb.SnapshotResponse, void, undefined> {
    const { endpoint, metadata } = await this.caller.forStream(options.endpoint);
    const stream = endpoint.channel.serverStream(M.snapshot, new etcdserverpb.SnapshotRequest(), {
      metadata,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    try {
      yield* stream;
    } catch (error) {
      throw toEtcdError(error);
    }
  }

  private changeAlarm(
    action: number,
    memberID: bigint,
    alarm: AlarmKind,
    options: MemberOptions,
  ): Promise<etcdserverpb.AlarmResponse> {
    const request = new etcdserverpb.AlarmRequest({
      action,
      memberID,
      alarm: etcdserverpb.AlarmType[alarm],
    });
    return this.caller.unary(M.alarm, request, 'write', options, options.endpoint);
  }
}

const M = services.Maintenance.methods;
