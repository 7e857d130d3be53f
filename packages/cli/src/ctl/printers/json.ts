/**
 * JSON as Go's encoder writes etcd's messages: fields that are zero left out, ids as bare numbers of any
 * size, bytes in base64, enums as numbers, "<", ">" and "&" escaped. Messages are described by the tables of
 * packages/proto; what clientv3 wraps differently is spelled out here.
 */
import type { FieldDescriptor, MessageDescriptor, etcdserverpb } from '@keelson/proto';
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

export type Messages = Readonly<Record<string, MessageDescriptor>>;

/** JSON text of a part that is written already. */
type Member = readonly [name: string, json: string];

const MEMBER_RESPONSES: Readonly<Record<MemberChange['kind'], string>> = {
  added: 'etcdserverpb.MemberAddResponse',
  removed: 'etcdserverpb.MemberRemoveResponse',
  updated: 'etcdserverpb.MemberUpdateResponse',
  promoted: 'etcdserverpb.MemberPromoteResponse',
};

export class JsonPrinter extends Printer {
  private readonly messages: Messages;
  /** --hex: member and cluster ids of member lists as hex strings. */
  private readonly hexIds: boolean;

  constructor(sink: Sink, messages: Messages, hexIds: boolean) {
    super('json', sink);
    this.messages = messages;
    this.hexIds = hexIds;
  }

  override get(response: etcdserverpb.RangeResponse): void {
    this.message(response, 'etcdserverpb.RangeResponse');
  }
  override put(response: etcdserverpb.PutResponse): void {
    this.message(response, 'etcdserverpb.PutResponse');
  }
  override del(response: etcdserverpb.DeleteRangeResponse): void {
    this.message(response, 'etcdserverpb.DeleteRangeResponse');
  }
  override txn(response: etcdserverpb.TxnResponse): void {
    this.message(response, 'etcdserverpb.TxnResponse');
  }
  override revoke(_id: bigint, response: etcdserverpb.LeaseRevokeResponse): void {
    this.message(response, 'etcdserverpb.LeaseRevokeResponse');
  }
  override alarm(response: etcdserverpb.AlarmResponse): void {
    this.message(response, 'etcdserverpb.AlarmResponse');
  }

  override auth({ response, type }: AuthOutput): void {
    this.message(response, type);
  }

  override memberList(response: etcdserverpb.MemberListResponse): void {
    this.message(response, 'etcdserverpb.MemberListResponse', this.hexIds);
  }

  override memberChange(change: MemberChange): void {
    this.message(change.response, MEMBER_RESPONSES[change.kind], this.hexIds);
  }

  override moveLeader({ response }: LeaderMove): void {
    this.message(response, 'etcdserverpb.MoveLeaderResponse');
  }

  override downgrade({ response }: DowngradeOutput): void {
    this.message(response, 'etcdserverpb.DowngradeResponse');
  }

  override swap(output: SwapOutput): void {
    const members: Member[] = [
      ['succeeded', String(output.succeeded)],
      ['revision', String(output.revision)],
    ];
    for (const name of ['current', 'previous'] as const) {
      const kv = output[name];
      if (kv !== undefined) members.push([name, this.encode(kv, 'mvccpb.KeyValue')]);
    }
    this.line(object(members));
  }

  override watch(output: WatchOutput): void {
    this.line(
      object([
        ['Header', this.encode(output.header, 'etcdserverpb.ResponseHeader')],
        ['Events', array(output.events.map((event) => this.encode(event, 'mvccpb.Event')))],
        ['CompactRevision', String(output.compactRevision)],
        ['Canceled', String(output.canceled)],
        ['Created', 'false'],
      ]),
    );
  }

  override grant(response: etcdserverpb.LeaseGrantResponse): void {
    this.line(
      object([
        ...this.header(response.header),
        ['ID', String(response.ID)],
        ['TTL', String(response.TTL)],
        ['Error', string(response.error)],
      ]),
    );
  }

  override keepAlive(response: etcdserverpb.LeaseKeepAliveResponse): void {
    this.line(
      object([...this.header(response.header), ['ID', String(response.ID)], ['TTL', String(response.TTL)]]),
    );
  }

