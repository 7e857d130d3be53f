/**
 * The deterministic state machine: committed entries in, results and events out. One loop, one switch;
 * no clock, no await, no randomness, and nothing that differs between members except whether a response
 * is built (only where a client waits). An error in a command is part of its outcome; an entry that cannot
 * even be read stops the member, since guessing would make it differ from the others.
 */
import { assert, EMPTY } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import { EntryType, type Entry } from '@keelson/raft';
import { AlarmType } from '../alarm/alarms.ts';
import { authorize } from '../auth/authorize.ts';
import type { Identity } from '../auth/identity.ts';
import { deleteNeeds, leaseNeeds, putNeeds, txnNeeds, type Need } from '../auth/needs.ts';
import { FatalError, StoreError } from '../errors.ts';
import { applyAuth } from './auth.ts';
import { setClusterVersion, setDowngrade, setMemberAttributes } from './cluster.ts';
import {
  CommandKind,
  decodeCommand,
  LoneWrite,
  V2_REQUEST,
  type Command,
  type CommandId,
} from './command.ts';
import { guard } from './guard.ts';
import * as kv from './kv.ts';
import { leaseCost, lonePutCost, NO_QUOTA, putCost, txnCost, type SpaceGauge } from './quota.ts';
import { grantLease, checkpointLeases, revokeLease } from './lease.ts';
import type { Waiters } from './results.ts';
import type { StateMachine } from './state-machine.ts';
import { checkPath, choosePath, execute } from './txn.ts';
import { applyV2Request } from './v2-request.ts';

/** Applies membership entries; consensus/conf-changes.ts, since raft has to hear of them. */
export interface ConfChangeApplier {
  /** @returns the membership after it, in the JSON the backend keeps */
  apply(entry: Entry): string;
}

/** The backend's room on this member. */
export interface Space {
  readonly gauge: SpaceGauge;
  /** A command was applied beyond it and no alarm stands yet: one should be raised, through the log. */
  readonly onShort: () => void;
}

/** Commands of other etcd versions or of services this build has not, that change no state: nothing is missed. */
const HARMLESS: ReadonlySet<number> = new Set([3, 1013, 1102, 1106, 1107, 1202]);

export interface ApplierCounters {
  appliedCount: number;
  slowCount: number;
}

export class Applier {
  private readonly state: StateMachine;
  private readonly waiters: Waiters;
  private readonly confChanges: ConfChangeApplier;
  private readonly space: Space;
  private readonly observe: ((kind: number, succeeded: boolean) => void) | undefined;
  readonly counters: ApplierCounters = { appliedCount: 0, slowCount: 0 };
  /** Reads the entry at hand. */
  private readonly loneWrite = new LoneWrite();

  /** @param observe told of each command when it has been applied: its kind and whether it succeeded */
  constructor(
    state: StateMachine,
    waiters: Waiters,
    confChanges: ConfChangeApplier,
    space: Space = { gauge: NO_QUOTA, onShort: () => {} },
    observe?: (kind: number, succeeded: boolean) => void,
  ) {
    this.observe = observe;
    this.state = state;
    this.waiters = waiters;
    this.confChanges = confChanges;
    this.space = space;
  }

  /**
   * Applies entries in order, each exactly once, and marks how far the state now reaches. Results are
   * with their waiters and events with the watchers when it returns.
   */
  applyBatch(entries: readonly Entry[]): void {
    const state = this.state;
    let index = state.consistentIndex;
    let term = state.consistentTerm;
    for (const entry of entries) {
      assert(
        entry.index === index + 1,
        () => `entry ${entry.index} applied after ${index}: the log has a gap or repeats`,
      );
      if (entry.type === EntryType.Normal) {
        const { block, dataOffset, dataLength } = entry;
        if (!state.auth.enabled && this.loneWrite.read(block, dataOffset, dataOffset + dataLength))
          this.applyLoneWrite(this.loneWrite, block);
        else if (dataLength > 0) this.applyCommand(this.decode(entry), entry.index);
      } else state.confState = this.confChanges.apply(entry);
      index = entry.index;
      term = entry.term;
    }
    this.counters.appliedCount += entries.length;
    state.mark(index, term);
    state.notifyWatchers();
  }

  private decode(entry: Entry): Command {
    try {
      return decodeCommand(entry.data);
    } catch (error) {
      throw new FatalError(`entry ${entry.index} of term ${entry.term} cannot be read`, { cause: error });
    }
  }

  private applyCommand(command: Command, index: number): void {
    const wanted = this.waiters.isWaiting(command);
    let response: unknown;
    let error: StoreError | undefined;
    try {
      guard(this.state, command.kind, command.body);
      response = this.run(command, index, wanted);
    } catch (reason) {
      if (!(reason instanceof StoreError)) throw reason;
      error = reason;
    }
    this.finish(command, command.kind, wanted, response, error);
  }

  /** What applyCommand does, for a put or a delete that needs nothing else: the same checks in the same order. */
  private applyLoneWrite(write: LoneWrite, block: Buffer): void {
    const { state } = this;
    const wanted = this.waiters.isWaiting(write);
    let response: unknown;
    let error: StoreError | undefined;
    try {
      guard(state, write.kind, EMPTY);
      if (write.kind === CommandKind.Put) {
        kv.checkLease(state, write);
        state.put(write.key, block, write.lease, write.valueStart, write.valueEnd);
        if (wanted) response = new etcdserverpb.PutResponse();
        this.charge(lonePutCost(write.key.length, write.valueEnd - write.valueStart));
      } else {
        const deleted = state.delete(write.key) ? 1 : 0;
        if (wanted) response = new etcdserverpb.DeleteRangeResponse({ deleted });
      }
    } catch (reason) {
      if (!(reason instanceof StoreError)) throw reason;
      error = reason;
      response = undefined;
    }
    this.finish(write, write.kind, wanted, response, error);
  }

