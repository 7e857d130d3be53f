/** One "Field" : value a line, values quoted as Go does: for scripts that want everything and no JSON. */
import { etcdserverpb, mvccpb } from '@keelson/proto';
import { idHex, quote, quoteText } from '../../go-text.ts';
import {
  Printer,
  type AuthOutput,
  type EndpointHashKV,
  type EndpointHealth,
  type EndpointStatus,
  type Sink,
  type SwapOutput,
  type WatchOutput,
} from './printer.ts';
import { alarmName, eventName } from './simple.ts';

type Header = etcdserverpb.ResponseHeader | undefined;

export class FieldsPrinter extends Printer {
  /** --hex: ids as hex. Keys and values are quoted either way. */
  private readonly hexIds: boolean;

  constructor(sink: Sink, hexIds: boolean) {
    super('fields', sink);
    this.hexIds = hexIds;
  }

  override get(response: etcdserverpb.RangeResponse): void {
    this.header(response.header);
    for (const kv of response.kvs) this.pair('', kv);
    this.field('More', response.more);
    this.field('Count', response.count);
  }

  override put(response: etcdserverpb.PutResponse): void {
    this.header(response.header);
    if (response.prevKv !== undefined) this.pair('Prev', response.prevKv);
  }

  override del(response: etcdserverpb.DeleteRangeResponse): void {
    this.header(response.header);
    this.field('Deleted', response.deleted);
    for (const kv of response.prevKvs) this.pair('Prev', kv);
  }

  override txn(response: etcdserverpb.TxnResponse): void {
    this.header(response.header);
    this.field('Succeeded', response.succeeded);
    for (const { responseRange, responsePut, responseDeleteRange, responseTxn } of response.responses) {
      if (responseRange !== undefined) this.get(responseRange);
      else if (responsePut !== undefined) this.put(responsePut);
      else if (responseDeleteRange !== undefined) this.del(responseDeleteRange);
      else if (responseTxn !== undefined) this.txn(responseTxn);
    }
  }

  override swap(output: SwapOutput): void {
    this.field('Revision', output.revision);
    this.field('Succeeded', output.succeeded);
    if (output.current !== undefined) this.pair('', output.current);
    if (output.previous !== undefined) this.pair('Prev', output.previous);
  }

  override auth({ response, fields }: AuthOutput): void {
    if (fields === undefined) this.unsupported();
    this.header(
      'header' in response && response.header instanceof etcdserverpb.ResponseHeader
        ? response.header
        : undefined,
    );
    for (const field of fields) this.sink.out(`${field}\n`);
  }

  override watch(output: WatchOutput): void {
    this.header(output.header);
    for (const event of output.events) {
      this.field('Type', eventName(event));
      if (event.prevKv !== undefined) this.pair('Prev', event.prevKv);
      this.pair('', event.kv ?? new mvccpb.KeyValue());
    }
  }

  override grant(response: etcdserverpb.LeaseGrantResponse): void {
    this.lease(response);
  }
  override revoke(_id: bigint, response: etcdserverpb.LeaseRevokeResponse): void {
    this.header(response.header);
  }
  override keepAlive(response: etcdserverpb.LeaseKeepAliveResponse): void {
    this.lease(response);
  }

  override timeToLive(response: etcdserverpb.LeaseTimeToLiveResponse): void {
    this.lease(response);
    this.field('GrantedTTL', response.grantedTTL);
    for (const key of response.keys) this.field('Key', quote(key));
  }

  override leases(response: etcdserverpb.LeaseLeasesResponse): void {
    this.header(response.header);
    for (const lease of response.leases) this.field('ID', this.id(lease.ID, 16));
  }

  override memberList(response: etcdserverpb.MemberListResponse): void {
    this.header(response.header);
    for (const member of response.members) {
      this.field('ID', this.id(member.ID));
      this.field('Name', quoteText(member.name));
      for (const url of member.peerURLs) this.field('PeerURL', quoteText(url));
      for (const url of member.clientURLs) this.field('ClientURL', quoteText(url));
      this.field('IsLearner', member.isLearner);
      this.sink.out('\n');
    }
  }

  override endpointHealth(list: readonly EndpointHealth[]): void {
    for (const item of list) {
      this.field('Endpoint', quoteText(item.endpoint));
      this.field('Health', item.healthy);
      this.field('Took', item.took);
      this.field('Error', item.error);
      this.sink.out('\n');
    }
  }

  override endpointStatus(list: readonly EndpointStatus[]): void {
    for (const { endpoint, status } of list) {
      this.header(status.header);
      this.field('Version', quoteText(status.version));
      this.field('StorageVersion', quoteText(status.storageVersion));
      this.field('DBSize', status.dbSize);
      this.field('DBSizeInUse', status.dbSizeInUse);
      this.field('DBSizeQuota', status.dbSizeQuota);
      this.field('Leader', status.leader);
      this.field('IsLearner', status.isLearner);
      this.field('RaftIndex', status.raftIndex);
      this.field('RaftTerm', status.raftTerm);
      this.field('RaftAppliedIndex', status.raftAppliedIndex);
      this.field('Errors', `[${status.errors.join(' ')}]`);
      this.field('Endpoint', quoteText(endpoint));
      this.field('DowngradeTargetVersion', quoteText(status.downgradeInfo?.targetVersion ?? ''));
      this.field('DowngradeEnabled', status.downgradeInfo?.enabled ?? false);
      this.sink.out('\n');
    }
  }

  override endpointHashKV(list: readonly EndpointHashKV[]): void {
    for (const { endpoint, hash } of list) {
      this.header(hash.header);
      this.field('Endpoint', quoteText(endpoint));
      this.field('Hash', hash.hash);
      this.field('HashRevision', hash.hashRevision);
      this.sink.out('\n');
    }
  }

  override alarm(response: etcdserverpb.AlarmResponse): void {
    this.header(response.header);
    for (const { memberID, alarm } of response.alarms) {
      this.field('MemberID', this.id(memberID));
      this.field('AlarmType', alarmName(alarm));
      this.sink.out('\n');
    }
  }

  private lease(response: { readonly header: Header; readonly ID: bigint; readonly TTL: number }): void {
    this.header(response.header);
    this.field('ID', this.id(response.ID, 16));
    this.field('TTL', response.TTL);
  }

  private pair(prefix: string, kv: mvccpb.KeyValue): void {
    this.field(`${prefix}Key`, quote(kv.key));
    this.field(`${prefix}CreateRevision`, kv.createRevision);
    this.field(`${prefix}ModRevision`, kv.modRevision);
    this.field(`${prefix}Version`, kv.version);
    this.field(`${prefix}Value`, quote(kv.value));
    this.field(`${prefix}Lease`, this.id(kv.lease, 16));
  }

  /** A response inside a transaction, or of an old server, may have none: it prints as zeros. */
  private header(header: Header): void {
    const shown = header ?? new etcdserverpb.ResponseHeader();
    this.field('ClusterID', this.id(shown.clusterId));
    this.field('MemberID', this.id(shown.memberId));
    // Answers about members have none.
    if (shown.revision > 0) this.field('Revision', shown.revision);
    this.field('RaftTerm', shown.raftTerm);
  }

  private id(id: bigint, digits = 0): string {
    return this.hexIds ? idHex(id, digits) : String(id);
  }

  private field(name: string, value: string | number | bigint | boolean): void {
    this.sink.out(`"${name}" : ${value}\n`);
  }
}
