/** The response's own bytes, for programs that have etcd's messages. */
import { mvccpb, services, type etcdserverpb } from '@keelson/proto';
import {
  Printer,
  type AuthOutput,
  type DowngradeOutput,
  type LeaderMove,
  type MemberChange,
  type Sink,
  type WatchOutput,
} from './printer.ts';

const KV = services.KV.methods;
const LEASE = services.Lease.methods;
const CLUSTER = services.Cluster.methods;
const MAINTENANCE = services.Maintenance.methods;

export class ProtobufPrinter extends Printer {
  constructor(sink: Sink) {
    super('protobuf', sink);
  }

  override get(response: etcdserverpb.RangeResponse): void {
    this.sink.out(KV.range.response.encode(response));
  }
  override put(response: etcdserverpb.PutResponse): void {
    this.sink.out(KV.put.response.encode(response));
  }
  override del(response: etcdserverpb.DeleteRangeResponse): void {
    this.sink.out(KV.deleteRange.response.encode(response));
  }
  override txn(response: etcdserverpb.TxnResponse): void {
    this.sink.out(KV.txn.response.encode(response));
  }
  override watch(output: WatchOutput): void {
    for (const event of output.events) this.sink.out(mvccpb.encodeEvent(event));
  }
  override grant(response: etcdserverpb.LeaseGrantResponse): void {
    this.sink.out(LEASE.leaseGrant.response.encode(response));
  }
  override revoke(_id: bigint, response: etcdserverpb.LeaseRevokeResponse): void {
    this.sink.out(LEASE.leaseRevoke.response.encode(response));
  }
  override keepAlive(response: etcdserverpb.LeaseKeepAliveResponse): void {
    this.sink.out(LEASE.leaseKeepAlive.response.encode(response));
  }
  override timeToLive(response: etcdserverpb.LeaseTimeToLiveResponse): void {
    this.sink.out(LEASE.leaseTimeToLive.response.encode(response));
  }
  override leases(response: etcdserverpb.LeaseLeasesResponse): void {
    this.sink.out(LEASE.leaseLeases.response.encode(response));
  }
  override memberList(response: etcdserverpb.MemberListResponse): void {
    this.sink.out(CLUSTER.memberList.response.encode(response));
  }
  override memberChange(change: MemberChange): void {
    this.sink.out(encodedChange(change));
  }
  override moveLeader({ response }: LeaderMove): void {
    this.sink.out(MAINTENANCE.moveLeader.response.encode(response));
  }
  override downgrade({ response }: DowngradeOutput): void {
    this.sink.out(MAINTENANCE.downgrade.response.encode(response));
  }
  override alarm(response: etcdserverpb.AlarmResponse): void {
    this.sink.out(MAINTENANCE.alarm.response.encode(response));
  }
  override auth({ bytes }: AuthOutput): void {
    this.sink.out(bytes());
  }
}

function encodedChange(change: MemberChange): Buffer {
  switch (change.kind) {
    case 'added':
      return CLUSTER.memberAdd.response.encode(change.response);
    case 'removed':
      return CLUSTER.memberRemove.response.encode(change.response);
    case 'updated':
      return CLUSTER.memberUpdate.response.encode(change.response);
    case 'promoted':
      return CLUSTER.memberPromote.response.encode(change.response);
  }
}
