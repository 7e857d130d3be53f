/** etcdctl's default output: for people, and for shells that read keys and values line by line. */
import { etcdserverpb, mvccpb } from '@keelson/proto';
import { idHex } from '../../go-text.ts';
import {
  Printer,
  type AuthOutput,
  type DowngradeOutput,
  type EndpointHashKV,
  type EndpointHealth,
  type EndpointStatus,
  type LeaderMove,
  type MemberChange,
  type Sink,
  type SwapOutput,
  type WatchOutput,
} from './printer.ts';
import { hashRows, memberRows, statusRows, type Rows } from './rows.ts';

const NEWLINE = Buffer.from('\n');

export class SimplePrinter extends Printer {
  /** --print-value-only: no keys. */
  valueOnly = false;
  private readonly asHex: boolean;

  constructor(sink: Sink, asHex: boolean) {
    super('simple', sink);
    this.asHex = asHex;
  }

  override get(response: etcdserverpb.RangeResponse): void {
    this.pairs(response.kvs);
  }

  override put(response: etcdserverpb.PutResponse): void {
    this.line('OK');
    if (response.prevKv !== undefined) this.pairs([response.prevKv]);
  }

  override del(response: etcdserverpb.DeleteRangeResponse): void {
    this.line(String(response.deleted));
    this.pairs(response.prevKvs);
  }

  override txn(response: etcdserverpb.TxnResponse): void {
    this.line(response.succeeded ? 'SUCCESS' : 'FAILURE');
    for (const { responseRange, responsePut, responseDeleteRange, responseTxn } of response.responses) {
      this.line('');
      if (responseRange !== undefined) this.get(responseRange);
      else if (responsePut !== undefined) this.put(responsePut);
      else if (responseDeleteRange !== undefined) this.del(responseDeleteRange);
      else if (responseTxn !== undefined) this.txn(responseTxn);
    }
  }

  override swap(output: SwapOutput): void {
    this.line(output.succeeded ? 'SUCCESS' : 'FAILURE');
    const shown = output.succeeded ? output.previous : output.current;
    if (shown !== undefined) this.pairs([shown]);
  }

  override watch(output: WatchOutput): void {
    for (const event of output.events) {
      this.line(eventName(event));
      if (event.prevKv !== undefined) this.pairs([event.prevKv]);
      this.pairs([event.kv ?? new mvccpb.KeyValue()]);
    }
  }

  override grant(response: etcdserverpb.LeaseGrantResponse): void {
    this.line(`lease ${idHex(response.ID, 16)} granted with TTL(${response.TTL}s)`);
  }

  override revoke(id: bigint): void {
    this.line(`lease ${idHex(id, 16)} revoked`);
  }

  override keepAlive(response: etcdserverpb.LeaseKeepAliveResponse): void {
    this.line(`lease ${idHex(response.ID, 16)} keepalived with TTL(${response.TTL})`);
  }

  override timeToLive(response: etcdserverpb.LeaseTimeToLiveResponse, keys: boolean): void {
    const lease = `lease ${idHex(response.ID, 16)}`;
    if (response.grantedTTL === 0 && response.TTL === -1) {
      this.line(`${lease} already expired`);
      return;
    }
    this.sink.out(`${lease} granted with TTL(${response.grantedTTL}s), remaining(${response.TTL}s)`);
    if (keys) {
      this.sink.out(', attached keys([');
      response.keys.forEach((key, index) => {
        if (index > 0) this.sink.out(' ');
        this.sink.out(key);
      });
      this.sink.out('])');
    }
    this.line('');
  }

  override leases(response: etcdserverpb.LeaseLeasesResponse): void {
    this.line(`found ${response.leases.length} leases`);
    for (const lease of response.leases) this.line(idHex(lease.ID, 16));
  }

  override memberList(response: etcdserverpb.MemberListResponse): void {
    this.rows(memberRows(response));
  }

  override memberChange(change: MemberChange): void {
    const { kind, response } = change;
    const id = kind === 'added' ? (change.response.member?.ID ?? 0n) : change.id;
    const learner = kind === 'added' && change.response.member?.isLearner === true;
    const where =
      kind === 'added' ? (learner ? ' as learner to' : ' to') : kind === 'removed' ? ' from' : ' in';
    const cluster = idHex(response.header?.clusterId ?? 0n).padStart(16);
    this.line(`Member ${idHex(id).padStart(16)} ${kind}${where} cluster ${cluster}`);
  }

  override moveLeader({ leader, target }: LeaderMove): void {
    this.line(`Leadership transferred from ${idHex(leader)} to ${idHex(target)}`);
  }

  override downgrade({ step, response }: DowngradeOutput): void {
    this.line(`Downgrade ${step} success, cluster version ${response.version}`);
  }

  override endpointHealth(list: readonly EndpointHealth[]): void {
    for (const item of list) {
      if (item.error === '') {
        this.line(`${item.endpoint} is healthy: successfully committed proposal: took = ${item.took}`);
      } else {
        this.sink.err(`${item.endpoint} is unhealthy: failed to commit proposal: ${item.error}\n`);
      }
    }
  }

  override endpointStatus(list: readonly EndpointStatus[]): void {
    this.rows(statusRows(list));
  }

  override endpointHashKV(list: readonly EndpointHashKV[]): void {
    this.rows(hashRows(list));
  }

  override alarm(response: etcdserverpb.AlarmResponse): void {
    for (const { memberID, alarm } of response.alarms) {
      this.line(`memberID:${memberID} alarm:${alarmName(alarm)} `);
    }
  }

  override auth({ lines }: AuthOutput): void {
    for (const line of lines) this.line(line);
  }

  private pairs(list: readonly mvccpb.KeyValue[]): void {
    for (const { key, value } of list) {
      const parts = this.valueOnly ? [value] : [key, value];
      for (const part of parts) {
        if (this.asHex) this.line(hexBytes(part));
        else this.sink.out(Buffer.concat([part, NEWLINE]));
      }
    }
  }

  private rows({ rows }: Rows): void {
    for (const row of rows) this.line(row.join(', '));
  }

  private line(text: string): void {
    this.sink.out(`${text}\n`);
  }
}

function hexBytes(bytes: Buffer): string {
  return bytes.toString('hex').replace(/../g, (pair) => `\\x${pair}`);
}

export function eventName(event: mvccpb.Event): string {
  return nameOf(mvccpb.EventType, event.type);
}

export function alarmName(alarm: number): string {
  return nameOf(etcdserverpb.AlarmType, alarm);
}

function nameOf(values: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(values).find(([, number]) => number === value)?.[0] ?? String(value);
}