  override timeToLive(response: etcdserverpb.LeaseTimeToLiveResponse): void {
    this.line(
      object([
        ...this.header(response.header),
        ['id', String(response.ID)],
        ['ttl', String(response.TTL)],
        ['granted-ttl', String(response.grantedTTL)],
        ['keys', response.keys.length === 0 ? 'null' : array(response.keys.map(base64))],
      ]),
    );
  }

  override leases(response: etcdserverpb.LeaseLeasesResponse): void {
    const leases = response.leases.map((lease) => object([['id', String(lease.ID)]]));
    this.line(object([...this.header(response.header), ['leases', array(leases)]]));
  }

  override endpointHealth(list: readonly EndpointHealth[]): void {
    const items = list.map((item) =>
      object([
        ['endpoint', string(item.endpoint)],
        ['health', String(item.healthy)],
        ['took', string(item.took)],
        ...(item.error === '' ? [] : [['error', string(item.error)] as const]),
      ]),
    );
    this.line(array(items));
  }

  override endpointStatus(list: readonly EndpointStatus[]): void {
    const items = list.map(({ endpoint, status }) =>
      object([
        ['Endpoint', string(endpoint)],
        ['Status', this.encode(status, 'etcdserverpb.StatusResponse')],
      ]),
    );
    this.line(array(items));
  }

  override endpointHashKV(list: readonly EndpointHashKV[]): void {
    const items = list.map(({ endpoint, hash }) =>
      object([
        ['Endpoint', string(endpoint)],
        ['HashKV', this.encode(hash, 'etcdserverpb.HashKVResponse')],
      ]),
    );
    this.line(array(items));
  }

  /** The fields of a header that Go embeds. */
  private header(header: etcdserverpb.ResponseHeader | undefined): Member[] {
    return this.members(header ?? {}, 'etcdserverpb.ResponseHeader', false);
  }

  private message(message: object, type: string, hexIds = false): void {
    this.line(this.encode(message, type, hexIds));
  }

  private encode(message: object, type: string, hexIds = false): string {
    return object(this.members(message, type, hexIds));
  }

  private members(message: object, type: string, hexIds: boolean): Member[] {
    const descriptor = this.messages[type];
    if (descriptor === undefined) throw new TypeError(`${type} is no message`);
    const members: Member[] = [];
    const values: Readonly<Record<string, unknown>> = { ...message };
    for (const field of descriptor.fields) {
      const value = values[field.property];
      if (isZero(value)) continue;
      const json = Array.isArray(value)
        ? array(value.map((item) => this.value(item, field, hexIds)))
        : this.value(value, field, hexIds);
      if (field.oneof === undefined) members.push([field.name, json]);
      else members.push([capitalized(field.oneof), object([[capitalized(field.property), json]])]);
    }
    return members;
  }

  private value(value: unknown, field: FieldDescriptor, hexIds: boolean): string {
    switch (typeof value) {
      case 'bigint':
        return hexIds ? string(idHex(value)) : String(value);
      case 'number':
      case 'boolean':
        return String(value);
      case 'string':
        return string(value);
      default:
    }
    if (value instanceof Uint8Array) return base64(value);
    if (typeof value === 'object' && value !== null) return this.encode(value, field.type, hexIds);
    throw new TypeError(`${field.name} holds no value of a message`);
  }

  private line(json: string): void {
    this.sink.out(`${json}\n`);
  }
}

/** What Go's omitempty leaves out. An empty message is not empty. */
function isZero(value: unknown): boolean {
  if (value === undefined || value === 0 || value === 0n || value === '' || value === false) return true;
  return (Array.isArray(value) || value instanceof Uint8Array) && value.length === 0;
}

const object = (members: readonly Member[]): string =>
  `{${members.map(([name, json]) => `"${name}":${json}`).join(',')}}`;
const array = (items: readonly string[]): string => `[${items.join(',')}]`;
const base64 = (bytes: Uint8Array): string => `"${Buffer.from(bytes).toString('base64')}"`;
const capitalized = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

function string(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
