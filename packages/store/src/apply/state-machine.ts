/**
 * The replicated state of one member: keys through time, leases, members, alarms, and up to which entry
 * they reach. It joins the rooms below it and adds no rule of its own; commands change it only through
 * the applier. A snapshot from the leader replaces its content in place, under the watchers.
 */
import { etcdserverpb, leasepb } from '@keelson/proto';
import { Alarms } from '../alarm/alarms.ts';
import { Buckets } from '../backend/buckets.ts';
import type { WriteBuffer } from '../backend/write-buffer.ts';
import { FatalError, StoreError } from '../errors.ts';
import { Lessor, type Lease } from '../lease/lessor.ts';
import { Membership, type MembershipChange } from '../membership/membership.ts';
import { MvccStore, type MvccOptions } from '../mvcc/store.ts';
import type { WatchEvent } from '../watch/events.ts';
import type { WatchHub } from '../watch/hub.ts';
import type { Writer } from './kv.ts';

export interface StateMachineOptions {
  readonly leaseTtlSecondsMin: number;
  readonly mvcc: MvccOptions;
  readonly onMembershipChange: (change: MembershipChange) => void;
}

export class StateMachine {
  /** Replaced as a whole when a snapshot is installed. */
  buffer: WriteBuffer;
  mvcc: MvccStore;
  readonly lessor: Lessor;
  readonly membership: Membership;
  readonly alarms: Alarms;
  readonly hub: WatchHub;
  /** Quorum membership after the last applied entry, as JSON. */
  confState: string;
  private index = 0;
  private termOfIndex = 0;
  private pendingEvents: WatchEvent[] = [];

  private constructor(buffer: WriteBuffer, mvcc: MvccStore, hub: WatchHub, options: StateMachineOptions) {
    this.buffer = buffer;
    this.mvcc = mvcc;
    this.hub = hub;
    this.confState = '';
    this.lessor = new Lessor(
      {
        put: (lease) => this.buffer.put(Buckets.lease, leaseKey(lease.id), encodeLease(lease)),
        delete: (id) => this.buffer.delete(Buckets.lease, leaseKey(id)),
      },
      options.leaseTtlSecondsMin,
    );
    this.membership = new Membership(
      {
        putMember: (key, value) => this.buffer.put(Buckets.members, key, value),
        deleteMember: (key) => this.buffer.delete(Buckets.members, key),
        putRemoved: (key, value) => this.buffer.put(Buckets.membersRemoved, key, value),
        putClusterVersion: (value) => this.buffer.put(Buckets.cluster, CLUSTER_VERSION_KEY, value),
      },
      options.onMembershipChange,
    );
    this.alarms = new Alarms({
      put: (alarm) => this.buffer.put(Buckets.alarm, alarmKey(alarm.memberId, alarm.type), EMPTY_VALUE),
      delete: (alarm) => this.buffer.delete(Buckets.alarm, alarmKey(alarm.memberId, alarm.type)),
    });
  }
}