  private finish(
    id: CommandId,
    kind: number,
    wanted: boolean,
    response: unknown,
    error: StoreError | undefined,
  ): void {
    this.observe?.(kind, error === undefined);
    if (!wanted) return;
    this.waiters.resolve(id.sequence, { response, error, revision: this.state.mvcc.currentRevision });
  }

  /** @throws StoreError: the command's outcome, without any effect (but for NO_SPACE from charge) */
  private run(command: Command, index: number, wanted: boolean): unknown {
    const state = this.state;
    const { body, identity } = command;
    switch (command.kind) {
      case CommandKind.Put: {
        const request = etcdserverpb.decodePutRequest(body);
        this.authorize(identity, putNeeds, request);
        kv.checkLonePut(state, state.mvcc, request);
        const response = state.write((writer) => kv.put(state, writer, request));
        this.charge(putCost(request));
        return response;
      }
      case CommandKind.DeleteRange: {
        const request = etcdserverpb.decodeDeleteRangeRequest(body);
        this.authorize(identity, deleteNeeds, request);
        return state.write((writer) => kv.deleteRange(state, writer, request));
      }
      case CommandKind.Txn: {
        const request = etcdserverpb.decodeTxnRequest(body);
        this.authorize(identity, txnNeeds, request);
        const path = choosePath(state.mvcc, request);
        checkPath(state, state.mvcc, request, path);
        const response = state.write((writer) => execute(state, writer, request, path, wanted));
        this.charge(txnCost(request));
        return response;
      }
      case CommandKind.Compaction:
        return state.compact(etcdserverpb.decodeCompactionRequest(body));
      case CommandKind.LeaseGrant: {
        const response = grantLease(state, etcdserverpb.decodeLeaseGrantRequest(body));
        this.charge(leaseCost());
        return response;
      }
      case CommandKind.LeaseRevoke: {
        const request = etcdserverpb.decodeLeaseRevokeRequest(body);
        this.authorize(identity, leaseNeeds, request.ID);
        return revokeLease(state, request);
      }
      case CommandKind.LeaseCheckpoint:
        return checkpointLeases(state, etcdserverpb.decodeLeaseCheckpointRequest(body));
      case CommandKind.Alarm:
        return this.alarm(etcdserverpb.decodeAlarmRequest(body));
      case CommandKind.ClusterMemberAttrSet:
        setMemberAttributes(state.membership, body);
        return undefined;
      case CommandKind.ClusterVersionSet:
        setClusterVersion(state.membership, body);
        return undefined;
      case CommandKind.DowngradeInfoSet:
        setDowngrade(state.membership, body);
        return undefined;
      case V2_REQUEST:
        applyV2Request(state.membership, body);
        return undefined;
      default: {
        const response = applyAuth(state, command.kind, body, index, identity);
        if (response !== undefined) return response;
        // What other members do with it we cannot: to go on would be to differ from them.
        if (!HARMLESS.has(command.kind))
          throw new FatalError(`the log asks for command ${command.kind}, which this build does not know`);
        throw new StoreError('UNKNOWN_METHOD');
      }
    }
  }

  /** The decision that counts, by the auth state of this very entry. @throws StoreError */
  private authorize<T>(identity: Identity | undefined, needs: (request: T) => Need[], request: T): void {
    const { auth, lessor } = this.state;
    if (auth.enabled) authorize(auth, lessor, identity, needs(request));
  }

  /**
   * The command that finds the backend full is applied all the same, on every member alike; only its answer
   * says so (etcd: quotaApplierV3).
   */
  private charge(costBytes: number): void {
    if (costBytes === 0 || this.space.gauge.admits(costBytes)) return;
    if (!this.state.alarms.stands(AlarmType.NoSpace)) this.space.onShort();
    throw new StoreError('NO_SPACE');
  }

  private alarm(request: etcdserverpb.AlarmRequest): etcdserverpb.AlarmResponse {
    const alarms = this.state.alarms;
    const { AlarmAction } = etcdserverpb;
    const toMessage = (alarm: { memberId: bigint; type: number }): etcdserverpb.AlarmMember =>
      new etcdserverpb.AlarmMember({ memberID: alarm.memberId, alarm: alarm.type });
    switch (request.action) {
      case AlarmAction.GET:
        return new etcdserverpb.AlarmResponse({ alarms: alarms.list(request.alarm).map(toMessage) });
      case AlarmAction.ACTIVATE: {
        if (request.alarm === AlarmType.None) return new etcdserverpb.AlarmResponse();
        const alarm = alarms.activate(request.memberID, request.alarm);
        return new etcdserverpb.AlarmResponse({ alarms: [toMessage(alarm)] });
      }
      case AlarmAction.DEACTIVATE: {
        const alarm = alarms.deactivate(request.memberID, request.alarm);
        return new etcdserverpb.AlarmResponse({ alarms: alarm === undefined ? [] : [toMessage(alarm)] });
      }
      default:
        return new etcdserverpb.AlarmResponse();
    }
  }
}
